-- One row of measures for one snapshot of the feed `line_assignments`. Shares need a sample: 1,000 numbers.
-- `20` is Corsica where its two departments are not distinguished; `975` is kept though outside PARC.
with departments as (
    select department_code, count(*) as numbers
    from {table}
    group by department_code
),

counted as (
    select
        coalesce(sum(numbers), 0)::bigint as numbers,
        coalesce(
            sum(numbers) filter (where department_code <> all(%(known_departments)s::text[] || '{{20,975}}')), 0
        )::bigint
            as unknown_department_numbers,
        max(numbers) as largest_numbers,
        (array_agg(department_code order by numbers desc, department_code asc))[1] as largest_department
    from departments
)

select
    numbers,
    100.0 * numbers / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * numbers / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    100.0 * largest_numbers / case when numbers >= 1000 then numbers end as largest_department_percent,
    largest_department,
    unknown_department_numbers,
    case when unknown_department_numbers > 0 then (
        select array_to_string((array_agg(department_code order by department_code))[1:5], ', ') from departments
        where department_code <> all(%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
