{#- What each channel's own mart adds up to, by that channel. -#}
{%- set sums = {
    'calls': [
        'offered_count', 'answered_count', 'abandoned_count', 'short_abandoned_count', 'answered_within_20s_count',
        'wait_answered_seconds', 'home_in_hours_count', 'in_hours_known_answered_count', 'identified_answered_count',
        'repeat_7d_count', 'survey_count', 'satisfied_count',
    ],
    'boutiques': [
        'open_boutique_stock', 'visit_count', 'served_count', 'left_unserved_count', 'wait_served_count',
        'wait_served_seconds',
    ],
    'interventions': [
        'done_count', 'done_with_line_count', 'first_time_right_count', 'appointment_count', 'appointment_kept_count',
        'open_job_stock',
    ],
} -%}

with directorates as (
    select * from {{ ref('agg_directorate_sites_daily') }}
),

service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
),

boutiques_daily as (
    select * from {{ ref('mart_boutiques_daily') }}
),

interventions_daily as (
    select * from {{ ref('mart_interventions_daily') }}
),

final_dates as (
    {{ final_dates([
        'calls', 'repeat_7d', 'call_rate', 'boutique_visits', 'interventions', 'first_time_right_30d'
    ]) }}
),

calls as (
    select
        business_date,
        directorate_code,
        {% for column in sums['calls'] -%}
            sum({{ column }}) as {{ column }},
        {% endfor -%}
        max(offered_person_count) as offered_person_count
    from service_quality
    group by 1, 2
),

boutiques as (
    select
        business_date,
        directorate_code,
        {% for column in sums['boutiques'] -%}
            sum({{ column }}) as {{ column }},
        {% endfor -%}
        max(visit_person_count) as visit_person_count
    from boutiques_daily
    group by 1, 2
),

interventions as (
    select
        business_date,
        directorate_code,
        {% for column in sums['interventions'] -%}
            sum({{ column }}) as {{ column }},
        {% endfor -%}
        sum(requested_count) filter (where kind = 'installation') as requested_installation_count,
        sum(requested_count) filter (where kind = 'repair') as requested_repair_count,
        max(requested_person_count) filter (where kind = 'installation') as requested_installation_person_count,
        max(requested_person_count) filter (where kind = 'repair') as requested_repair_person_count
    from interventions_daily
    group by 1, 2
),

-- A date without a channel's delivery has none of its figures, not zeros.
final as (
    select
        business_date,
        directorate_code,
        directorates.directorate_name,
        coalesce(final_dates.is_calls_final, false) as is_calls_complete,
        coalesce(final_dates.is_boutique_visits_final, false) as is_boutique_visits_complete,
        coalesce(final_dates.is_interventions_final, false) as is_interventions_complete,
        coalesce(final_dates.is_repeat_7d_final, false) as is_repeat_7d_final,
        coalesce(final_dates.is_call_rate_final, false) as is_call_rate_final,
        coalesce(final_dates.is_first_time_right_30d_final, false) as is_first_time_right_30d_final,
        {% for channel, feed in [
            ('calls', 'calls'), ('boutiques', 'boutique_visits'), ('interventions', 'interventions')
        ] -%}
            {%- set requested = ['requested_installation_count', 'requested_repair_count'] -%}
            {% for column in sums[channel] + (requested if channel == 'interventions' else []) -%}
                {%- set type = 'numeric(16, 6)' if column.endswith('_seconds') else 'bigint' -%}
                case
                    when final_dates.is_{{ feed }}_final then coalesce({{ channel }}.{{ column }}, 0)
                end::{{ type }} as {{ column }},
            {% endfor -%}
        {% endfor -%}
        case when final_dates.is_calls_final then directorates.answered_count end as own_site_answered_count,
        case when final_dates.is_calls_final then directorates.handle_seconds end as own_site_handle_seconds,
        directorates.active_line_stock,
        directorates.site_stock,
        directorates.unit_stock,
        coalesce(calls.offered_person_count, 0) as offered_person_count,
        coalesce(boutiques.visit_person_count, 0) as visit_person_count,
        coalesce(interventions.requested_installation_person_count, 0) as requested_installation_person_count,
        coalesce(interventions.requested_repair_person_count, 0) as requested_repair_person_count
    from directorates
    left join final_dates using (business_date)
    left join calls using (business_date, directorate_code)
    left join boutiques using (business_date, directorate_code)
    left join interventions using (business_date, directorate_code)
),

-- The names of 0.2.0, for one release.
with_old_names as (
    select
        *,
        active_line_stock as active_line_count,
        site_stock as site_count,
        unit_stock as unit_count,
        open_boutique_stock as open_boutique_count,
        open_job_stock as open_count
    from final
)

select * from with_old_names
