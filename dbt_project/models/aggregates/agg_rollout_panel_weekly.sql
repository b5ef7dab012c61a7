with metrics as (
    select * from {{ ref('agg_metrics_weekly') }}
),

cohorts as (
    select * from {{ ref('agg_rollout_cohorts') }}
),

finality as (
    select * from {{ ref('mart_finality_daily') }}
),

-- Later deliveries change nothing of these weeks, restatements apart: each is estimated from once.
weeks as (
    select date_trunc('week', business_date::timestamp)::date as week_date
    from finality
    where figure_window = 'repeat_7d' and status = 'final'
    group by week_date
    having count(*) = 7
),

final as (
    select
        metrics.market,
        metrics.metric as outcome,
        metrics.region_code,
        cohorts.directorate_code,
        case when cohorts.withdrawn_on is null then cohorts.planned_go_live_date end as planned_go_live_date,
        cohorts.go_live_date,
        weeks.week_date,
        metrics.numerator::bigint as numerator,
        metrics.denominator::bigint as denominator,
        (
            metrics.scale * metrics.date_count * metrics.numerator / nullif(metrics.denominator, 0)
        )::double precision as value
    from metrics
    inner join weeks on metrics.week_start_date = weeks.week_date
    inner join cohorts
        on metrics.region_code = cohorts.region_code
        and metrics.market = cohorts.market
    where
        cohorts.is_comparable
        and metrics.metric in (
            'call_rate', 'repeat_7d_rate', 'service_level', 'satisfaction', 'offshore_in_hours_share',
            'resolved_by_customer_file_share'
        )
)

select * from final
