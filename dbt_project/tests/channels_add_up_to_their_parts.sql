-- Callers who came, boutique by boutique and reason by reason, are those of the directorates and regions.
{{ config(meta={'feeds': ['calls', 'boutique_visits'], 'lookback_days': 8}) }}
{%- set place = ['business_date', 'directorate_code', 'region_code'] %}
{%- set figures = [
    'customer_answered_count', 'visit_after_call_7d_count', 'customer_visit_count', 'call_after_visit_7d_count',
    'visit_count', 'served_count', 'sale_count', 'left_unserved_count', 'wait_served_count', 'wait_served_seconds',
    'survey_count', 'satisfied_count',
] %}
{%- set marts = {
    'mart_visits_after_calls_daily': (1, figures[:2]),
    'mart_boutique_visits_daily': (1, figures[2:]),
    'mart_cross_channel_daily': (-1, figures[:4]),
    'mart_boutiques_daily': (-1, figures[4:]),
} %}

with both_sides as (
    {% for mart, (sign, known) in marts.items() -%}
        select
            {{ place | join(', ') }},
        {% for figure in figures -%}
            {{ sign ~ ' * ' ~ figure if figure in known else '0' }} as {{ figure }}{{ ',' if not loop.last }}
        {% endfor %}
        from {{ ref(mart) }}
        where {{ is_changed() }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

differences as (
    select
        {{ place | join(', ') }},
    {% for figure in figures -%}
        sum({{ figure }}) as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from both_sides
    group by {{ place | join(', ') }}
)

select *
from differences
where ({{ figures | join(', ') }}) <> (0{{ ', 0' * (figures | length - 1) }})
