-- Over who answered, `unknown` included, the answers are those of the service quality, place by place.
{{ config(meta={'feeds': ['calls'], 'lookback_days': 31}) }}
{%- set figures = [
    'answered_count', 'answered_within_20s_count', 'wait_answered_seconds', 'handle_seconds', 'transferred_count',
    'identified_answered_count', 'repeat_1d_count', 'repeat_7d_count', 'repeat_30d_count', 'repeat_7d_same_reason_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
] %}

with both_marts as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        {{ figures | join(', ') }}
    from {{ ref('mart_answers_daily') }}
    where {{ is_changed() }}
    union all
    select
        business_date,
        directorate_code,
        region_code,
        market,
        -{{ figures | join(', -') }}
    from {{ ref('mart_service_quality_daily') }}
    where {{ is_changed() }}
),

differences as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
    {% for figure in figures -%}
        sum({{ figure }}) as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from both_marts
    group by business_date, directorate_code, region_code, market
)

select *
from differences
where ({{ figures | join(', ') }}) <> (0{{ ', 0' * (figures | length - 1) }})
