{#- The metrics of charts and of the effect of the rollout, by daily mart, and the column that counts their persons: of
    the days, directorates and kinds of a week the most, as a sum would count who comes twice as two. -#}
{%- set measured = {
    'service_quality': {
        'abandonment_rate': 'offered_person_count',
        'call_rate': 'offered_person_count',
        'home_region_rate': 'offered_person_count',
        'mean_wait_seconds': 'offered_person_count',
        'offshore_in_hours_share': 'offered_person_count',
        'repeat_7d_rate': 'offered_person_count',
        'resolved_by_customer_file_share': 'offered_person_count',
        'satisfaction': 'offered_person_count',
        'service_level': 'offered_person_count',
    },
    'boutiques': {'left_unserved_rate': 'visit_person_count'},
    'interventions': {
        'appointment_kept_rate': 'promised_person_count',
        'first_time_right_rate': 'closed_person_count',
    },
} -%}

with service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
),

boutiques as (
    select * from {{ ref('mart_boutiques_daily') }}
),

interventions as (
    select * from {{ ref('mart_interventions_daily') }}
),

-- Each mart is read once, however many metrics rest on it.
final as (
    {% for mart, metrics in measured.items() -%}
        select
            weekly.week_start_date,
            weekly.region_code,
            weekly.market,
            figures.*
        from (
            select
                date_trunc('week', business_date::timestamp)::date as week_start_date,
                region_code,
                {{ 'market' if mart == 'service_quality' else 'null::text as market' }},
            {% for name, persons in metrics.items() -%}
                {%- set of = metric(mart, name) -%}
                sum({{ of.numerator }})::numeric as {{ name }}_numerator,
                sum({{ of.denominator }})::numeric as {{ name }}_denominator,
                max({{ persons }}) as {{ name }}_person_count{{ ',' if not loop.last }}
            {% endfor %}
            from {{ mart }}
            group by 1, 2, 3
        ) as weekly
        cross join
            lateral (
                values
                {% for name in metrics -%}
                    {%- set of = metric(mart, name) -%}
                    (
                        '{{ name }}', '{{ of.window }}', {{ of.scale }}, {{ '7.0' if of.is_per_line else '1.0' }},
                        {{ name }}_numerator, {{ name }}_denominator, {{ name }}_person_count
                    )
                    {{- ',' if not loop.last }}
                {% endfor %}
            ) as figures (metric, figure_window, scale, date_count, numerator, denominator, person_count)
        {% if not loop.last -%}
            union all
        {% endif %}
    {%- endfor %}
)

select * from final
