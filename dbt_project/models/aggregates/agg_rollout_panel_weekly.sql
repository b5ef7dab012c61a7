with days as (
    select * from {{ ref('mart_service_quality_daily') }}
),

rollout as (
    select * from {{ ref('mart_parc_rollout') }}
),

rollout_days as (
    select * from {{ ref('mart_parc_rollout_daily') }}
),

finality as (
    select * from {{ ref('mart_finality_daily') }}
),

departments as (
    select * from {{ ref('dim_department') }}
),

-- Later deliveries change nothing of these weeks, restatements apart: each is estimated from once.
weeks as (
    select date_trunc('week', business_date::timestamp)::date as week_date
    from finality
    where figure_window = 'repeat_7d' and status = 'final'
    group by week_date
    having count(*) = 7
),

-- A region that lies in two directorates belongs to the one with more of its departments.
region_directorates as (
    select distinct on (region_code)
        region_code,
        directorate_code
    from departments
    where directorate_code <> 'unknown'
    group by region_code, directorate_code
    order by region_code asc, count(*) desc, directorate_code asc
),

open_days as (
    select
        region_code,
        market,
        count(*) as since_planned_count
    from rollout_days
    where is_open_day and business_date >= planned_go_live_date
    group by region_code, market
),

region_markets as (
    select
        rollout.region_code,
        rollout.market,
        region_directorates.directorate_code,
        -- Where nobody saw when it went live, it did by its plan.
        case
            when rollout.slip_days is null and rollout.planned_go_live_date < rollout.observed_go_live_date
                then rollout.planned_go_live_date
            else rollout.observed_go_live_date
        end as go_live_date
    from rollout
    inner join region_directorates on rollout.region_code = region_directorates.region_code
    left join open_days
        on rollout.region_code = open_days.region_code
        and rollout.market = open_days.market
    where
        -- Taken back: neither live nor a control.
        not (rollout.status = 'reverted' and rollout.observed_go_live_date is not null)
        -- Due and never seen on enough open days: nobody knows which of the two it is.
        and (
            rollout.status <> 'late'
            or coalesce(open_days.since_planned_count, 0) >= {{ var('go_live_open_days') }}
        )
),

weekly as (
    select
        region_markets.market,
        region_markets.region_code,
        region_markets.directorate_code,
        region_markets.go_live_date,
        weeks.week_date,
        sum(days.offered_count) as offered_count,
        sum(days.answered_count) as answered_count,
        sum(days.abandoned_count - days.short_abandoned_count) as long_abandoned_count,
        sum(days.answered_within_20s_count) as answered_within_20s_count,
        sum(days.identified_answered_count) as identified_answered_count,
        sum(days.resolved_by_customer_file_count) as resolved_by_customer_file_count,
        sum(days.repeat_7d_count) as repeat_7d_count,
        sum(days.satisfied_count) as satisfied_count,
        sum(days.survey_count) as survey_count,
        sum(days.active_line_count) as line_days
    from days
    inner join weeks
        on days.business_date >= weeks.week_date
        and days.business_date < weeks.week_date + 7
    inner join region_markets
        on days.region_code = region_markets.region_code
        and days.market = region_markets.market
    group by
        region_markets.market, region_markets.region_code, region_markets.directorate_code,
        region_markets.go_live_date, weeks.week_date
),

final as (
    select
        weekly.market,
        outcomes.outcome,
        weekly.region_code,
        weekly.directorate_code,
        weekly.go_live_date,
        weekly.week_date,
        outcomes.numerator::bigint as numerator,
        outcomes.denominator::bigint as denominator,
        (outcomes.factor * outcomes.numerator / nullif(outcomes.denominator, 0))::double precision as value
    from weekly
    cross join lateral (
        values
        ('call_rate', 7000.0, weekly.offered_count, weekly.line_days),
        ('repeat_rate', 1.0, weekly.repeat_7d_count, weekly.identified_answered_count),
        ('service_level', 1.0, weekly.answered_within_20s_count, weekly.answered_count + weekly.long_abandoned_count),
        ('satisfaction', 1.0, weekly.satisfied_count, weekly.survey_count),
        ('identified_share', 1.0, weekly.resolved_by_customer_file_count, weekly.offered_count)
    ) as outcomes (outcome, factor, numerator, denominator)
)

select * from final
