with metrics as (
    select * from {{ ref('agg_metrics_weekly') }}
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
        -- If the data do not show when it went live, take the planned date.
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
        -- Due, and never seen on enough open days: it may be live or not.
        and (
            rollout.status <> 'late'
            or coalesce(open_days.since_planned_count, 0) >= {{ var('go_live_open_days') }}
        )
),

final as (
    select
        metrics.market,
        metrics.metric as outcome,
        metrics.region_code,
        region_markets.directorate_code,
        region_markets.go_live_date,
        weeks.week_date,
        metrics.numerator::bigint as numerator,
        metrics.denominator::bigint as denominator,
        (
            metrics.scale * metrics.date_count * metrics.numerator / nullif(metrics.denominator, 0)
        )::double precision as value
    from metrics
    inner join weeks on metrics.week_start_date = weeks.week_date
    inner join region_markets
        on metrics.region_code = region_markets.region_code
        and metrics.market = region_markets.market
    where
        metrics.metric in (
            'call_rate', 'repeat_7d_rate', 'service_level', 'satisfaction', 'resolved_by_customer_file_share'
        )
)

select * from final
