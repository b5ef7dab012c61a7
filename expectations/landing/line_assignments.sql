-- One row of measures for one snapshot of the feed `line_assignments`.
-- `20` is Corsica where its two departments are not told apart.
with counted as (
    select
        count(*) as numbers,
        count(*) filter (where department_code <> all (%(known_departments)s::text[] || '{{20}}'))
            as unknown_department_numbers
    from {table}
)

select
    numbers,
    100.0 * numbers / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * numbers / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    unknown_department_numbers,
    case when unknown_department_numbers > 0 then (
        select array_to_string((array_agg(distinct department_code))[1:5], ', ') from {table}
        where department_code <> all (%(known_departments)s::text[] || '{{20}}')
    ) end as unknown_departments
from counted
