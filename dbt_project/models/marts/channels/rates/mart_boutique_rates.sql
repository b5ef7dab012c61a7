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
    {{ ratio('served_count', 'visit_count') }} as served_rate,
    {{ ratio('sale_count', 'visit_count') }} as sale_rate,
    {{ ratio('left_unserved_count', 'visit_count') }} as left_unserved_rate,
    {{ ratio('wait_served_seconds', 'wait_served_count') }} as mean_wait_seconds,
    {{ ratio('satisfied_count', 'survey_count') }} as satisfaction
from rolled
