-- One row of measures for one snapshot of the feed `active_lines`.
with counted as (
    select
        count(*) as line_counts,
        count(distinct market) as markets,
        sum(lines) as lines,
        max(month) as newest_month,
        count(*) filter (where department_code <> all (%(known_departments)s::text[])) as unknown_department_rows
    from {table}
)

select
    line_counts,
    100.0 * line_counts / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * line_counts / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    case when line_counts >= 100 then markets end as markets,
    lines,
    to_char(newest_month, 'YYYY-MM') as newest_month,
    12 * (extract(year from %(business_date)s::date) - extract(year from newest_month))
    + extract(month from %(business_date)s::date) - extract(month from newest_month) as months_behind,
    unknown_department_rows,
    case when unknown_department_rows > 0 then (
        select array_to_string((array_agg(distinct department_code))[1:5], ', ') from {table}
        where department_code <> all (%(known_departments)s::text[])
    ) end as unknown_departments
from counted
