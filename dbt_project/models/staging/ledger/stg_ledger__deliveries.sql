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
    (changes ->> 'rows_altered')::bigint as rows_altered
from {{ source('ops', 'delivery') }}
