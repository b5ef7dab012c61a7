with visits as (
    select business_date, visit_id
    from {{ ref('int_boutique_visits') }}
),

kept_earlier as (
    select
        later.business_date,
        later.visit_id,
        earlier.business_date as kept_business_date
    from visits as later
    inner join visits as earlier
        on later.visit_id = earlier.visit_id
        and later.business_date > earlier.business_date
    union all
    select
        business_date,
        visit_id,
        published_date as kept_business_date
    from {{ published_elsewhere('fct_boutique_visits', 'visit_id', 'visits') }}
    where published_date < business_date
),

final as (
    select
        business_date,
        visit_id,
        min(kept_business_date) as kept_business_date
    from kept_earlier
    group by business_date, visit_id
)

select * from final
