-- Every delivery in force is in the mart with its rows. What arrived after this build began is the next build's.
with ledger as (
    select
        published.feed,
        sum(published.rows_published) as rows_published
    from {{ ref('int_built_deliveries') }} as built
    inner join {{ ref('stg_ledger__deliveries') }} as published
        on built.delivery_id = published.delivery_id and published.status = 'published'
    group by published.feed
),

marts as (
    select
        health.feed,
        sum(health.rows_published) as rows_published
    from {{ ref('mart_feed_health') }} as health
    inner join {{ ref('stg_ledger__deliveries') }} as published
        on health.delivery_id = published.delivery_id and published.status = 'published'
    where health.status = 'published'
    group by health.feed
)

select
    feed,
    ledger.rows_published as ledger_rows_published,
    marts.rows_published as mart_rows_published
from ledger
full outer join marts using (feed)
where ledger.rows_published is distinct from marts.rows_published
