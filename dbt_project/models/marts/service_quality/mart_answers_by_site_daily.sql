{%- set figures = [
    'answered_count', 'answered_within_20s_count', 'wait_answered_seconds', 'handle_seconds', 'transferred_count',
    'identified_answered_count', 'withheld_answered_count', 'survey_count', 'satisfied_count', 'recommend_count',
    'promoter_count', 'detractor_count',
] -%}

with counted as (
    select
        business_date,
        home_directorate_code as directorate_code,
        home_region_code as region_code,
        market,
        case when outcome = 'answered' then coalesce(site_code, 'unknown') else 'none' end as site_code,
        coalesce(is_in_hours, false) as is_in_hours,
        coalesce(answered_by, 'unknown') as answered_by,
        {{- counted_calls(figures) }}
    from {{ all_dates('fct_calls') }}
    where
        (outcome = 'answered' or handle_seconds <> 0 or num_nonnulls(satisfaction, recommend) > 0)
        {% if is_incremental() -%}
            and {{ is_changed() }}
        {%- endif %}
    group by 1, 2, 3, 4, 5, 6, 7
),

final as (
    {{ named('counted', of=['directorate', 'region', 'site']) }}
)

select * from final
