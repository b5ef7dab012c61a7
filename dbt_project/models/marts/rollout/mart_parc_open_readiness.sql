{%- set outcomes = ['call_rate', 'repeat_7d_rate', 'service_level', 'satisfaction'] -%}

with plan as (
    select * from {{ ref('mart_parc_rollout') }}
    where market = 'open' and wave is not null
),

service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
    where market = 'open' and directorate_code <> 'unknown'
),

open_demand as (
    select * from {{ ref('agg_open_demand_half_hourly') }}
),

site_load as (
    select * from {{ ref('mart_site_load_half_hourly') }}
),

sites as (
    select * from {{ ref('sites') }}
),

effects as (
    select * from {{ ref('mart_parc_effect') }}
    where market = 'open' and effect_kind = 'group'
),

waves as (
    select
        wave,
        as_of_date,
        min(planned_go_live_date) as planned_go_live_date,
        min(observed_go_live_date) as first_observed_go_live_date,
        max(slip_days) as slip_days,
        count(*) as region_count,
        count(*) filter (where status in ('live', 'stalled')) as live_region_count
    from plan
    group by 1, 2
),

observed as (
    select
        plan.wave,
        service_quality.directorate_code,
        sum(service_quality.home_in_hours_count) as home_in_hours_count,
        sum(service_quality.in_hours_known_answered_count) as in_hours_known_answered_count
    from service_quality
    inner join plan on service_quality.region_code = plan.region_code
    where service_quality.business_date > plan.as_of_date - 28
    group by 1, 2
),

-- The directorate's sites, whenever they have positions.
present as (
    select
        sites.directorate_code,
        site_load.half_hour_at,
        sum(site_load.handle_seconds) as handle_seconds,
        sum(site_load.position_seconds) as position_seconds
    from site_load
    inner join sites on site_load.site_code = sites.site_code
    where
        sites.directorate_code is not null
        and site_load.position_seconds > 0
        and site_load.business_date > (select max(plan.as_of_date) from plan) - 28
    group by 1, 2
),

added as (
    select
        plan.wave,
        open_demand.directorate_code,
        open_demand.half_hour_at,
        sum(open_demand.handle_seconds) as handle_seconds
    from open_demand
    inner join plan on open_demand.region_code = plan.region_code
    where open_demand.business_date > plan.as_of_date - 28
    group by 1, 2, 3
),

-- Of the wave's calls, those that its sites answer already are among their work.
half_hours as (
    select
        observed.wave,
        observed.directorate_code,
        present.handle_seconds,
        present.position_seconds,
        coalesce(added.handle_seconds, 0)
        * (1 - coalesce(observed.home_in_hours_count / nullif(observed.in_hours_known_answered_count, 0), 0))
            as added_handle_seconds
    from observed
    inner join present on observed.directorate_code = present.directorate_code
    left join added
        on observed.wave = added.wave
        and observed.directorate_code = added.directorate_code
        and present.half_hour_at = added.half_hour_at
),

loads as (
    select
        wave,
        directorate_code,
        sum(handle_seconds) as handle_seconds,
        sum(added_handle_seconds) as added_handle_seconds,
        sum(position_seconds) as position_seconds,
        count(*) as half_hour_count,
        count(*) filter (where handle_seconds > {{ var('busy_occupancy') }} * position_seconds) as busy_half_hour_count,
        count(*) filter (where handle_seconds + added_handle_seconds > {{ var('busy_occupancy') }} * position_seconds)
            as predicted_busy_half_hour_count
    from half_hours
    group by 1, 2
),

final as (
    select
        waves.wave,
        observed.directorate_code,
        waves.as_of_date,
        waves.planned_go_live_date,
        waves.first_observed_go_live_date,
        waves.slip_days,
        waves.region_count,
        waves.live_region_count,
        observed.home_in_hours_count::bigint as home_in_hours_count,
        observed.in_hours_known_answered_count::bigint as in_hours_known_answered_count,
        loads.handle_seconds::numeric(20, 6) as handle_seconds,
        loads.added_handle_seconds::numeric(20, 6) as added_handle_seconds,
        loads.position_seconds::bigint as position_seconds,
        coalesce(loads.half_hour_count, 0) as half_hour_count,
        coalesce(loads.busy_half_hour_count, 0) as busy_half_hour_count,
        coalesce(loads.predicted_busy_half_hour_count, 0) as predicted_busy_half_hour_count,
    {% for outcome in outcomes -%}
        {{ outcome }}.estimate as {{ outcome }}_effect,
        {{ outcome }}.p_value as {{ outcome }}_p_value{{ ',' if not loop.last }}
    {% endfor %}
    from observed
    inner join waves on observed.wave = waves.wave
    left join loads
        on observed.wave = loads.wave
        and observed.directorate_code = loads.directorate_code
    {% for outcome in outcomes -%}
        left join effects as {{ outcome }}
            on {{ outcome }}.outcome = '{{ outcome }}'
            and {{ outcome }}.group_date = date_trunc('week', waves.first_observed_go_live_date::timestamp)::date
    {% endfor %}
)

select * from final
