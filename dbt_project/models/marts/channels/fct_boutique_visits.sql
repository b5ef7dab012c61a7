with visits as (
    select * from {{ ref('int_boutique_visits') }}
),

duplicates as (
    select * from {{ ref('int_boutique_visit_cross_date_duplicates') }}
),

boutiques as (
    select * from {{ ref('int_boutiques') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

final as (
    select
        visits.business_date,
        visits.visit_id,
        visits.identity_key,
        visits.is_identified,
        visits.customer_key,
        visits.boutique_code,
        boutiques.boutique_code is not null as is_known_boutique,
        boutiques.department_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        visits.arrived_at,
        visits.served_at,
        visits.left_at,
        visits.wait_seconds::numeric(16, 6) as wait_seconds,
        visits.reason_code,
        visits.outcome,
        visits.satisfaction
    from visits
    left join duplicates
        on visits.business_date = duplicates.business_date
        and visits.visit_id = duplicates.visit_id
    left join boutiques
        on visits.boutique_code = boutiques.boutique_code
        and visits.business_date >= boutiques.valid_from
        and visits.business_date < boutiques.valid_to
    left join homes
        on boutiques.department_code = homes.home_key
        and visits.business_date >= homes.valid_from
        and visits.business_date < homes.valid_to
    where duplicates.visit_id is null
)

select * from final
