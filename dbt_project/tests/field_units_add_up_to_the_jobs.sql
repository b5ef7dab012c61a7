-- Whoever closed them, the jobs are those of the daily mart, place by place.
with both_marts as (
    select
        business_date,
        directorate_code,
        region_code,
        kind,
        closed_count,
        done_count
    from {{ ref('mart_field_units_daily') }}
    union all
    select
        business_date,
        directorate_code,
        region_code,
        kind,
        -closed_count as closed_count,
        -done_count as done_count
    from {{ ref('mart_interventions_daily') }}
)

select
    business_date,
    directorate_code,
    region_code,
    kind,
    sum(closed_count) as closed_count,
    sum(done_count) as done_count
from both_marts
group by business_date, directorate_code, region_code, kind
having sum(closed_count) <> 0 or sum(done_count) <> 0
