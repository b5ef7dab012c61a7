with daily as not materialized (
    select * from {{ ref('mart_intervention_time_histogram_daily') }}
),

rolled as (
    {{ rolled_up('daily', ['job_count'], kept=['kind', 'figure', 'hours'], long_periods=false) }}
),

cumulative as (
    select
        *,
        sum(job_count) over (
            partition by period, period_start_date, area, area_code, kind, figure order by hours
        ) as up_to_count,
        sum(job_count) over (
            partition by period, period_start_date, area, area_code, kind, figure
        ) as all_count
    from rolled
)

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    kind,
    figure,
    max(all_count)::bigint as job_count,
    min(hours) filter (where up_to_count >= 0.5 * all_count) as p50_hours,
    min(hours) filter (where up_to_count >= 0.8 * all_count) as p80_hours,
    min(hours) filter (where up_to_count >= 0.95 * all_count) as p95_hours,
    min(hours) filter (where up_to_count >= 0.99 * all_count) as p99_hours
from cumulative
group by period, period_start_date, period_end_date, area, area_code, kind, figure
