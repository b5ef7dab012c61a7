select
    site_code,
    site_name,
    site_kind,
    directorate_code,
    time_zone,
    sip_address,
    is_offshore,
    opened_on as valid_from,
    closed_on as valid_to
from {{ ref('sites') }}
