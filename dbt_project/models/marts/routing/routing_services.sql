select
    dialled_number,
    market
from {{ ref('service_numbers') }}
