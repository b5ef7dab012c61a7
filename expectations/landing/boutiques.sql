-- One row of measures for one snapshot of the feed `boutiques`, beside the published one before it.
-- Shares need a sample: 100 boutiques. A snapshot announces openings and closings some weeks ahead.
-- `20` is Corsica where its two departments are not distinguished; `975` is kept though outside PARC.
with last as (
    select business_date as last_snapshot, count(*) as last_boutiques
    from raw.boutiques
    where
        business_date = (
            select max(earlier.business_date) from raw.boutiques as earlier
            where earlier.business_date < %(business_date)s::date
        )
    group by business_date
),

counted as (
    select
        count(*) as boutiques,
        count(*) filter (
            where opened_on <= %(business_date)s::date
            and coalesce(closed_on, 'infinity') > %(business_date)s::date
        ) as open,
        count(*) filter (where department_code <> all(%(known_departments)s::text[] || '{{20,975}}'))
            as unknown_department_boutiques
    from {table}
)

select
    boutiques,
    100.0 * boutiques / nullif(%(usual_rows)s::float8, 0) as percent_of_usual,
    case when %(like_days)s::float8 >= 4 then 100.0 * boutiques / nullif(%(usual_rows)s::float8, 0) end
        as percent_of_usual_over_4_days,
    to_char(last_snapshot, 'YYYY-MM-DD') as last_snapshot,
    last_boutiques,
    100.0 * boutiques / last_boutiques as percent_of_last_snapshot,
    case when boutiques >= 100 then 100.0 * open / boutiques end as open_percent,
    unknown_department_boutiques,
    case when unknown_department_boutiques > 0 then (
        select array_to_string((array_agg(distinct left(department_code, 40)))[1:5], ', ') from {table}
        where department_code <> all(%(known_departments)s::text[] || '{{20,975}}')
    ) end as unknown_departments
from counted
left join last on true
