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

with finality as (
    {{ finality_by_date(windows) }}
),

-- Inlined in each branch, so that one branch reads no other's rows.
daily as not materialized (
    select
        sums.*,
        coalesce(finality.is_boutique_visits_final, false) as is_boutique_visits_final
    from {{ ref('mart_boutiques_daily') }} as sums
    left join finality on sums.business_date = finality.business_date
),

rolled as (
    {{ rolled_up('daily', sums, flags=['is_boutique_visits_final']) }}
)

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
    {{ rate('boutiques', 'satisfaction') }} as satisfaction
from rolled
