select
    business_date as snapshot_date,
    boutique_code,
    name as boutique_name,
    department_code,
    opened_on,
    closed_on
from {{ source('raw', 'boutiques') }}
