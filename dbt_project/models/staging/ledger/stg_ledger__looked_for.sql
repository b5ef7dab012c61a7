select
    feed,
    business_date
from {{ source('ops', 'looked_for') }}
