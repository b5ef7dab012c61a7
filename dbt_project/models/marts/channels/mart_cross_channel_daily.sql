{#- What is counted on the contacts of each feed: null where their own delivery is missing. -#}
{%- set figures = {
    'calls': ['customer_answered_count', 'visit_after_call_7d_count', 'job_after_call_7d_count'],
    'boutique_visits': ['customer_visit_count', 'call_after_visit_7d_count', 'job_after_visit_7d_count'],
    'interventions': ['customer_closed_count', 'call_after_job_7d_count', 'call_after_job_30d_count'],
} -%}
{%- set persons = {
    'calls': 'customer_answered_person_count',
    'boutique_visits': 'customer_visit_person_count',
    'interventions': 'customer_closed_person_count',
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
            {% for column in figures[feed] -%}
                case when final_dates.is_{{ feed }}_final then cells.{{ column }} end as {{ column }},
            {% endfor -%}
            case
                when final_dates.is_{{ feed }}_final then coalesce(persons.{{ persons[feed] }}, 0) else 0
            end as {{ persons[feed] }}{{ ',' if not loop.last }}
        {% endfor %}
    from cells
    inner join final_dates on cells.business_date = final_dates.business_date
    left join persons
        on cells.business_date = persons.business_date
        and cells.directorate_code = persons.directorate_code
        and cells.region_code = persons.region_code
    -- Extracts of other dates tell of jobs closed on dates that have no delivery at all.
    where
        {% for feed in figures -%}
            {{ 'or ' if not loop.first }}final_dates.is_{{ feed }}_final
        {% endfor %}
),

final as (
    {{ named('counted', windows=[
        'visit_after_call_7d', 'call_after_visit_7d', 'call_after_job_7d', 'call_after_job_30d', 'job_after_call_7d',
        'job_after_visit_7d',
    ]) }}
)

select * from final
