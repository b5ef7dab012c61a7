select
    business_date,
    visit_id,
    boutique_code,
    arrived_at,
    served_at,
    left_at,
    customer_key,
    reason_code,
    outcome,
    satisfaction,
    customer_identity,
    row_identity
from {{ source('raw', 'boutique_visits') }}
