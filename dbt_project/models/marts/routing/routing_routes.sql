select
    route_code,
    market,
    band,
    priority,
    site_code,
    weight
from {{ ref('route_sites') }}
