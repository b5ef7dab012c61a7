with ledger as (
    select * from {{ ref('stg_ledger__deliveries') }}
),

deliveries as (
    select * from ledger
    where not is_withdrawn
),

began as (
    select min(landed_at) as first_landed_at from ledger
),

built as (
    select * from {{ ref('int_built_deliveries') }}
),

due as (
    select * from {{ ref('int_due_deliveries') }}
),

-- Published rows whose key an earlier date has: that one keeps it.
repeated as (
    select
        'calls' as feed,
        business_date,
        sum(leg_count)::bigint as row_count
    from {{ ref('int_call_cross_date_duplicates') }}
    group by business_date
    union all
    select
        'boutique_visits' as feed,
        business_date,
        count(*) as row_count
    from {{ ref('int_boutique_visit_cross_date_duplicates') }}
    group by business_date
),

counted as (
    select
        feed,
        business_date,
        max(delivery_id) as newest_delivery_id,
        count(*) as delivery_count,
        count(*) filter (where status = 'refused') as refused_count,
        count(supersedes_delivery_id) as restatement_count,
        min(landed_at) as first_landed_at,
        min(published_at) as first_published_at
    from deliveries
    group by feed, business_date
),

-- The delivery that a day is judged by: the one its figures are made of, else the newest.
judged as (
    select
        feed,
        business_date,
        due.due_at,
        built.delivery_id as built_delivery_id,
        coalesce(built.delivery_id, counted.newest_delivery_id) as delivery_id,
        counted.newest_delivery_id,
        coalesce(counted.delivery_count, 0) as delivery_count,
        coalesce(counted.refused_count, 0) as refused_count,
        coalesce(counted.restatement_count, 0) as restatement_count,
        counted.first_landed_at,
        counted.first_published_at
    from due
    full outer join counted using (feed, business_date)
    left join built using (feed, business_date)
),

final as (
    select
        judged.feed,
        judged.business_date,
        judged.due_at is not null as is_due,
        judged.due_at,
        case
            when judged.built_delivery_id is not null then 'published'
            when deliveries.status = 'refused' then 'refused'
            when deliveries.delivery_id is not null then 'arriving'
            else 'missing'
        end as status,
        judged.delivery_id,
        deliveries.rows_read,
        deliveries.rows_published,
        deliveries.rows_quarantined,
        case
            when judged.built_delivery_id is not null and judged.feed in ('calls', 'boutique_visits')
                then coalesce(repeated.row_count, 0)
        end as rows_repeated,
        judged.delivery_count,
        judged.refused_count,
        judged.restatement_count,
        deliveries.rows_added,
        deliveries.rows_removed,
        deliveries.rows_altered,
        judged.first_landed_at,
        deliveries.published_at,
        case
            when judged.first_published_at > judged.due_at
                then extract(epoch from judged.first_published_at - judged.due_at)::bigint
        end as lateness_seconds,
        (judged.business_date + 1 + time '06:00') at time zone 'Europe/Paris' < began.first_landed_at as is_backfill,
        deliveries.warning_count,
        newest.reason
    from judged
    cross join began
    left join deliveries on judged.delivery_id = deliveries.delivery_id
    left join deliveries as newest on judged.newest_delivery_id = newest.delivery_id
    left join repeated
        on judged.feed = repeated.feed
        and judged.business_date = repeated.business_date
)

select * from final
