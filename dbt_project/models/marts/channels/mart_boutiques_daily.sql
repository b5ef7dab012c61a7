with visits as (
    select *
    from {{ all_dates('fct_boutique_visits') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

-- Days whose visits are in this build: a delivered Sunday has open boutiques and no visits.
dates as (
    select business_date
    from {{ ref('int_built_deliveries') }}
    where
        feed = 'boutique_visits'
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
),

boutiques as (
    select * from {{ ref('int_boutiques') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

open_boutiques as (
    select
        dates.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        count(*) as open_boutique_stock
    from dates
    inner join boutiques
        on dates.business_date >= boutiques.valid_from
        and dates.business_date < boutiques.valid_to
        and dates.business_date >= boutiques.opened_on
        and dates.business_date < coalesce(boutiques.closed_on, 'infinity')
    left join homes
        on boutiques.department_code = homes.home_key
        and dates.business_date >= homes.valid_from
        and dates.business_date < homes.valid_to
    group by 1, 2, 3
),

counted as (
    select
        business_date,
        directorate_code,
        region_code,
        count(*) as visit_count,
        count(*) filter (where outcome in ('served', 'sale')) as served_count,
        count(*) filter (where outcome = 'sale') as sale_count,
        count(*) filter (where outcome = 'left_unserved') as left_unserved_count,
        count(wait_seconds) as wait_served_count,
        coalesce(sum(wait_seconds), 0) as wait_served_seconds,
        count(*) filter (where is_identified) as identified_count,
        count(satisfaction) as survey_count,
        count(*) filter (where satisfaction >= 4) as satisfied_count,
        count(distinct identity_key) as visit_person_count,
        count(distinct identity_key) filter (where customer_key is not null) as customer_visit_person_count
    from visits
    group by 1, 2, 3
),

figures as (
    select
        business_date,
        directorate_code,
        region_code,
        dates.business_date is not null as is_boutique_visits_complete,
        coalesce(counted.visit_count, 0) as visit_count,
        coalesce(counted.served_count, 0) as served_count,
        coalesce(counted.sale_count, 0) as sale_count,
        coalesce(counted.left_unserved_count, 0) as left_unserved_count,
        coalesce(counted.wait_served_count, 0) as wait_served_count,
        coalesce(counted.wait_served_seconds, 0)::numeric(16, 6) as wait_served_seconds,
        coalesce(counted.identified_count, 0) as identified_count,
        coalesce(counted.survey_count, 0) as survey_count,
        coalesce(counted.satisfied_count, 0) as satisfied_count,
        coalesce(open_boutiques.open_boutique_stock, 0) as open_boutique_stock,
        -- The name of 0.2.0, for one release.
        coalesce(open_boutiques.open_boutique_stock, 0) as open_boutique_count,
        coalesce(counted.visit_person_count, 0) as visit_person_count,
        coalesce(counted.customer_visit_person_count, 0) as customer_visit_person_count
    from counted
    full outer join open_boutiques using (business_date, directorate_code, region_code)
    left join dates using (business_date)
),

final as (
    {{ named('figures') }}
)

select * from final
