with weeks as (
    select * from {{ ref('agg_charted_weeks') }}
),

-- Weeks that count follow each other as if the others had not been.
counted as (
    select
        *,
        abs(metric_value - lag(metric_value) over weeks_of_chart) as moving_range,
        row_number() over weeks_of_chart as week_no,
        coalesce(week_start_date + 7 <= observed_go_live_date, true) as is_before_go_live
    from weeks
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

-- The first week of the baseline has no range: earlier weeks are not part of the baseline.
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
        weeks.week_start_date,
        weeks.region_code,
        weeks.metric,
        weeks.numerator::numeric(20, 6) as numerator,
        weeks.denominator::numeric(20, 6) as denominator,
        weeks.metric_value::numeric(20, 6) as metric_value,
        weeks.is_whole_period,
        weeks.is_complete,
        weeks.is_event_week,
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
            when weeks.metric_value > limits.mean_value + 2.66 * limits.mean_moving_range then 'above_upper_limit'
            when weeks.metric_value < limits.mean_value - 2.66 * limits.mean_moving_range then 'below_lower_limit'
            when runs.side > 0 and runs.run_length >= 8 then 'run_above_mean'
            when runs.side < 0 and runs.run_length >= 8 then 'run_below_mean'
        end as signal,
        weeks.person_count
    from weeks
    left join ranked
        on weeks.week_start_date = ranked.week_start_date
        and weeks.region_code = ranked.region_code
        and weeks.metric = ranked.metric
    left join baselines
        on weeks.region_code = baselines.region_code
        and weeks.metric = baselines.metric
    left join limits
        on weeks.region_code = limits.region_code
        and weeks.metric = limits.metric
    left join runs
        on weeks.week_start_date = runs.week_start_date
        and weeks.region_code = runs.region_code
        and weeks.metric = runs.metric
)

select * from final
