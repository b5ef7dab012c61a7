with daily as (
    select * from {{ ref('agg_interventions_daily') }}
),

extracts as (
    select
        min(business_date) as first_date,
        max(business_date) as last_date
    from {{ ref('int_built_deliveries') }}
    where feed = 'interventions'
),

-- Of the days before the first extract only what was still open is known.
dates as (
    select day::date as business_date
    from extracts
    cross join generate_series(first_date::timestamp, last_date::timestamp, interval '1 day') as day
),

department_kinds as (
    select distinct department_code, kind from daily
),

-- A day without jobs has its open ones too. Added, not joined: a join would compare every day with every other.
changes as (
    select business_date, department_code, kind, requested_count - closed_count as open_change from daily
    union all
    select dates.business_date, department_kinds.department_code, department_kinds.kind, 0 as open_change
    from dates
    cross join department_kinds
),

open_jobs as (
    select
        business_date,
        department_code,
        kind,
        sum(sum(open_change)) over (partition by department_code, kind order by business_date) as open_job_stock
    from changes
    group by 1, 2, 3
),

-- A day that no extract has reached yet waits.
final as (
    select open_jobs.*
    from open_jobs
    inner join dates on open_jobs.business_date = dates.business_date
)

select * from final
