select
    zone_code,
    time_zone
from {{ ref('zones') }}
