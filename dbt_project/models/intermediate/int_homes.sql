with departments as (
    select * from {{ ref('departments') }}
),

department_directorate as (
    select * from {{ ref('department_directorate') }}
),

routing_zones as (
    select * from {{ ref('routing_zones') }}
),

starts as (
    select valid_from from department_directorate
    union
    select valid_to from department_directorate
    where valid_to is not null
    union
    select valid_from from routing_zones
    union
    select valid_to from routing_zones
    where valid_to is not null
),

periods as (
    select
        valid_from,
        coalesce(lead(valid_from) over (order by valid_from), 'infinity') as valid_to
    from starts
),

department_homes as (
    select
        departments.department_code as home_key,
        true as is_department,
        departments.department_code,
        departments.region_code,
        coalesce(department_directorate.directorate_code, 'unknown') as directorate_code,
        department_directorate.certainty,
        coalesce(routing_zones.zone_code, '*') as zone_code,
        periods.valid_from,
        periods.valid_to
    from periods
    cross join departments
    left join department_directorate
        on departments.department_code = department_directorate.department_code
        and periods.valid_from >= department_directorate.valid_from
        and periods.valid_from < coalesce(department_directorate.valid_to, 'infinity')
    left join routing_zones
        on departments.department_code = routing_zones.department_code
        and periods.valid_from >= routing_zones.valid_from
        and periods.valid_from < coalesce(routing_zones.valid_to, 'infinity')
),

-- A region without its department: what all its departments agree on.
region_homes as (
    select
        'region ' || region_code as home_key,
        false as is_department,
        null::text as department_code,
        region_code,
        case
            when min(directorate_code) = max(directorate_code) then min(directorate_code) else 'unknown'
        end as directorate_code,
        case when min(directorate_code) = max(directorate_code) then max(certainty) end as certainty,
        case when min(zone_code) = max(zone_code) then min(zone_code) else '*' end as zone_code,
        valid_from,
        valid_to
    from department_homes
    group by region_code, valid_from, valid_to
),

-- The numbering plan still has Corsica as one department.
corsica as (
    select
        '20' as home_key,
        true as is_department,
        department_code,
        region_code,
        directorate_code,
        certainty,
        zone_code,
        valid_from,
        valid_to
    from region_homes
    where region_code = '94'
),

-- Saint-Pierre-et-Miquelon: known, and outside PARC.
outside as (
    select
        '975' as home_key,
        true as is_department,
        '975' as department_code,
        'unknown' as region_code,
        'unknown' as directorate_code,
        null::text as certainty,
        '*' as zone_code,
        valid_from,
        valid_to
    from periods
),

final as (
    select * from department_homes
    union all
    select * from region_homes
    union all
    select * from corsica
    union all
    select * from outside
)

select * from final
