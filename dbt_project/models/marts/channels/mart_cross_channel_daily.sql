{#- What is counted on the contacts of each feed: null where their own delivery is missing. -#}
{%- set figures = {
    'calls': ['customer_answered_count', 'visit_after_call_7d_count', 'job_after_call_7d_count'],
    'boutique_visits': ['customer_visit_count', 'call_after_visit_7d_count', 'job_after_visit_7d_count'],
    'interventions': ['customer_closed_count', 'call_after_job_7d_count', 'call_after_job_30d_count'],
} -%}

with cells as (
    select * from {{ ref('agg_cross_channel_daily') }}
),

persons as (
    select * from {{ ref('agg_channel_persons_daily') }}
),

final_dates as (
    {{ final_dates(figures.keys() | list) }}
),

counted as (
    select
        cells.business_date,
        cells.directorate_code,
        cells.region_code,
        {% for feed in figures -%}
            coalesce(final_dates.is_{{ feed }}_final, false) as is_{{ feed }}_complete,
        {% endfor -%}
        {% for feed, columns in figures.items() -%}
            {% for column in columns -%}
                case when final_dates.is_{{ feed }}_final then cells.{{ column }} end as {{ column }},
            {% endfor -%}
        {% endfor -%}
        case
            when final_dates.is_calls_final then coalesce(persons.customer_answered_person_count, 0) else 0
        end as customer_answered_person_count,
        case
            when final_dates.is_boutique_visits_final then coalesce(persons.customer_visit_person_count, 0) else 0
        end as customer_visit_person_count,
        case
            when final_dates.is_interventions_final then coalesce(persons.customer_closed_person_count, 0) else 0
        end as customer_closed_person_count
    from cells
    inner join final_dates on cells.business_date = final_dates.business_date
    left join persons
        on cells.business_date = persons.business_date
        and cells.directorate_code = persons.directorate_code
        and cells.region_code = persons.region_code
    -- Extracts of other dates tell of jobs closed on dates that have no delivery at all.
    where final_dates.is_calls_final or final_dates.is_boutique_visits_final or final_dates.is_interventions_final
),

final as (
    {{ named('counted', windows=[
        'visit_after_call_7d', 'call_after_visit_7d', 'call_after_job_7d', 'call_after_job_30d', 'job_after_call_7d',
        'job_after_visit_7d',
    ]) }}
)

select * from final
