with calls_and_visits as (
    select *
    from {{ ref('int_calls_and_visits_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

calls_after_jobs as (
    select *
    from {{ ref('int_calls_after_jobs_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

final as (
    select
        business_date,
        directorate_code,
        coalesce(calls_and_visits.customer_answered_count, 0) as customer_answered_count,
        coalesce(calls_and_visits.visit_after_call_7d_count, 0) as visit_after_call_7d_count,
        coalesce(calls_and_visits.customer_visit_count, 0) as customer_visit_count,
        coalesce(calls_and_visits.call_after_visit_7d_count, 0) as call_after_visit_7d_count,
        coalesce(calls_after_jobs.customer_closed_count, 0) as customer_closed_count,
        coalesce(calls_after_jobs.call_after_job_7d_count, 0) as call_after_job_7d_count,
        coalesce(calls_after_jobs.call_after_job_30d_count, 0) as call_after_job_30d_count
    from calls_and_visits
    full outer join calls_after_jobs using (business_date, directorate_code)
)

select * from final
