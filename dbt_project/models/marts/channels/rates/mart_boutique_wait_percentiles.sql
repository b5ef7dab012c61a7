with daily as not materialized (
    select * from {{ ref('mart_boutique_wait_histogram_daily') }}
),

rolled as (
    {{ rolled_up('daily', ['visit_count'], kept=['wait_seconds'], long_periods=false) }}
),

cumulative as (
    select
        *,
        sum(visit_count) over (
            partition by period, period_start_date, area, area_code order by wait_seconds
        ) as up_to_count,
        sum(visit_count) over (
            partition by period, period_start_date, area, area_code
        ) as all_count
    from rolled
)

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    max(all_count)::bigint as visit_count,
    min(wait_seconds) filter (where up_to_count >= 0.5 * all_count) as p50_seconds,
    min(wait_seconds) filter (where up_to_count >= 0.95 * all_count) as p95_seconds
from cumulative
group by period, period_start_date, period_end_date, area, area_code
