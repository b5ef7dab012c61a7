with deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where status in ('published', 'superseded') and not is_withdrawn
),

running as (
    select build_id from {{ ref('stg_ledger__builds') }}
    where status = 'running'
),

seen as (
    select delivery_id
    from {{ ref('stg_ledger__build_deliveries') }}
    inner join running using (build_id)
),

-- What arrived after the running build began is the next build's; the delivery it replaced is still in force here.
final as (
    select distinct on (deliveries.feed, deliveries.business_date)
        deliveries.feed,
        deliveries.business_date,
        deliveries.delivery_id,
        deliveries.rows_published
    from deliveries
    left join seen on deliveries.delivery_id = seen.delivery_id
    where
        deliveries.built_in is not null
        or seen.delivery_id is not null
        or not exists (select 1 from running)
    order by deliveries.feed asc, deliveries.business_date asc, deliveries.delivery_id desc
)

select * from final
