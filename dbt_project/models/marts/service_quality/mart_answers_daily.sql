{%- set counts = [
    'answered_count', 'answered_within_20s_count', 'handle_seconds', 'transferred_count', 'survey_count', 'satisfied_count',
    'recommend_count', 'promoter_count', 'detractor_count', 'identified_answered_count', 'repeat_1d_count',
    'repeat_7d_count', 'repeat_30d_count', 'repeat_7d_same_reason_count',
] -%}

with answers as (
    select *
    from {{ ref('mart_answers_by_reason_daily') }}
    {% if is_incremental() -%}
        where {{ is_changed() }}
    {%- endif %}
),

added_up as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        answered_by,
        sum(wait_answered_seconds)::numeric(16, 6) as wait_answered_seconds,
    {% for figure in counts -%}
        sum({{ figure }})::bigint as {{ figure }}{{ ',' if not loop.last }}
    {% endfor %}
    from answers
    group by business_date, directorate_code, region_code, market, answered_by
),

final as (
    {{ named('added_up', windows=['repeat_1d', 'repeat_7d', 'repeat_30d']) }}
)

select * from final
