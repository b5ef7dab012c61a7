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

extracts as (
    select
        min(business_date) as first_date,
        max(business_date) as last_date
    from {{ ref('int_built_deliveries') }}
    where feed = 'interventions'
),

active_lines as (
    select * from {{ ref('int_active_lines_monthly') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

-- Of the days before the first extract only what was still open is known.
dates as (
    select day::date as business_date
    from extracts
    cross join generate_series(first_date::timestamp, last_date::timestamp, interval '1 day') as day
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
        sum(open_in_departments.open_count) as open_count
    from open_in_departments
    left join homes
        on open_in_departments.department_code = homes.home_key
        and open_in_departments.business_date >= homes.valid_from
        and open_in_departments.business_date < homes.valid_to
    group by 1, 2, 3, 4
),

lines_monthly as (
    select
        month_date,
        next_month_date,
        department_code,
        sum(line_count) as line_count
    from active_lines
    group by 1, 2, 3
),

lines_daily as (
    select
        dates.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        'repair' as kind,
        sum(lines_monthly.line_count) as active_line_count
    from dates
    inner join lines_monthly
        on dates.business_date >= lines_monthly.month_date
        and dates.business_date < lines_monthly.next_month_date
    left join homes
        on lines_monthly.department_code = homes.home_key
        and dates.business_date >= homes.valid_from
        and dates.business_date < homes.valid_to
    group by 1, 2, 3
),

-- Regions with lines and without jobs have a row too, or the lines of all regions would not add up.
cells as (
    select business_date, directorate_code, region_code, kind from open_jobs
    union
    select business_date, directorate_code, region_code, kind from lines_daily
),

final as (
    select
        cells.business_date,
        cells.directorate_code,
        cells.region_code,
        cells.kind,
        {% for column in sums -%}
            {%- set type = 'bigint' if column.endswith('_count') else 'numeric(16, 6)' %}
            coalesce(jobs.{{ column }}, 0)::{{ type }} as {{ column }},
        {% endfor -%}
        coalesce(open_jobs.open_count, 0)::bigint as open_count,
        lines_daily.active_line_count::bigint as active_line_count,
        coalesce(jobs.requested_person_count, 0) as requested_person_count,
        coalesce(jobs.closed_person_count, 0) as closed_person_count,
        coalesce(jobs.promised_person_count, 0) as promised_person_count
    from cells
    left join jobs using (business_date, directorate_code, region_code, kind)
    left join open_jobs using (business_date, directorate_code, region_code, kind)
    left join lines_daily using (business_date, directorate_code, region_code, kind)
)

select * from final
