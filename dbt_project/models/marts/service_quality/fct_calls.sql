with roots as (
    select * from {{ ref('int_call_roots') }}
),

duplicates as (
    select * from {{ ref('int_call_cross_date_duplicates') }}
),

assignments as (
    select * from {{ ref('stg_line_assignments__assignments') }}
),

prefixes as (
    select * from {{ ref('int_prefix_homes') }}
),

homes as (
    select * from {{ ref('int_homes') }}
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

first_assignment as (
    select min(valid_from) as first_date from assignments
),

calls as (
    select roots.*
    from roots
    left join duplicates
        on roots.business_date = duplicates.business_date
        and roots.call_id = duplicates.call_id
    where duplicates.call_id is null
),

-- Where each source places the caller. The longest listed prefix decides, also when it is listed without a place.
placed as (
    select
        calls.*,
        assignments.department_code as assigned_department_code,
        case
            when prefix_6.prefix is not null then prefix_6.home_key
            when prefix_5.prefix is not null then prefix_5.home_key
            else prefix_4.home_key
        end as prefix_home_key
    from calls
    cross join first_assignment
    left join assignments
        on calls.caller_key = assignments.caller_key
        and greatest(calls.business_date, first_assignment.first_date) >= assignments.valid_from
        and greatest(calls.business_date, first_assignment.first_date) < assignments.valid_to
    left join prefixes as prefix_6
        on calls.caller_prefix = prefix_6.prefix
        and calls.business_date >= prefix_6.valid_from
        and calls.business_date < prefix_6.valid_to
    left join prefixes as prefix_5
        on left(calls.caller_prefix, 5) = prefix_5.prefix
        and calls.business_date >= prefix_5.valid_from
        and calls.business_date < prefix_5.valid_to
    left join prefixes as prefix_4
        on left(calls.caller_prefix, 4) = prefix_4.prefix
        and calls.business_date >= prefix_4.valid_from
        and calls.business_date < prefix_4.valid_to
),

at_home as (
    select
        placed.*,
        case
            when file_home.home_key is not null then 'customer_file'
            when line_home.home_key is not null then 'line_assignment'
            when prefix_home.home_key is not null then 'prefix'
            else 'unknown'
        end as home_source,
        prefix_home.department_code as prefix_department_code,
        coalesce(file_home.home_key, line_home.home_key, prefix_home.home_key) as home_key
    from placed
    left join homes as file_home
        on placed.line_department_code = file_home.home_key
        and placed.business_date >= file_home.valid_from
        and placed.business_date < file_home.valid_to
    left join homes as line_home
        on placed.assigned_department_code = line_home.home_key
        and placed.business_date >= line_home.valid_from
        and placed.business_date < line_home.valid_to
    left join homes as prefix_home
        on placed.prefix_home_key = prefix_home.home_key
        and placed.business_date >= prefix_home.valid_from
        and placed.business_date < prefix_home.valid_to
),

located as (
    select
        at_home.*,
        homes.department_code as home_department_code,
        coalesce(homes.region_code, 'unknown') as home_region_code,
        coalesce(homes.directorate_code, 'unknown') as home_directorate_code,
        homes.certainty as home_certainty,
        coalesce(homes.zone_code, '*') as zone_code
    from at_home
    left join homes
        on at_home.home_key = homes.home_key
        and at_home.business_date >= homes.valid_from
        and at_home.business_date < homes.valid_to
),

final as (
    select
        located.business_date,
        located.call_id,
        located.identity_key,
        located.is_identified,
        located.caller_key,
        located.customer_key,
        located.caller_key is null as is_withheld,
        located.dialled_number,
        located.market,
        located.outcome,
        located.queued_at is not null as is_offered,
        located.offered_at,
        located.queued_at,
        located.answered_at,
        located.ended_at,
        located.wait_seconds::numeric(16, 6) as wait_seconds,
        located.outcome = 'abandoned'
        and located.wait_seconds < {{ var('short_abandon_seconds') }} as is_short_abandon,
        located.talk_seconds,
        located.hold_seconds,
        located.wrap_up_seconds,
        located.talk_seconds + located.hold_seconds + located.wrap_up_seconds as handle_seconds,
        located.leg_count,
        located.answered_leg_count,
        located.answered_leg_count >= 2 as is_transferred,
        located.site_code,
        located.reason_code,
        located.satisfaction,
        located.recommend,
        located.home_source,
        located.home_department_code,
        located.home_region_code,
        located.home_directorate_code,
        located.home_certainty,
        located.prefix_department_code,
        located.zone_code,
        case when located.queued_at is not null then windows.zone_code is not null end as is_in_hours,
        case
            when located.outcome <> 'answered' or located.home_directorate_code = 'unknown' then null
            when sites.is_offshore then 'offshore'
            when sites.directorate_code = located.home_directorate_code then 'home'
            when sites.directorate_code is not null then 'other_directorate'
            else 'other_site'
        end as answered_by
    from located
    left join zones on located.zone_code = zones.zone_code
    left join windows
        on located.zone_code = windows.zone_code
        and (located.queued_at at time zone zones.time_zone)::date = windows.local_date
        and located.queued_at >= windows.opens_at
        and located.queued_at < windows.closes_at
    left join sites on located.site_code = sites.site_code
)

select * from final
