{#-
    Every ratio of the marts, once, by the daily mart whose columns it adds up (mart_<name>_daily). A row has the metric's
    name, its numerator and denominator, its unit, and the figure window (seed figure_windows) that must be final for it.
    The denominator of `per_1000_lines` has the lines of each date added up, and stands for their mean over the dates.
-#}
{% macro metrics() %}
    {%- set valid = 'answered_count + abandoned_count - short_abandoned_count' -%}
    {%- set known -%}
        home_in_hours_count + home_off_hours_count + other_directorate_count
        + offshore_in_hours_count + offshore_off_hours_count + other_site_count
    {%- endset -%}
    {%- set resolved -%}
        resolved_by_customer_file_count + resolved_by_line_assignment_count + resolved_by_prefix_count
    {%- endset -%}
    {%- set same_reason = 'identified_answered_count - repeat_7d_same_reason_count' -%}
    {{ return({
        'service_quality': [
            ('abandonment_rate', 'abandoned_count - short_abandoned_count', valid, 'share', 'calls'),
            ('service_level', 'answered_within_20s_count', valid, 'share', 'calls'),
            ('answered_within_20s_rate', 'answered_within_20s_count', 'answered_count', 'share', 'calls'),
            ('mean_wait_seconds', 'wait_answered_seconds', 'answered_count', 'seconds', 'calls'),
            ('mean_handle_seconds', 'handle_seconds', 'answered_count', 'seconds', 'calls'),
            ('transfer_rate', 'transferred_count', 'answered_count', 'share', 'calls'),
            ('home_region_rate', 'home_in_hours_count', 'in_hours_known_answered_count', 'share', 'calls'),
            ('home_in_hours_share', 'home_in_hours_count', known, 'share', 'calls'),
            ('home_off_hours_share', 'home_off_hours_count', known, 'share', 'calls'),
            ('other_directorate_share', 'other_directorate_count', known, 'share', 'calls'),
            ('offshore_in_hours_share', 'offshore_in_hours_count', known, 'share', 'calls'),
            ('offshore_off_hours_share', 'offshore_off_hours_count', known, 'share', 'calls'),
            ('other_site_share', 'other_site_count', known, 'share', 'calls'),
            ('region_resolved_rate', resolved, 'offered_count', 'share', 'calls'),
            ('resolved_by_customer_file_share', 'resolved_by_customer_file_count', 'offered_count', 'share', 'calls'),
            ('resolved_by_line_assignment_share', 'resolved_by_line_assignment_count', 'offered_count', 'share', 'calls'),
            ('resolved_by_prefix_share', 'resolved_by_prefix_count', 'offered_count', 'share', 'calls'),
            ('prefix_disagreement_rate', 'prefix_disagreement_count', 'prefix_compared_count', 'share', 'calls'),
            ('withheld_share', 'withheld_answered_count', 'answered_count', 'share', 'calls'),
            ('repeat_1d_rate', 'repeat_1d_count', 'identified_answered_count', 'share', 'repeat_1d'),
            ('repeat_7d_rate', 'repeat_7d_count', 'identified_answered_count', 'share', 'repeat_7d'),
            ('repeat_30d_rate', 'repeat_30d_count', 'identified_answered_count', 'share', 'repeat_30d'),
            ('repeat_7d_missed_rate', 'repeat_7d_missed_count', 'identified_answered_count', 'share', 'repeat_7d'),
            (
                'first_contact_resolution', 'identified_answered_count - repeat_7d_count', 'identified_answered_count',
                'share', 'repeat_7d'
            ),
            ('first_contact_resolution_same_reason', same_reason, 'identified_answered_count', 'share', 'repeat_7d'),
            ('satisfaction', 'satisfied_count', 'survey_count', 'share', 'calls'),
            ('net_promoter_score', 'promoter_count - detractor_count', 'recommend_count', 'points', 'calls'),
            ('call_rate', 'offered_count', 'active_line_stock', 'per_1000_lines', 'call_rate'),
        ],
        'boutiques': [
            ('served_rate', 'served_count', 'visit_count', 'share', 'boutique_visits'),
            ('sale_rate', 'sale_count', 'visit_count', 'share', 'boutique_visits'),
            ('left_unserved_rate', 'left_unserved_count', 'visit_count', 'share', 'boutique_visits'),
            ('mean_wait_seconds', 'wait_served_seconds', 'wait_served_count', 'seconds', 'boutique_visits'),
            ('satisfaction', 'satisfied_count', 'survey_count', 'share', 'boutique_visits'),
        ],
        'interventions': [
            ('first_time_right_rate', 'first_time_right_count', 'done_with_line_count', 'share', 'first_time_right_30d'),
            ('appointment_kept_rate', 'appointment_kept_count', 'appointment_count', 'share', 'interventions'),
            ('operator_no_show_rate', 'operator_no_show_count', 'promised_slot_count', 'share', 'interventions'),
            ('customer_no_access_rate', 'customer_no_access_count', 'promised_slot_count', 'share', 'interventions'),
            ('mean_appointment_delay_days', 'appointment_delay_days', 'appointment_delay_count', 'days', 'interventions'),
            ('mean_supply_days', 'supply_days', 'supply_count', 'days', 'interventions'),
            ('mean_repair_hours', 'repair_hours', 'repair_count', 'hours', 'interventions'),
            (
                'repair_after_installation_share', 'requested_after_installation_count', 'requested_count',
                'share', 'interventions'
            ),
            ('fault_rate_per_1000_lines', 'requested_count', 'active_line_stock', 'per_1000_lines', 'interventions'),
        ],
        'cross_channel': [
            ('visit_after_call_7d_rate', 'visit_after_call_7d_count', 'customer_answered_count', 'share', 'visit_after_call_7d'),
            ('call_after_visit_7d_rate', 'call_after_visit_7d_count', 'customer_visit_count', 'share', 'call_after_visit_7d'),
            ('call_after_job_7d_rate', 'call_after_job_7d_count', 'customer_closed_count', 'share', 'call_after_job_7d'),
            ('call_after_job_30d_rate', 'call_after_job_30d_count', 'customer_closed_count', 'share', 'call_after_job_30d'),
            ('job_after_call_7d_rate', 'job_after_call_7d_count', 'customer_answered_count', 'share', 'job_after_call_7d'),
            ('job_after_visit_7d_rate', 'job_after_visit_7d_count', 'customer_visit_count', 'share', 'job_after_visit_7d'),
        ],
    }) }}
{% endmacro %}


{#- The row of a metric of a daily mart, and its `scale`: what its unit is times the quotient. -#}
{% macro metric(mart, name) %}
    {%- set scales = {'points': '100.0', 'per_1000_lines': '1000.0'} -%}
    {%- for known, numerator, denominator, unit, window in metrics()[mart] if known == name -%}
        {{ return({
            'numerator': numerator,
            'denominator': denominator,
            'is_per_line': unit == 'per_1000_lines',
            'scale': scales.get(unit, '1.0'),
            'window': window,
        }) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('macros/metrics.sql has no metric ' ~ name ~ ' of ' ~ mart) }}
{% endmacro %}


{#- A metric of sums over `day_count` dates: null without a denominator, to six places. -#}
{% macro rate(mart, name) -%}
    {%- set of = metric(mart, name) -%}
    {%- set numerator = of.numerator ~ ' * day_count' if of.is_per_line else of.numerator -%}
    ({{ of.scale }} * ({{ numerator }}) / nullif({{ of.denominator }}, 0))::numeric(16, 6)
{%- endmacro %}


{#- A metric of a week, from the columns <prefix>_numerator and <prefix>_denominator: null without a denominator. -#}
{% macro weekly_rate(mart, name, prefix) -%}
    {%- set of = metric(mart, name) -%}
    {%- set factor = of.scale ~ ' * 7' if of.is_per_line else of.scale -%}
    ({{ factor }} * {{ prefix }}_numerator / nullif({{ prefix }}_denominator, 0))::numeric(16, 6)
{%- endmacro %}
