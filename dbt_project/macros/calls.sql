{#-
    What is counted of contacts, each figure once: by its name, the aggregate over rows of fct_calls. They are selected by
    `counted_calls`.
-#}
{% macro figures_of_calls() %}
    {%- set is_in_both -%}
        home_source = 'customer_file' and num_nulls(home_department_code, prefix_department_code) = 0
    {%- endset -%}
    {%- set is_placed = "is_offered and home_region_code <> 'unknown'" -%}
    {%- set conditions = {
        'offered_count': 'is_offered',
        'answered_count': "outcome = 'answered'",
        'abandoned_count': "outcome = 'abandoned'",
        'short_abandoned_count': 'is_short_abandon',
        'overflowed_lost_count': "outcome = 'overflowed_lost'",
        'ivr_resolved_count': "outcome = 'ivr_resolved'",
        'ivr_abandoned_count': "outcome = 'ivr_abandoned'",
        'blocked_count': "outcome = 'blocked'",
        'answered_within_20s_count': "outcome = 'answered' and wait_seconds <= " ~ var('service_level_seconds'),
        'transferred_count': 'is_transferred',
        'identified_answered_count': "outcome = 'answered' and is_identified",
        'withheld_answered_count': "outcome = 'answered' and is_withheld",
        'home_in_hours_count': "answered_by = 'home' and is_in_hours",
        'home_off_hours_count': "answered_by = 'home' and not is_in_hours",
        'other_directorate_count': "answered_by = 'other_directorate'",
        'offshore_in_hours_count': "answered_by = 'offshore' and is_in_hours",
        'offshore_off_hours_count': "answered_by = 'offshore' and not is_in_hours",
        'other_site_count': "answered_by = 'other_site'",
        'in_hours_known_answered_count': 'answered_by is not null and is_in_hours',
        'resolved_by_customer_file_count': is_placed ~ " and home_source = 'customer_file'",
        'resolved_by_line_assignment_count': is_placed ~ " and home_source = 'line_assignment'",
        'resolved_by_prefix_count': is_placed ~ " and home_source = 'prefix'",
        'prefix_compared_count': 'is_offered and ' ~ is_in_both,
        'prefix_disagreement_count':
            'is_offered and ' ~ is_in_both ~ ' and home_department_code <> prefix_department_code',
        'satisfied_count': 'satisfaction >= 4',
        'promoter_count': 'recommend >= 9',
        'detractor_count': 'recommend <= 6',
    } -%}
    {%- set figures = {
        'leg_count': 'sum(leg_count)',
        'wait_answered_seconds':
            "coalesce(sum(wait_seconds) filter (where outcome = 'answered'), 0)::numeric(16, 6)",
        'handle_seconds': 'sum(handle_seconds)::bigint',
        'survey_count': 'count(satisfaction)',
        'recommend_count': 'count(recommend)',
    } -%}
    {%- for name, condition in conditions.items() -%}
        {%- do figures.update({name: 'count(*) filter (where ' ~ condition ~ ')'}) -%}
    {%- endfor -%}
    {{ return(figures) }}
{% endmacro %}


{#- Figures of contacts by name, as the end of a select list. -#}
{% macro counted_calls(names) %}
    {%- set figures = figures_of_calls() -%}
    {%- for name in names %}
        {{ figures[name] }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{% endmacro %}
