select
    caller_key,
    department_code,
    valid_from,
    coalesce(valid_to, 'infinity') as valid_to
from {{ source('raw', 'line_assignments') }}
