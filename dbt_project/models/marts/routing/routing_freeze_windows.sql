select
    starts_at,
    ends_at,
    reason
from {{ ref('freeze_windows') }}
