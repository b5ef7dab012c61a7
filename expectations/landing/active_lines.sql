-- One row of measures for one snapshot of the feed `active_lines`, beside the published one before it.
-- Markets and departments are judged from 100 counts on.
with last as (
    select sum(lines) as last_lines
    from raw.active_lines
    where (business_date, month) = (
        select earlier.business_date, max(earlier.month) as month
        from raw.active_lines as earlier
        where earlier.business_date < %(business_date)s::date
        group by earlier.business_date
        order by earlier.business_date desc
        limit 1
    )
),

newest as (
    select
        sum(lines) as newest_lines,
        array_agg(distinct department_code) as departments
    from {table}
    where month = (select max(latest.month) from {table} as latest)
),

missing as (
    select
        count(*) as missing_department_count,
        array_to_string((array_agg(known.department_code order by known.department_code))[1:5], ', ')
            as missing_departments
    from unnest(%(known_departments)s::text[]) as known (department_code)
    inner join newest on known.department_code <> all(newest.departments)
),

counted as (
    select
        count(*) as line_counts,
        count(distinct market) as markets,
        sum(lines) as lines,
        max(month) as newest_month,
        count(*) filter (where department_code <> all(%(known_departments)s::text[] || '{{975}}'))
            as unknown_department_rows
    from {table}
)

select
    line_counts,
    100.0 * line_counts / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * line_counts / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    case when line_counts >= 100 then markets end as markets,
    lines,
    newest_lines::bigint as newest_lines,
    100.0 * newest_lines / nullif(last_lines, 0) as percent_of_last_lines,
    case when line_counts >= 100 and missing_department_count > 0 then missing_departments end as missing_departments,
    missing_department_count,
    to_char(newest_month, 'YYYY-MM') as newest_month,
    12 * (extract(year from %(business_date)s::date) - extract(year from newest_month))
    + extract(month from %(business_date)s::date) - extract(month from newest_month) as months_behind,
    unknown_department_rows,
    case when unknown_department_rows > 0 then (
        select array_to_string((array_agg(distinct left(department_code, 40)))[1:5], ', ') from {table}
        where department_code <> all(%(known_departments)s::text[] || '{{975}}')
    ) end as unknown_departments
from counted
cross join newest
cross join missing
cross join last
