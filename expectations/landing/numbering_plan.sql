-- One row of measures for one snapshot of the feed `numbering_plan`, beside the published one before it.
-- `20` is Corsica, which prefixes do not distinguish; `975` is kept though outside PARC.
with last as (
    select business_date as last_snapshot, count(*) as last_prefixes
    from raw.numbering_plan
    where
        business_date = (
            select max(earlier.business_date) from raw.numbering_plan as earlier
            where earlier.business_date < %(business_date)s::date
        )
    group by business_date
),

known as (
    select
        departments.department_code,
        regions.region_name
    from
        unnest(%(known_departments)s::text[], %(department_regions)s::text[])
            as departments (department_code, region_code)
    inner join unnest(%(region_codes)s::text[], %(region_names)s::text[]) as regions (region_code, region_name)
        on departments.region_code = regions.region_code
),

placed as (
    select
        count(*) as placed,
        count(*) filter (where plan.region_2012 <> known.region_name) as elsewhere
    from {table} as plan
    inner join known on plan.department_code = known.department_code
    where plan.region_2012 is not null
),

counted as (
    select
        count(*) as prefixes,
        count(department_code) as resolved,
        count(distinct left(prefix, 2)) filter (where left(prefix, 2) in ('01', '02', '03', '04', '05')) as zones,
        count(*) filter (where department_code <> all(%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_prefixes
    from {table}
)

select
    prefixes,
    100.0 * prefixes / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * prefixes / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    to_char(last_snapshot, 'YYYY-MM-DD') as last_snapshot,
    last_prefixes,
    100.0 * prefixes / last_prefixes as percent_of_last_snapshot,
    100.0 * elsewhere / case when placed >= 100 then placed end as other_region_percent,
    100.0 * resolved / case when prefixes >= 1000 then prefixes end as resolved_percent,
    case when prefixes >= 1000 then zones end as geographic_zones,
    unknown_department_prefixes,
    case when unknown_department_prefixes > 0 then (
        select array_to_string((array_agg(distinct left(department_code, 40)))[1:5], ', ') from {table}
        where department_code <> all(%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
cross join placed
left join last on true
