select
    build_id,
    delivery_id
from {{ source('ops', 'build_delivery') }}
