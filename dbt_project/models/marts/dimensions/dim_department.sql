with departments as (
    select * from {{ ref('departments') }}
),

regions as (
    select * from {{ ref('regions') }}
),

homes as (
    select * from {{ ref('int_homes') }}
),

directorates as (
    select * from {{ ref('directorates') }}
),

final as (
    select
        departments.department_code,
        departments.department_name,
        'FR-' || departments.department_code as iso_code,
        departments.region_code,
        regions.region_name,
        homes.directorate_code,
        directorates.directorate_name,
        homes.certainty as directorate_certainty,
        homes.zone_code,
        departments.time_zone
    from departments
    inner join regions on departments.region_code = regions.region_code
    inner join homes
        on departments.department_code = homes.home_key
        and homes.valid_to = 'infinity'
    left join directorates on homes.directorate_code = directorates.directorate_code
)

select * from final
