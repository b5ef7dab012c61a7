-- By department, by half-hour and by site, the figures add up to those of the service quality, place by place.
{{ config(meta={'feeds': ['calls', 'active_lines']}) }}
{%- set place = ['business_date', 'directorate_code', 'region_code', 'market'] %}
{%- set of_answers = [
    'answered_count', 'answered_within_20s_count', 'wait_answered_seconds', 'handle_seconds', 'transferred_count',
    'survey_count', 'satisfied_count', 'recommend_count', 'promoter_count', 'detractor_count',
] %}
{%- set of_calls = of_answers + [
    'offered_count', 'abandoned_count', 'short_abandoned_count', 'overflowed_lost_count', 'ivr_resolved_count',
    'ivr_abandoned_count', 'blocked_count', 'home_in_hours_count', 'home_off_hours_count', 'other_directorate_count',
    'offshore_in_hours_count', 'offshore_off_hours_count', 'other_site_count', 'in_hours_known_answered_count',
] %}
{%- set of_homes = [
    'identified_answered_count', 'withheld_answered_count', 'resolved_by_customer_file_count',
    'resolved_by_line_assignment_count', 'resolved_by_prefix_count', 'prefix_compared_count', 'prefix_disagreement_count',
] %}
{%- set who_answered = {
    'home_in_hours_count': "answered_by = 'home' and is_in_hours",
    'home_off_hours_count': "answered_by = 'home' and not is_in_hours",
    'other_directorate_count': "answered_by = 'other_directorate'",
    'offshore_in_hours_count': "answered_by = 'offshore' and is_in_hours",
    'offshore_off_hours_count': "answered_by = 'offshore' and not is_in_hours",
    'other_site_count': "answered_by = 'other_site'",
    'in_hours_known_answered_count': "answered_by <> 'unknown' and is_in_hours",
} %}
{%- set parts = {
    'mart_service_quality_department_daily': of_calls + of_homes + ['active_line_stock'],
    'mart_service_quality_half_hourly': of_calls,
    'mart_answers_by_site_daily': of_answers + of_homes[:2] + who_answered.keys() | list,
} %}

{% for mart, figures in parts.items() -%}
    select
        '{{ mart }}' as mart,
        {{ place | join(', ') }}
    from (
        select
            {{ place | join(', ') }},
        {% for figure in figures -%}
            {%- set is_of_site = mart == 'mart_answers_by_site_daily' and figure in who_answered -%}
            {{ 'case when ' ~ who_answered[figure] ~ ' then answered_count else 0 end as ' if is_of_site }}{{ figure }}
            {{- ',' if not loop.last }}
        {% endfor %}
        from {{ ref(mart) }}
        where {{ is_changed() }}
        union all
        select
            {{ place | join(', ') }},
            -{{ figures | join(', -') }}
        from {{ ref('mart_service_quality_daily') }}
        where {{ is_changed() }}
    ) as both_marts
    group by {{ place | join(', ') }}
    having coalesce(sum({{ figures | join('), 0) <> 0 or coalesce(sum(') }}), 0) <> 0
    {{ 'union all' if not loop.last }}
{% endfor %}
