with calls_and_visits as (
    select *
    from {{ ref('agg_calls_and_visits_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

calls_after_jobs as (
    select *
    from {{ ref('agg_calls_after_jobs_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

homes as (
    select * from {{ ref('int_homes') }}
),

-- A sum would count people in two regions, markets, departments or kinds twice, so take the largest of these.
persons as (
    select
        business_date,
        directorate_code,
        max(customer_answered_person_count) as customer_answered_person_count,
        max(customer_visit_person_count) as customer_visit_person_count,
        max(customer_closed_person_count) as customer_closed_person_count
    from (
        select
            business_date,
            directorate_code,
            customer_answered_person_count,
            0 as customer_visit_person_count,
            0 as customer_closed_person_count
        from {{ ref('agg_calls_daily') }}
        {% if is_incremental() -%}
            where {{ is_changed() }}
        {%- endif %}
        union all
        select
            business_date,
            directorate_code,
            0 as customer_answered_person_count,
            customer_visit_person_count,
            0 as customer_closed_person_count
        from {{ ref('mart_boutiques_daily') }}
        {% if is_incremental() -%}
            where {{ is_changed() }}
        {%- endif %}
        union all
        select
            jobs.business_date,
            coalesce(homes.directorate_code, 'unknown') as directorate_code,
            0 as customer_answered_person_count,
            0 as customer_visit_person_count,
            jobs.customer_closed_person_count
        from {{ ref('agg_interventions_daily') }} as jobs
        left join homes
            on jobs.department_code = homes.home_key
            and jobs.business_date >= homes.valid_from
            and jobs.business_date < homes.valid_to
        {% if is_incremental() -%}
            where {{ is_changed('jobs.business_date') }}
        {%- endif %}
    ) as counted
    group by business_date, directorate_code
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
        coalesce(calls_after_jobs.call_after_job_30d_count, 0) as call_after_job_30d_count,
        persons.customer_answered_person_count,
        persons.customer_visit_person_count,
        persons.customer_closed_person_count
    from calls_and_visits
    full outer join calls_after_jobs using (business_date, directorate_code)
    left join persons using (business_date, directorate_code)
)

select * from final
