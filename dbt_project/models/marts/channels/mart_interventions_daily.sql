{%- set sums = [
    'requested_count',
    'requested_after_installation_count',
    'closed_count',
    'done_count',
    'incomplete_count',
    'customer_absent_count',
    'technician_absent_count',
    'cancelled_count',
    'done_with_line_count',
    'first_time_right_count',
    'promised_slot_count',
    'appointment_count',
    'appointment_kept_count',
    'operator_no_show_count',
    'customer_no_access_count',
    'appointment_delay_count',
    'appointment_delay_days',
    'supply_count',
    'supply_days',
    'repair_count',
    'repair_hours',
] -%}

{#- The largest of a cell's departments: a sum would count people with jobs in two of them twice. -#}
{%- set persons = ['requested_person_count', 'closed_person_count', 'promised_person_count'] %}

with daily as (
    select * from {{ ref('agg_interventions_daily') }}
),

open_in_departments as (
    select * from {{ ref('agg_open_interventions_daily') }}
),

final_dates as (
    {{ final_dates(['interventions', 'first_time_right_30d']) }}
),

lines_daily as (
    select
        *,
        'repair' as kind
    from {{ ref('int_active_lines_daily') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

-- Jobs as the date's extract tells them are final once it is there.
extracts as (
    select
        min(business_date)::timestamp as first_date,
        max(business_date)::timestamp as last_date
    from final_dates
    where is_interventions_final
),

-- Of the days before the first extract only what was still open is known; of one without its own, what others tell.
dates as (
    select
        day::date as business_date,
        coalesce(final_dates.is_interventions_final, false) as is_interventions_complete,
        coalesce(final_dates.is_first_time_right_30d_final, false) as is_first_time_right_30d_final
    from extracts
    cross join generate_series(first_date, last_date, interval '1 day') as day
    left join final_dates on day::date = final_dates.business_date
),

jobs as (
    select
        daily.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        daily.kind,
    {% for column in sums + persons -%}
        {{ 'max' if column in persons else 'sum' }}(daily.{{ column }}) as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
    from daily
    inner join dates on daily.business_date = dates.business_date
    left join homes
        on daily.department_code = homes.home_key
        and daily.business_date >= homes.valid_from
        and daily.business_date < homes.valid_to
    group by 1, 2, 3, 4
),

open_jobs as (
    select
        open_in_departments.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        open_in_departments.kind,
        sum(open_in_departments.open_job_stock) as open_job_stock
    from open_in_departments
    left join homes
        on open_in_departments.department_code = homes.home_key
        and open_in_departments.business_date >= homes.valid_from
        and open_in_departments.business_date < homes.valid_to
    group by 1, 2, 3, 4
),

-- Regions with lines and without jobs have a row too, or the lines of all regions would not add up.
cells as (
    select business_date, directorate_code, region_code, kind from open_jobs
    union
    select business_date, directorate_code, region_code, kind from lines_daily
),

figures as (
    select
        cells.business_date,
        cells.directorate_code,
        cells.region_code,
        cells.kind,
        dates.is_interventions_complete,
        dates.is_first_time_right_30d_final,
        {% for column in sums -%}
            {%- set type = 'bigint' if column.endswith('_count') else 'numeric(16, 6)' %}
            case when is_interventions_complete then coalesce(jobs.{{ column }}, 0) end::{{ type }} as {{ column }},
        {% endfor -%}
        {% for column in persons -%}
            case when is_interventions_complete then coalesce(jobs.{{ column }}, 0) else 0 end as {{ column }},
        {% endfor -%}
        case when is_interventions_complete then coalesce(open_jobs.open_job_stock, 0) end::bigint as open_job_stock,
        lines_daily.active_line_stock
    from cells
    inner join dates using (business_date)
    left join jobs using (business_date, directorate_code, region_code, kind)
    left join open_jobs using (business_date, directorate_code, region_code, kind)
    left join lines_daily using (business_date, directorate_code, region_code, kind)
),

-- The names of 0.2.0, for one release.
with_old_names as (
    select
        *,
        open_job_stock as open_count,
        active_line_stock as active_line_count
    from figures
),

final as (
    {{ named('with_old_names') }}
)

select * from final
