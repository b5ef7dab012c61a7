with calls as (
    select * from {{ ref('int_call_homes') }}
),

sites as (
    select * from {{ ref('sites') }}
),

zones as (
    select * from {{ ref('zones') }}
),

windows as (
    select * from {{ ref('int_zone_opening_windows') }}
),

final as (
    select
        calls.business_date,
        calls.call_id,
        calls.identity_key,
        calls.is_identified,
        calls.caller_key,
        calls.customer_key,
        calls.caller_key is null as is_withheld,
        calls.dialled_number,
        calls.market,
        calls.outcome,
        calls.queued_at is not null as is_offered,
        calls.offered_at,
        calls.queued_at,
        calls.answered_at,
        calls.ended_at,
        calls.wait_seconds::numeric(16, 6) as wait_seconds,
        calls.outcome = 'abandoned'
        and calls.wait_seconds < {{ var('short_abandon_seconds') }} as is_short_abandon,
        calls.talk_seconds,
        calls.hold_seconds,
        calls.wrap_up_seconds,
        calls.talk_seconds + calls.hold_seconds + calls.wrap_up_seconds as handle_seconds,
        calls.leg_count,
        calls.answered_leg_count,
        calls.answered_leg_count >= 2 as is_transferred,
        calls.site_code,
        calls.reason_code,
        calls.satisfaction,
        calls.recommend,
        calls.home_source,
        calls.home_department_code,
        calls.home_region_code,
        calls.home_directorate_code,
        calls.home_certainty,
        calls.prefix_department_code,
        calls.zone_code,
        case when calls.queued_at is not null then windows.zone_code is not null end as is_in_hours,
        case
            when calls.outcome <> 'answered' or calls.home_directorate_code = 'unknown' then null
            when sites.is_offshore then 'offshore'
            when sites.directorate_code = calls.home_directorate_code then 'home'
            when sites.directorate_code is not null then 'other_directorate'
            else 'other_site'
        end as answered_by
    from calls
    left join zones on calls.zone_code = zones.zone_code
    left join windows
        on calls.zone_code = windows.zone_code
        and (calls.queued_at at time zone zones.time_zone)::date = windows.local_date
        and calls.queued_at >= windows.opens_at
        and calls.queued_at < windows.closes_at
    left join sites on calls.site_code = sites.site_code
)

select * from final
