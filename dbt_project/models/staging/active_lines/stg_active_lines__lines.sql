select
    business_date as snapshot_date,
    month as month_date,
    department_code,
    market,
    lines as line_count
from {{ source('raw', 'active_lines') }}
