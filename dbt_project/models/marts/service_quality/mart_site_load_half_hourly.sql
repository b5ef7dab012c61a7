-- Work on a call may go on past midnight: a half-hour has the work of the contacts of its date and of the one before.
with roots as (
    select
        business_date,
        call_id,
        queued_legs,
        (business_date + 2)::timestamp at time zone 'Europe/Paris' as next_date_ends_at
    from {{ ref('int_call_roots') }}
    where
        queued_at is not null
        {% if is_incremental() -%}
            and {{ is_changed(days_before=1) }}
        {%- endif %}
),

duplicates as (
    select * from {{ ref('int_call_cross_date_duplicates') }}
),

sites as (
    select * from {{ ref('sites') }}
),

site_positions as (
    select * from {{ ref('site_positions') }}
),

dates as (
    select business_date
    from {{ ref('int_built_deliveries') }}
    where
        feed = 'calls'
        {% if is_incremental() -%}
            and {{ is_changed(days_before=1) }}
        {%- endif %}
),

-- What is said to have come later than the next date's end counts at that end.
legs as (
    select
        coalesce(leg.site_code, 'unknown') as site_code,
        least(leg.queued_at, roots.next_date_ends_at - interval '1 microsecond') as queued_at,
        case
            when leg.answered_at is not null
                then least(leg.answered_at, roots.next_date_ends_at - interval '1 microsecond')
        end as answered_at,
        least(leg.answered_at + make_interval(secs => leg.handle_seconds), roots.next_date_ends_at) as work_ends_at
    from roots
    left join duplicates
        on roots.business_date = duplicates.business_date
        and roots.call_id = duplicates.call_id
    cross join
        lateral jsonb_to_recordset(roots.queued_legs)
            as leg (site_code text, queued_at timestamptz, answered_at timestamptz, handle_seconds bigint)
    where duplicates.call_id is null
),

events as (
    select
        site_code,
        date_bin('30 minutes', queued_at, '2000-01-01 00:00:00+00') as half_hour_at,
        1 as queued_leg_count,
        0 as answered_leg_count,
        0 as handle_seconds
    from legs
    union all
    select
        site_code,
        date_bin('30 minutes', answered_at, '2000-01-01 00:00:00+00') as half_hour_at,
        0 as queued_leg_count,
        1 as answered_leg_count,
        0 as handle_seconds
    from legs
    where answered_at is not null
    union all
    select
        legs.site_code,
        half_hour.half_hour_at,
        0 as queued_leg_count,
        0 as answered_leg_count,
        extract(
            epoch from least(legs.work_ends_at, half_hour.half_hour_at + interval '30 minutes')
            - greatest(legs.answered_at, half_hour.half_hour_at)
        ) as handle_seconds
    from legs
    cross join
        lateral generate_series(
            date_bin('30 minutes', legs.answered_at, '2000-01-01 00:00:00+00'),
            legs.work_ends_at - interval '1 microsecond',
            interval '30 minutes'
        ) as half_hour (half_hour_at)
    where legs.answered_at is not null
),

worked as (
    select
        site_code,
        half_hour_at,
        sum(queued_leg_count) as queued_leg_count,
        sum(answered_leg_count) as answered_leg_count,
        sum(handle_seconds) as handle_seconds
    from events
    group by site_code, half_hour_at
),

half_hours as (
    select
        half_hour.half_hour_at,
        bool_or(day.is_known) as is_known
    from dates
    cross join
        lateral (
            values (dates.business_date, true), (dates.business_date + 1, false)
        ) as day (business_date, is_known)
    cross join
        lateral generate_series(
            day.business_date::timestamp at time zone 'Europe/Paris',
            (day.business_date + 1)::timestamp at time zone 'Europe/Paris' - interval '30 minutes',
            interval '30 minutes'
        ) as half_hour (half_hour_at)
    group by half_hour.half_hour_at
),

planned as (
    select
        sites.site_code,
        half_hours.half_hour_at,
        half_hours.is_known,
        site_positions.position_count
    from half_hours
    inner join sites
        on (half_hours.half_hour_at at time zone sites.time_zone)::date >= sites.opened_on
        and (half_hours.half_hour_at at time zone sites.time_zone)::date < coalesce(sites.closed_on, 'infinity')
    inner join site_positions
        on sites.site_code = site_positions.site_code
        and extract(isodow from half_hours.half_hour_at at time zone sites.time_zone) = site_positions.weekday
        and (half_hours.half_hour_at at time zone sites.time_zone)::time = site_positions.half_hour_local
    where site_positions.position_count > 0
),

planned_sites as (
    select distinct site_code from site_positions
),

combined as (
    select
        site_code,
        half_hour_at,
        coalesce(worked.queued_leg_count, 0) as queued_leg_count,
        coalesce(worked.answered_leg_count, 0) as answered_leg_count,
        coalesce(worked.handle_seconds, 0) as handle_seconds,
        planned.position_count
    from worked
    full join planned using (site_code, half_hour_at)
    where worked.site_code is not null or planned.is_known
),

final as (
    select
        (combined.half_hour_at at time zone 'Europe/Paris')::date as business_date,
        combined.half_hour_at,
        combined.site_code,
        combined.queued_leg_count,
        combined.answered_leg_count,
        combined.handle_seconds::numeric(16, 6) as handle_seconds,
        case
            when planned_sites.site_code is not null then coalesce(combined.position_count, 0)
        end as position_count,
        case
            when planned_sites.site_code is not null then coalesce(combined.position_count, 0) * 1800
        end as position_seconds
    from combined
    left join planned_sites on combined.site_code = planned_sites.site_code
)

select * from final
{% if is_incremental() -%}
    where {{ is_changed() }}
{%- endif %}
