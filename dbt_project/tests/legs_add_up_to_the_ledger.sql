-- No leg is lost and none counts twice: legs of all contacts + legs left out as duplicates = rows the ledger published.
-- A delivery that arrived after this build began is the next build's.
with deliveries as (
    select deliveries.*
    from {{ ref('stg_ledger__published_deliveries') }} as deliveries
    where
        deliveries.feed = 'calls'
        and (
            deliveries.built_in is not null
            or not exists (
                select 1 from {{ source('ops', 'build') }}
                where status = 'running'
            )
            or exists (
                select 1
                from {{ source('ops', 'build_delivery') }} as seen
                inner join {{ source('ops', 'build') }} as build on seen.build_id = build.build_id
                where build.status = 'running' and deliveries.delivery_id = seen.delivery_id
            )
        )
),

legs as (
    select
        business_date,
        sum(leg_count) as leg_count
    from (
        select business_date, leg_count from {{ ref('int_calls_daily') }}
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
