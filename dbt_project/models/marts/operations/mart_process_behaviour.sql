{#- Each metric: where its daily sums are, what is divided by what, which figures must be final, and whose.
    Of the days and markets of a week the most persons: a sum would count who comes twice as two. -#}
{%- set valid_calls = 'answered_count + abandoned_count - short_abandoned_count' -%}
{%- set metrics = [
    ('call_rate', 'service_quality', '1000.0 * offered_count', 'active_line_count / 7.0', 'call_rate', 'offered_person_count'),
    ('abandonment_rate', 'service_quality', 'abandoned_count - short_abandoned_count', valid_calls, 'calls', 'offered_person_count'),
    ('service_level', 'service_quality', 'answered_within_20s_count', valid_calls, 'calls', 'offered_person_count'),
    ('mean_wait_seconds', 'service_quality', 'wait_answered_seconds', 'answered_count', 'calls', 'offered_person_count'),
    ('home_region_rate', 'service_quality', 'home_in_hours_count', 'in_hours_known_answered_count', 'calls', 'offered_person_count'),
    ('repeat_7d_rate', 'service_quality', 'repeat_7d_count', 'identified_answered_count', 'repeat_7d', 'offered_person_count'),
    ('satisfaction', 'service_quality', 'satisfied_count', 'survey_count', 'calls', 'offered_person_count'),
    ('left_unserved_rate', 'boutiques', 'left_unserved_count', 'visit_count', 'boutique_visits', 'visit_person_count'),
    ('appointment_kept_rate', 'interventions', 'appointment_kept_count', 'appointment_count', 'interventions', 'promised_person_count'),
    ('first_time_right_rate', 'interventions', 'first_time_right_count', 'done_with_line_count', 'first_time_right_30d', 'closed_person_count'),
] -%}
{%- set sources = ['service_quality', 'boutiques', 'interventions'] -%}

with service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
),

boutiques as (
    select * from {{ ref('mart_boutiques_daily') }}
),

interventions as (
    select * from {{ ref('mart_interventions_daily') }}
),

finality as (
    select * from {{ ref('mart_finality_daily') }}
),

rollout as (
    select * from {{ ref('mart_parc_rollout') }}
),

events as (
    select * from {{ ref('event_calendar') }}
),

-- Each source is read once, however many metrics rest on it.
weeks as (
    {% for source in sources -%}
        {%- set own = metrics | selectattr(1, 'equalto', source) | list -%}
        select
            weekly.week_start_date,
            weekly.region_code,
            measured.metric,
            measured.figure_window,
            measured.numerator,
            measured.denominator,
            measured.person_count
        from (
            select
                date_trunc('week', business_date::timestamp)::date as week_start_date,
                region_code,
            {% for metric, _, numerator, denominator, _, persons in own -%}
                sum({{ numerator }})::numeric as {{ metric }}_numerator,
                sum({{ denominator }})::numeric as {{ metric }}_denominator,
                max({{ persons }}) as {{ metric }}_person_count{{ ',' if not loop.last }}
            {% endfor %}
            from {{ source }}
            group by 1, 2
        ) as weekly
        cross join
            lateral (
                values
                {% for metric, _, _, _, figure_window, _ in own -%}
                    (
                        '{{ metric }}', '{{ figure_window }}',
                        {{ metric }}_numerator, {{ metric }}_denominator, {{ metric }}_person_count
                    )
                    {{- ',' if not loop.last }}
                {% endfor %}
            ) as measured (metric, figure_window, numerator, denominator, person_count)
        {% if not loop.last -%}
            union all
        {% endif %}
    {%- endfor %}
),

complete_weeks as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        figure_window
    from finality
    where status = 'final'
    group by 1, 2
    having count(*) = 7
),

event_weeks as (
    select distinct
        date_trunc('week', event_date::timestamp)::date as week_start_date,
        region_code
    from events
),

go_lives as (
    select
        region_code,
        min(observed_go_live_date) as observed_go_live_date
    from rollout
    group by 1
),

judged as (
    select
        weeks.week_start_date,
        weeks.region_code,
        weeks.metric,
        weeks.numerator,
        weeks.denominator,
        weeks.person_count,
        weeks.numerator / weeks.denominator as metric_value,
        complete_weeks.week_start_date is not null as is_complete,
        exists(
            select 1
            from event_weeks
            where
                event_weeks.week_start_date = weeks.week_start_date
                and coalesce(event_weeks.region_code, weeks.region_code) = weeks.region_code
        ) as is_event_week,
        go_lives.observed_go_live_date
    from weeks
    left join complete_weeks
        on weeks.week_start_date = complete_weeks.week_start_date
        and weeks.figure_window = complete_weeks.figure_window
    left join go_lives on weeks.region_code = go_lives.region_code
    where weeks.denominator > 0
),

