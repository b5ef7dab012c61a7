-- Of the dates that this build recomputes, against all dates.
{{ config(meta={'feeds': ['boutique_visits']}) }}

with visits as (
    select
        business_date,
        visit_id
    from {{ ref('fct_boutique_visits') }}
),

copies as (
    select
        business_date,
        visit_id
    from visits
    union all
    select
        published_date as business_date,
        visit_id
    from {{ published_elsewhere('fct_boutique_visits', 'visit_id', 'visits') }}
)

select
    min(business_date) as business_date,
    visit_id,
    count(*) as row_count
from copies
group by visit_id
having count(*) > 1
