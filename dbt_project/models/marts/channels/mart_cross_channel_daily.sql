{%- set windows = [
    'visit_after_call_7d', 'call_after_visit_7d', 'call_after_job_7d', 'call_after_job_30d', 'job_after_call_7d',
    'job_after_visit_7d',
] -%}

with figures as (
    select * from {{ ref('agg_cross_channel_daily') }}
),

persons as (
    select * from {{ ref('agg_channel_persons_daily') }}
),

regions as (
    select * from {{ ref('dim_region') }}
),

directorates as (
    select * from {{ ref('dim_directorate') }}
),

final_dates as (
    select
        business_date,
    {% for window in windows -%}
        bool_or(figure_window = '{{ window }}' and status = 'final') as is_{{ window }}_final{{ ',' if not loop.last }}
    {% endfor %}
    from {{ ref('mart_finality_daily') }}
    group by business_date
),

final as (
    select
        figures.business_date,
        figures.directorate_code,
        figures.region_code,
        directorates.directorate_name,
        regions.region_name,
        figures.customer_answered_count,
        figures.visit_after_call_7d_count,
        figures.job_after_call_7d_count,
        figures.customer_visit_count,
        figures.call_after_visit_7d_count,
        figures.job_after_visit_7d_count,
        figures.customer_closed_count,
        figures.call_after_job_7d_count,
        figures.call_after_job_30d_count,
        {% for window in windows -%}
            coalesce(final_dates.is_{{ window }}_final, false) as is_{{ window }}_final,
        {% endfor -%}
        persons.customer_answered_person_count,
        persons.customer_visit_person_count,
        persons.customer_closed_person_count
    from figures
    left join persons
        on figures.business_date = persons.business_date
        and figures.directorate_code = persons.directorate_code
        and figures.region_code = persons.region_code
    left join directorates on figures.directorate_code = directorates.directorate_code
    left join regions on figures.region_code = regions.region_code
    left join final_dates on figures.business_date = final_dates.business_date
)

select * from final
