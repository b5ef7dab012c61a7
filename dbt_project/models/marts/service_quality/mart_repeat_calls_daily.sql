select
    business_date,
    directorate_code,
    region_code,
    market,
    reason_code,
    identified_answered_count,
    repeat_1d_count,
    repeat_7d_count,
    repeat_30d_count,
    repeat_7d_same_reason_count
from {{ ref('int_repeat_calls_daily') }}
{% if is_incremental() -%}
    where {{ is_changed() }}
{%- endif %}
