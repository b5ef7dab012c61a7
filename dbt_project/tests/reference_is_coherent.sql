-- What the seeds must say together, beyond the rules in seeds.yml; each row is a broken rule and where.
with homes as (
    select * from {{ ref('int_homes') }}
    where home_key = department_code and region_code <> 'unknown'
),

problems as (
    select
        'a department has no directorate or zone from ' || valid_from as problem,
        department_code as place
    from homes
    where directorate_code = 'unknown' or zone_code = '*'
    union all
    select
        'a department lies in a zone of another region, directorate or clock' as problem,
        homes.department_code || ' in zone ' || homes.zone_code as place
    from homes
    inner join {{ ref('departments') }} as departments on homes.department_code = departments.department_code
    left join {{ ref('zones') }} as zones on homes.zone_code = zones.zone_code
    where
        (homes.region_code, homes.directorate_code, departments.time_zone)
        is distinct from (zones.region_code, zones.directorate_code, zones.time_zone)
    union all
    select
        'a site is regional without directorate, or a partner with one' as problem,
        site_code as place
    from {{ ref('sites') }}
    where (site_kind = 'regional') is distinct from (directorate_code is not null)
)

select * from problems
