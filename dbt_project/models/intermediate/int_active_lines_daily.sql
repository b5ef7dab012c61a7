with active_lines as (
    select * from {{ ref('int_active_lines_monthly') }}
),

built as (
    select * from {{ ref('int_built_deliveries') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

spans as (
    select
        min(business_date)::timestamp as first_date,
        max(business_date)::timestamp as last_date
    from built
    where feed in ('calls', 'boutique_visits', 'interventions')
),

dates as (
    select day::date as business_date
    from spans
    cross join generate_series(first_date, last_date, interval '1 day') as day
),

-- The markets first: the days of a month then meet a third of the rows.
months as (
    select
        month_date,
        next_month_date,
        department_code,
        sum(line_count) as line_count
    from active_lines
    group by 1, 2, 3
),

final as (
    select
        dates.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        sum(months.line_count)::bigint as active_line_stock
    from dates
    inner join months
        on dates.business_date >= months.month_date
        and dates.business_date < months.next_month_date
    left join homes
        on months.department_code = homes.home_key
        and dates.business_date >= homes.valid_from
        and dates.business_date < homes.valid_to
    group by 1, 2, 3
)

select * from final
