-- No leg is lost and none counts twice: legs of all contacts + legs left out as duplicates = rows the ledger published.
-- A day of which another delivery arrived after this build began is the next build's.
with deliveries as (
    select built.*
    from {{ ref('int_built_deliveries') }} as built
    inner join {{ ref('stg_ledger__deliveries') }} as published
        on built.delivery_id = published.delivery_id and published.status = 'published'
    where built.feed = 'calls'
),

legs as (
    select
        business_date,
        sum(leg_count) as leg_count
    from (
        select business_date, leg_count from {{ ref('agg_calls_daily') }}
        union all
        select business_date, leg_count from {{ ref('int_call_cross_date_duplicates') }}
    ) as counted
    group by business_date
)

select
    deliveries.business_date,
    deliveries.rows_published,
    legs.leg_count
from deliveries
left join legs on deliveries.business_date = legs.business_date
where deliveries.rows_published <> coalesce(legs.leg_count, 0)
