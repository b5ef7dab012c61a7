-- National totals equal the sum over directorates and regions, unknown ones included.
{{ config(meta={'feeds': ['boutique_visits']}) }}

with facts as (
    select
        business_date,
        count(*) as visit_count,
        coalesce(sum(wait_seconds), 0) as wait_served_seconds
    from {{ ref('fct_boutique_visits') }}
    where {{ is_changed() }}
    group by business_date
),

marts as (
    select
        business_date,
        sum(visit_count) as visit_count,
        sum(wait_served_seconds) as wait_served_seconds
    from {{ ref('mart_boutiques_daily') }}
    where {{ is_changed() }}
    group by business_date
)

select
    business_date,
    facts.visit_count as fact_visit_count,
    marts.visit_count as mart_visit_count,
    facts.wait_served_seconds as fact_wait_served_seconds,
    marts.wait_served_seconds as mart_wait_served_seconds
from facts
full outer join marts using (business_date)
where
    coalesce(facts.visit_count, 0) <> coalesce(marts.visit_count, 0)
    or coalesce(facts.wait_served_seconds, 0) <> coalesce(marts.wait_served_seconds, 0)
