-- No visit is lost and none counts twice: visits + those left out as duplicates = rows the ledger published.
-- A day of which another delivery arrived after this build began is the next build's.
with deliveries as (
    select built.*
    from {{ ref('int_built_deliveries') }} as built
    inner join {{ ref('stg_ledger__deliveries') }} as published
        on built.delivery_id = published.delivery_id and published.status = 'published'
    where built.feed = 'boutique_visits'
),

visits as (
    select
        business_date,
        sum(visit_count) as visit_count
    from (
        select business_date, visit_count from {{ ref('mart_boutiques_daily') }}
        union all
        select business_date, 1 as visit_count from {{ ref('int_boutique_visit_cross_date_duplicates') }}
    ) as counted
    group by business_date
)

select
    deliveries.business_date,
    deliveries.rows_published,
    visits.visit_count
from deliveries
left join visits on deliveries.business_date = visits.business_date
where deliveries.rows_published <> coalesce(visits.visit_count, 0)
