with sites as (
    select * from {{ ref('sites') }}
),

regions as (
    select * from {{ ref('regions') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

final as (
    select
        sites.site_code,
        sites.site_name,
        sites.site_kind,
        sites.directorate_code,
        directorates.directorate_name,
        sites.region_code,
        regions.region_name,
        sites.time_zone,
        sites.holiday_calendar,
        sites.is_offshore,
        sites.opened_on,
        sites.closed_on,
        sites.is_sample
    from sites
    left join directorates on sites.directorate_code = directorates.directorate_code
    left join regions on sites.region_code = regions.region_code
)

select * from final
