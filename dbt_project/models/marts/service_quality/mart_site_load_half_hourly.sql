-- Work on a call may continue past midnight: a half-hour counts work on contacts of its date and of the one before.
with worked as (
    select
        site_code,
        half_hour_at,
        sum(queued_leg_count)::bigint as queued_leg_count,
        sum(answered_leg_count)::bigint as answered_leg_count,
        sum(finished_leg_count)::bigint as finished_leg_count,
        sum(handle_seconds) as handle_seconds,
        case when bool_and(agent_count is not null) then max(agent_count) end as agent_count,
        max(person_count) as person_count
    from {{ ref('int_site_work_half_hourly') }}
    {% if is_incremental() -%}
        where {{ is_changed(days_before=1) }}
    {%- endif %}
    group by site_code, half_hour_at
),

sites as (
    select * from {{ ref('dim_site') }}
),

public_holidays as (
    select * from {{ ref('public_holidays') }}
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
        coalesce(worked.finished_leg_count, 0) as finished_leg_count,
        coalesce(worked.handle_seconds, 0) as handle_seconds,
        case when worked.site_code is null then 0 else worked.agent_count end as agent_count,
        coalesce(worked.person_count, 0) as person_count,
        planned.position_count
    from worked
    full join planned using (site_code, half_hour_at)
    where worked.site_code is not null or planned.is_known
),

placed as (
    select
        combined.*,
        sites.site_name,
        sites.directorate_code,
        sites.directorate_name,
        sites.region_name,
        combined.half_hour_at at time zone sites.time_zone as local_at,
        sites.holiday_calendar,
        planned_sites.site_code is not null as has_plan
    from combined
    left join sites on combined.site_code = sites.site_code
    left join planned_sites on combined.site_code = planned_sites.site_code
),

final as (
    select
        (placed.half_hour_at at time zone 'Europe/Paris')::date as business_date,
        placed.half_hour_at,
        placed.site_code,
        placed.site_name,
        placed.directorate_code,
        placed.directorate_name,
        placed.region_name,
        placed.local_at::date as local_date,
        placed.local_at::time as half_hour_local,
        extract(isodow from placed.local_at)::smallint as weekday,
        case
            when placed.has_plan
                then coalesce(placed.position_count, 0) > 0 and public_holidays.holiday_date is null
        end as is_open,
        placed.queued_leg_count,
        placed.answered_leg_count,
        placed.finished_leg_count,
        placed.handle_seconds::numeric(16, 6) as handle_seconds,
        placed.agent_count,
        case when placed.has_plan then coalesce(placed.position_count, 0) end as position_count,
        case when placed.has_plan then coalesce(placed.position_count, 0) * 1800 end as position_seconds,
        placed.person_count
    from placed
    left join public_holidays
        on placed.holiday_calendar = public_holidays.holiday_calendar
        and placed.local_at::date = public_holidays.holiday_date
)

select * from final
{% if is_incremental() -%}
    where {{ is_changed() }}
{%- endif %}
