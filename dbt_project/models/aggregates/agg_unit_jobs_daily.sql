with jobs as (
    select * from {{ ref('fct_interventions') }}
),

final as (
    select
        closed_date as business_date,
        department_code,
        kind,
        unit_directorate_code,
        count(*) as closed_count,
        count(*) filter (where result = 'done') as done_count
    from jobs
    where
        closed_date is not null
        {% if is_incremental() -%}
            and {{ is_changed('closed_date') }}
        {%- endif %}
    group by closed_date, department_code, kind, unit_directorate_code
)

select * from final
