-- Each histogram has the cases of its daily mart, place by place; up to 20 seconds those of the service level.
{{ config(meta={'feeds': ['calls']}) }}

with waits as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        sum(answered_count) as answered_count,
        sum(answered_count) filter (where wait_seconds <= {{ var('service_level_seconds') }}) as within_count
    from {{ ref('mart_wait_histogram_daily') }}
    where {{ is_changed() }}
    group by 1, 2, 3, 4
),

calls as (
    select
        business_date,
        directorate_code,
        region_code,
        market,
        answered_count,
        answered_within_20s_count
    from {{ ref('mart_service_quality_daily') }}
    where {{ is_changed() }}
)

select *
from waits
full outer join calls using (business_date, directorate_code, region_code, market)
where
    coalesce(waits.answered_count, 0) <> coalesce(calls.answered_count, 0)
    or coalesce(waits.within_count, 0) <> coalesce(calls.answered_within_20s_count, 0)
