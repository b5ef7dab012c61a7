with due as (
    select * from {{ ref('int_due_deliveries') }}
),

deliveries as (
    select * from {{ ref('stg_ledger__deliveries') }}
    where status = 'published'
),

final as (
    select
        due.feed,
        due.business_date,
        due.due_at
    from due
    left join deliveries
        on due.feed = deliveries.feed
        and due.business_date = deliveries.business_date
    where deliveries.delivery_id is null
)

select * from final
