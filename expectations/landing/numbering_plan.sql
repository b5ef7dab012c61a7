-- One row of measures for one snapshot of the feed `numbering_plan`.
-- `20` is Corsica, which prefixes do not tell apart; `975` is kept though outside PARC.
with counted as (
    select
        count(*) as prefixes,
        count(department_code) as resolved,
        count(distinct left(prefix, 2)) filter (where left(prefix, 2) in ('01', '02', '03', '04', '05')) as zones,
        count(*) filter (where department_code <> all (%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_prefixes
    from {table}
)

select
    prefixes,
    100.0 * prefixes / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * prefixes / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    100.0 * resolved / case when prefixes >= 1000 then prefixes end as resolved_percent,
    case when prefixes >= 1000 then zones end as geographic_zones,
    unknown_department_prefixes,
    case when unknown_department_prefixes > 0 then (
        select array_to_string((array_agg(distinct department_code))[1:5], ', ') from {table}
        where department_code <> all (%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
