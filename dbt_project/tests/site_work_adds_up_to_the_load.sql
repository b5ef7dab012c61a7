-- Site by site: the days have the half-hours, seconds and contacts of the load, and the weeks have those of their days.
{{ config(meta={'feeds': ['calls', 'site_positions'], 'lookahead_days': 1}) }}
{%- set figures = [
    'open_half_hour_count', 'busy_half_hour_count', 'handle_seconds', 'open_handle_seconds', 'open_position_seconds',
    'after_closing_handled_count', 'after_closing_handle_seconds',
    'answered_count', 'survey_count', 'satisfied_count',
] %}
{%- set week = "date_trunc('week', business_date::timestamp)::date" %}

with dates as (
    select business_date
    from {{ ref('int_built_deliveries') }}
    where feed = 'calls' and {{ is_changed(days_before=6, days_after=6) }}
),

changed as (
    select {{ week }} as first_date
    from dates
    where {{ is_changed() }}
),

load as (
    select * from {{ ref('mart_site_load_half_hourly') }}
    where business_date in (select dates.business_date from dates)
),

site_calls as (
    select * from {{ ref('agg_site_calls_daily') }}
    where business_date in (select dates.business_date from dates)
),

days as (
    select * from {{ ref('mart_site_work_daily') }}
    where business_date in (select dates.business_date from dates)
),

compared as (
    select
        'day' as what,
        business_date as first_date,
        site_code as code,
        {{ figures | join(', ') }}
    from days
    union all
    select
        'day' as what,
        business_date as first_date,
        site_code as code,
        -(is_open is true)::integer as open_half_hour_count,
        -(is_open is true and handle_seconds > {{ var('busy_occupancy') }} * position_seconds)::integer
            as busy_half_hour_count,
        -handle_seconds as handle_seconds,
        case when is_open then -handle_seconds else 0 end as open_handle_seconds,
        case when is_open then -position_seconds else 0 end as open_position_seconds,
        case when not is_open then -finished_leg_count else 0 end as after_closing_handled_count,
        case when not is_open then -handle_seconds else 0 end as after_closing_handle_seconds,
        0 as answered_count,
        0 as survey_count,
        0 as satisfied_count
    from load
    union all
    select
        'day' as what,
        business_date as first_date,
        site_code as code,
        0 as open_half_hour_count,
        0 as busy_half_hour_count,
        0 as handle_seconds,
        0 as open_handle_seconds,
        0 as open_position_seconds,
        0 as after_closing_handled_count,
        0 as after_closing_handle_seconds,
        -answered_count as answered_count,
        -survey_count as survey_count,
        -satisfied_count as satisfied_count
    from site_calls
    union all
    select
        'week' as what,
        period_start_date as first_date,
        site_code as code,
        {{ figures | join(', ') }}
    from {{ ref('mart_site_work_weekly') }}
    where period_start_date in (select changed.first_date from changed)
    union all
    select
        'week' as what,
        {{ week }} as first_date,
        site_code as code,
        -{{ figures | join(', -') }}
    from days
    where {{ week }} in (select changed.first_date from changed)
),

differences as (
    select
        what,
        first_date,
        code,
    {% for figure in figures -%}
        sum({{ figure }}) as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from compared
    group by 1, 2, 3
)

select *
from differences
where ({{ figures | join(', ') }}) <> (0{{ ', 0' * (figures | length - 1) }})
