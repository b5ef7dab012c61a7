select
    business_date as snapshot_date,
    prefix,
    department_code,
    region_2012 as region_name
from {{ source('raw', 'numbering_plan') }}
