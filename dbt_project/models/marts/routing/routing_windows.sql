select
    zone_code,
    local_date,
    opens_at,
    closes_at
from {{ ref('int_zone_opening_windows') }}
