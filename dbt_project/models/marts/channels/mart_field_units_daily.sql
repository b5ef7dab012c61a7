{%- set sides = ['own', 'other', 'unknown'] -%}

with daily as (
    select * from {{ ref('agg_unit_jobs_daily') }}
),

-- Of the days before the first extract only what was still open then is known.
extracts as (
    select
        min(business_date) as first_date,
        max(business_date) as last_date
    from {{ ref('int_built_deliveries') }}
    where feed = 'interventions'
),

homes as (
    select * from {{ ref('int_homes') }}
),

jobs as (
    select
        daily.business_date,
        coalesce(homes.directorate_code, 'unknown') as directorate_code,
        coalesce(homes.region_code, 'unknown') as region_code,
        daily.kind,
        case
            when coalesce(homes.directorate_code, 'unknown') = 'unknown' then 'unknown'
            when daily.unit_directorate_code = 'unknown' then 'unknown'
            when daily.unit_directorate_code = homes.directorate_code then 'own'
            else 'other'
        end as side,
        daily.closed_count,
        daily.done_count
    from daily
    inner join extracts on daily.business_date between extracts.first_date and extracts.last_date
    left join homes
        on daily.department_code = homes.home_key
        and daily.business_date >= homes.valid_from
        and daily.business_date < homes.valid_to
),

added_up as (
    select
        business_date,
        directorate_code,
        region_code,
        kind,
        {% for side in sides -%}
            coalesce(sum(closed_count) filter (where side = '{{ side }}'), 0)::bigint as {{ side }}_unit_closed_count,
            coalesce(sum(done_count) filter (where side = '{{ side }}'), 0)::bigint as {{ side }}_unit_done_count,
        {% endfor -%}
        sum(closed_count)::bigint as closed_count,
        sum(done_count)::bigint as done_count
    from jobs
    group by business_date, directorate_code, region_code, kind
),

final as (
    {{ named('added_up') }}
)

select * from final
