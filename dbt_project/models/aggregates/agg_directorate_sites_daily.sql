with service_quality as (
    select * from {{ ref('mart_service_quality_daily') }}
),

boutiques_daily as (
    select * from {{ ref('mart_boutiques_daily') }}
),

interventions_daily as (
    select * from {{ ref('mart_interventions_daily') }}
),

site_calls as (
    select * from {{ ref('mart_answers_by_site_daily') }}
    where site_code <> 'none'
),

sites as (
    select * from {{ ref('sites') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

dates as (
    select business_date from service_quality
    union
    select business_date from boutiques_daily
    union
    select business_date from interventions_daily
),

named as (
    select directorate_code from directorates
    union all
    select 'unknown' as directorate_code
),

cells as (
    select
        dates.business_date,
        named.directorate_code
    from dates
    cross join named
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
        count(*) as site_count
    from dates
    inner join sites
        on dates.business_date >= sites.opened_on
        and dates.business_date < coalesce(sites.closed_on, 'infinity')
    group by 1, 2
),

final as (
    select
        business_date,
        directorate_code,
        coalesce(open_sites.site_count, 0) as site_count,
        coalesce(own_calls.answered_count, 0)::bigint as answered_count,
        coalesce(own_calls.handle_seconds, 0)::bigint as handle_seconds
    from cells
    left join own_calls using (business_date, directorate_code)
    left join open_sites using (business_date, directorate_code)
)

select * from final
