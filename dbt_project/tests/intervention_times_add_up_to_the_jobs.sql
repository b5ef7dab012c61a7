-- The histogram has the jobs that mart_interventions_daily has, place by place, and none of dates without an extract.
{{ config(meta={'feeds': ['intervention_events', 'intervention_places']}) }}

with times as (
    select
        business_date,
        directorate_code,
        region_code,
        kind,
        sum(job_count) filter (where figure = 'appointment_delay') as delay_count,
        sum(job_count) filter (where figure <> 'appointment_delay') as done_count
    from {{ ref('mart_intervention_time_histogram_daily') }}
    where {{ is_changed() }}
    group by 1, 2, 3, 4
),

jobs as (
    select
        business_date,
        directorate_code,
        region_code,
        kind,
        appointment_delay_count,
        done_count
    from {{ ref('mart_interventions_daily') }}
    where {{ is_changed() }}
)

select *
from jobs
full outer join times using (business_date, directorate_code, region_code, kind)
where
    coalesce(times.delay_count, 0) <> coalesce(jobs.appointment_delay_count, 0)
    or coalesce(times.done_count, 0) <> coalesce(jobs.done_count, 0)
