{%- set sums = [
    'visit_count',
    'served_count',
    'sale_count',
    'left_unserved_count',
    'wait_served_count',
    'wait_served_seconds',
    'survey_count',
    'satisfied_count',
] -%}
{%- set windows = ['boutique_visits'] -%}

{{ rolled_up_with_finality('mart_boutiques_daily', sums, windows) }}

select
    period,
    period_start_date,
    period_end_date,
    area,
    area_code,
    day_count,
    is_boutique_visits_final,
    visit_count::bigint as visit_count,
    survey_count::bigint as survey_count,
    {{ rate('boutiques', 'served_rate') }} as served_rate,
    {{ rate('boutiques', 'sale_rate') }} as sale_rate,
    {{ rate('boutiques', 'left_unserved_rate') }} as left_unserved_rate,
    {{ rate('boutiques', 'mean_wait_seconds') }} as mean_wait_seconds,
    {{ rate('boutiques', 'satisfaction') }} as satisfaction,
    served_count::bigint as served_count,
    sale_count::bigint as sale_count,
    left_unserved_count::bigint as left_unserved_count,
    wait_served_count::bigint as wait_served_count,
    wait_served_seconds::numeric(20, 6) as wait_served_seconds,
    satisfied_count::bigint as satisfied_count,
    is_whole_period
from rolled
