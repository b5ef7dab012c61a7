with built as (
    select * from {{ ref('int_built_deliveries') }}
),

site_calls as (
    select * from {{ ref('agg_site_calls_daily') }}
),

sites as (
    select * from {{ ref('sites') }}
),

directorates as (
    select * from {{ ref('dim_directorate') }}
),

intervention_units as (
    select * from {{ ref('intervention_units') }}
),

active_lines as (
    select * from {{ ref('int_active_lines_daily') }}
),

dates as (
    select distinct business_date
    from built
    where feed in ('calls', 'boutique_visits', 'interventions')
),

units as (
    select
        directorate_code,
        count(*) as unit_stock
    from intervention_units
    group by 1
),

cells as (
    select
        dates.business_date,
        directorates.directorate_code,
        directorates.directorate_name,
        coalesce(units.unit_stock, 0) as unit_stock
    from dates
    cross join directorates
    left join units on directorates.directorate_code = units.directorate_code
),

-- Partners, and sites that nobody knows, are of no directorate.
own_calls as (
    select
        site_calls.business_date,
        coalesce(sites.directorate_code, 'unknown') as directorate_code,
        sum(site_calls.answered_count) as answered_count,
        sum(site_calls.handle_seconds) as handle_seconds
    from site_calls
    left join sites on site_calls.site_code = sites.site_code
    group by 1, 2
),

open_sites as (
    select
        dates.business_date,
        coalesce(sites.directorate_code, 'unknown') as directorate_code,
        count(*) as site_stock
    from dates
    inner join sites
        on dates.business_date >= sites.opened_on
        and dates.business_date < coalesce(sites.closed_on, 'infinity')
    group by 1, 2
),

lines as (
    select
        business_date,
        directorate_code,
        sum(active_line_stock)::bigint as active_line_stock
    from active_lines
    group by 1, 2
),

final as (
    select
        business_date,
        directorate_code,
        cells.directorate_name,
        cells.unit_stock,
        coalesce(open_sites.site_stock, 0) as site_stock,
        lines.active_line_stock,
        coalesce(own_calls.answered_count, 0)::bigint as answered_count,
        coalesce(own_calls.handle_seconds, 0)::bigint as handle_seconds
    from cells
    left join own_calls using (business_date, directorate_code)
    left join open_sites using (business_date, directorate_code)
    left join lines using (business_date, directorate_code)
)

select * from final
