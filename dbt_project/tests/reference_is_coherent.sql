-- What the seeds must say together; each row is a broken rule and where.
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
        'a zone has a holiday calendar without holidays' as problem,
        zone_code as place
    from {{ ref('zones') }}
    where holiday_calendar not in (select holiday_calendar from {{ ref('public_holidays') }})
    union all
    select
        'opening hours overlap, end before they begin, or are of no zone' as problem,
        hours.zone_code || ' weekday ' || hours.weekday as place
    from {{ ref('zone_hours') }} as hours
    where
        hours.opens_at >= hours.closes_at
        or hours.zone_code not in (select zone_code from {{ ref('zones') }})
        or exists (
            select 1 from {{ ref('zone_hours') }} as others
            where
                hours.zone_code = others.zone_code
                and hours.weekday = others.weekday
                and hours.opens_at < others.opens_at
                and hours.closes_at > others.opens_at
        )
    union all
    select
        'a region of the plan or of the numbering default does not exist' as problem,
        region_code as place
    from (
        select region_code from {{ ref('rollout_plan') }}
        union all
        select region_code from {{ ref('numbering_default') }}
    ) as named
    where region_code not in (select region_code from {{ ref('regions') }})
    union all
    select
        'a route is of no zone or leads to a site that does not exist' as problem,
        route_code || ' to ' || site_code as place
    from {{ ref('route_sites') }}
    where
        route_code not in (
            select 'national' as route_code
            union all
            select zone_code from {{ ref('zones') }}
        )
        or site_code not in (select site_code from {{ ref('sites') }})
    union all
    select
        'a site has positions and does not exist, or is regional without directorate, or a partner with one' as problem,
        site_code as place
    from (
        select site_code, site_kind, directorate_code from {{ ref('sites') }}
        union
        select site_positions.site_code, sites.site_kind, sites.directorate_code
        from {{ ref('site_positions') }} as site_positions
        left join {{ ref('sites') }} as sites on site_positions.site_code = sites.site_code
    ) as sites
    where (site_kind = 'regional') is distinct from (directorate_code is not null)
    union all
    select
        'a field unit is of no directorate' as problem,
        unit_code as place
    from {{ ref('intervention_units') }}
    where directorate_code not in (select directorate_code from {{ ref('directorates') }})
)

select * from problems
