with deliveries as (
    select
        *,
        max(delivery_id) filter (where status = 'withdrawn') over (partition by feed, business_date) as withdrawn_id
    from {{ source('ops', 'delivery') }}
)

select
    delivery_id,
    feed,
    business_date,
    status,
    rows_read,
    rows_published,
    rows_quarantined,
    reason,
    supersedes_delivery_id,
    landed_at,
    published_at,
    built_in,
    jsonb_array_length(warnings) as warning_count,
    (changes ->> 'rows_added')::bigint as rows_added,
    (changes ->> 'rows_removed')::bigint as rows_removed,
    (changes ->> 'rows_altered')::bigint as rows_altered,
    is_misdated,
    status = 'withdrawn' or (status = 'superseded' and delivery_id < coalesce(withdrawn_id, 0)) as is_withdrawn
from deliveries
