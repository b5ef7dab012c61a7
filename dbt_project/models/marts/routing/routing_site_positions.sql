select
    site_positions.site_code,
    sites.time_zone,
    site_positions.weekday,
    site_positions.half_hour_local,
    site_positions.position_count
from {{ ref('site_positions') }} as site_positions
inner join {{ ref('sites') }} as sites on site_positions.site_code = sites.site_code
