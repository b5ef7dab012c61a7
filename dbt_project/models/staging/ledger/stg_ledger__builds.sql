select
    build_id,
    status
from {{ source('ops', 'build') }}
