with daily as not materialized (
    select * from {{ ref('mart_wait_histogram_daily') }}
),

rolled as (
    {{ rolled_up('daily', ['answered_count'], by='market', kept=['wait_seconds'], long_periods=false) }}
),

cumulative as (
    select
        *,
        sum(answered_count) over (
            partition by period, period_start_date, area, area_code, market order by wait_seconds
        ) as up_to_count,
        sum(answered_count) over (
            partition by period, period_start_date, area, area_code, market
        ) as all_count
    from rolled
)

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    market,
    max(all_count)::bigint as answered_count,
    min(wait_seconds) filter (where up_to_count >= 0.5 * all_count) as p50_seconds,
    min(wait_seconds) filter (where up_to_count >= 0.95 * all_count) as p95_seconds
from cumulative
group by period, period_start_date, period_end_date, area, area_code, market
