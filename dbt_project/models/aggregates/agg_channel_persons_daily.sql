with homes as (
    select * from {{ ref('int_homes') }}
),

calls as (
    select * from {{ ref('agg_calls_daily') }}
),

visits as (
    select * from {{ ref('mart_boutiques_daily') }}
),

jobs as (
    select * from {{ ref('agg_interventions_daily') }}
),

-- A sum would count people in two markets, departments or kinds twice, so take the largest of these.
final as (
    select
        business_date,
        directorate_code,
        region_code,
        max(customer_answered_person_count) as customer_answered_person_count,
        max(customer_visit_person_count) as customer_visit_person_count,
        max(customer_closed_person_count) as customer_closed_person_count
    from (
        select
            business_date,
            directorate_code,
            region_code,
            customer_answered_person_count,
            0 as customer_visit_person_count,
            0 as customer_closed_person_count
        from calls
        union all
        select
            business_date,
            directorate_code,
            region_code,
            0 as customer_answered_person_count,
            customer_visit_person_count,
            0 as customer_closed_person_count
        from visits
        union all
        select
            jobs.business_date,
            coalesce(homes.directorate_code, 'unknown') as directorate_code,
            coalesce(homes.region_code, 'unknown') as region_code,
            0 as customer_answered_person_count,
            0 as customer_visit_person_count,
            jobs.customer_closed_person_count
        from jobs
        left join homes
            on jobs.department_code = homes.home_key
            and jobs.business_date >= homes.valid_from
            and jobs.business_date < homes.valid_to
    ) as counted
    group by business_date, directorate_code, region_code
)

select * from final
