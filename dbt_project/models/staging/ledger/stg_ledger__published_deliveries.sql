select
    delivery_id,
    feed,
    business_date,
    rows_published,
    built_in
from {{ source('ops', 'delivery') }}
where status = 'published'
