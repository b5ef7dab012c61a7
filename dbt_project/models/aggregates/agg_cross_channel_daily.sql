{%- set place = ['business_date', 'directorate_code', 'region_code'] -%}
{%- set figures = {
    'agg_calls_and_visits_daily': [
        'customer_answered_count', 'visit_after_call_7d_count', 'customer_visit_count', 'call_after_visit_7d_count',
    ],
    'agg_calls_after_jobs_daily': ['customer_closed_count', 'call_after_job_7d_count', 'call_after_job_30d_count'],
    'agg_jobs_after_contacts_daily': ['job_after_call_7d_count', 'job_after_visit_7d_count'],
} -%}

with calls_and_visits as (
    select * from {{ ref('agg_calls_and_visits_daily') }}
),

calls_after_jobs as (
    select * from {{ ref('agg_calls_after_jobs_daily') }}
),

jobs_after_contacts as (
    select * from {{ ref('agg_jobs_after_contacts_daily') }}
),

figures as (
    {% for model in figures -%}
        select
            {{ place | join(', ') }},
        {% for column in figures.values() | sum(start=[]) -%}
            {{ column if column in figures[model] else '0' }} as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
        from {{ model | replace('agg_', '') | replace('_daily', '') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        {{ place | join(', ') }},
    {% for column in figures.values() | sum(start=[]) -%}
        sum({{ column }})::bigint as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from figures
    group by {{ place | join(', ') }}
)

select * from final
