{%- set figures = [
    'offered_count', 'answered_count', 'abandoned_count', 'short_abandoned_count', 'overflowed_lost_count',
    'ivr_resolved_count', 'ivr_abandoned_count', 'blocked_count', 'answered_within_20s_count', 'wait_answered_seconds',
    'handle_seconds', 'transferred_count', 'home_in_hours_count', 'home_off_hours_count', 'other_directorate_count',
    'offshore_in_hours_count', 'offshore_off_hours_count', 'other_site_count', 'in_hours_known_answered_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
] -%}

with counted as (
    select
        business_date,
        date_bin('30 minutes', offered_at, '2000-01-01 00:00:00+00') as half_hour_at,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        {{- counted_calls(figures) }}
    from {{ all_dates('fct_calls') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
    group by 1, 2, 3, 4, 5
),

clocks as (
    select
        region_code,
        min(time_zone) as time_zone
    from {{ ref('departments') }}
    group by 1
),

at_home as (
    select
        counted.business_date,
        counted.half_hour_at,
        (counted.half_hour_at at time zone coalesce(clocks.time_zone, 'Europe/Paris'))::time as half_hour_local,
        extract(
            isodow from counted.half_hour_at at time zone coalesce(clocks.time_zone, 'Europe/Paris')
        )::integer as weekday_local,
        counted.directorate_code,
        counted.region_code,
        counted.market,
    {% for figure in figures -%}
        counted.{{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    left join clocks on counted.region_code = clocks.region_code
),

final as (
    {{ named('at_home') }}
)

select * from final