-- Weeks that count follow each other as if the others had not been.
counted as (
    select
        *,
        abs(metric_value - lag(metric_value) over weeks_of_chart) as moving_range,
        row_number() over weeks_of_chart as week_no,
        coalesce(week_start_date + 7 <= observed_go_live_date, true) as is_before_go_live
    from judged
    where is_complete and not is_event_week
    window weeks_of_chart as (partition by region_code, metric order by week_start_date)
),

-- The last 20 weeks before the region went live; while it has not, its first 20, so that limits stand still.
ranked as (
    select
        *,
        row_number() over (
            partition by region_code, metric, is_before_go_live
            order by case when observed_go_live_date is null then week_no else -week_no end
        ) as baseline_rank
    from counted
),

baselines as (
    select
        region_code,
        metric,
        count(*) as baseline_week_count,
        min(week_start_date) as first_week,
        avg(metric_value) as mean_value
    from ranked
    where is_before_go_live and baseline_rank <= 20
    group by 1, 2
),

-- The first week of the baseline has no range: what came before it is not of the baseline.
limits as (
    select
        baselines.region_code,
        baselines.metric,
        baselines.mean_value,
        avg(ranked.moving_range) as mean_moving_range
    from baselines
    inner join ranked
        on baselines.region_code = ranked.region_code
        and baselines.metric = ranked.metric
        and baselines.first_week < ranked.week_start_date
    where ranked.is_before_go_live and ranked.baseline_rank <= 20
    group by 1, 2, 3
),

sided as (
    select
        ranked.*,
        sign(ranked.metric_value - limits.mean_value) as side,
        row_number() over (partition by ranked.region_code, ranked.metric order by ranked.week_no)
        - row_number() over (
            partition by ranked.region_code, ranked.metric, sign(ranked.metric_value - limits.mean_value)
            order by ranked.week_no
        ) as run_no
    from ranked
    inner join limits
        on ranked.region_code = limits.region_code
        and ranked.metric = limits.metric
),

runs as (
    select
        region_code,
        metric,
        week_start_date,
        side,
        row_number() over (partition by region_code, metric, side, run_no order by week_no) as run_length
    from sided
),

final as (
    select
        judged.week_start_date,
        judged.region_code,
        judged.metric,
        judged.numerator::numeric(20, 6) as numerator,
        judged.denominator::numeric(20, 6) as denominator,
        judged.metric_value::numeric(20, 6) as metric_value,
        judged.is_complete,
        judged.is_event_week,
        coalesce(ranked.is_before_go_live and ranked.baseline_rank <= 20, false) as is_baseline,
        coalesce(baselines.baseline_week_count, 0) as baseline_week_count,
        limits.mean_value::numeric(20, 6) as mean_value,
        (limits.mean_value - 2.66 * limits.mean_moving_range)::numeric(20, 6) as lower_limit,
        (limits.mean_value + 2.66 * limits.mean_moving_range)::numeric(20, 6) as upper_limit,
        ranked.moving_range::numeric(20, 6) as moving_range,
        (3.268 * limits.mean_moving_range)::numeric(20, 6) as upper_range_limit,
        runs.side::integer as side,
        case when runs.side <> 0 then runs.run_length end as run_length,
        case
            when ranked.week_no is null then null
            when judged.metric_value > limits.mean_value + 2.66 * limits.mean_moving_range then 'above_upper_limit'
            when judged.metric_value < limits.mean_value - 2.66 * limits.mean_moving_range then 'below_lower_limit'
            when runs.side > 0 and runs.run_length >= 8 then 'run_above_mean'
            when runs.side < 0 and runs.run_length >= 8 then 'run_below_mean'
        end as signal,
        judged.person_count
    from judged
    left join ranked
        on judged.week_start_date = ranked.week_start_date
        and judged.region_code = ranked.region_code
        and judged.metric = ranked.metric
    left join baselines
        on judged.region_code = baselines.region_code
        and judged.metric = baselines.metric
    left join limits
        on judged.region_code = limits.region_code
        and judged.metric = limits.metric
    left join runs
        on judged.week_start_date = runs.week_start_date
        and judged.region_code = runs.region_code
        and judged.metric = runs.metric
)

select * from final
