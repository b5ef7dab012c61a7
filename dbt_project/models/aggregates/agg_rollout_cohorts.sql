with rollout as (
    select * from {{ ref('mart_parc_rollout') }}
),

rollout_days as (
    select * from {{ ref('mart_parc_rollout_daily') }}
),

departments as (
    select * from {{ ref('dim_department') }}
),

-- A region that lies in two directorates belongs to the one with more of its departments.
region_directorates as (
    select distinct on (region_code)
        region_code,
        directorate_code
    from departments
    where directorate_code <> 'unknown'
    group by region_code, directorate_code
    order by region_code asc, count(*) desc, directorate_code asc
),

open_days as (
    select
        region_code,
        market,
        count(*) as since_planned_count
    from rollout_days
    where is_open_day and business_date >= planned_go_live_date
    group by region_code, market
),

final as (
    select
        rollout.region_code,
        rollout.market,
        rollout.wave,
        region_directorates.directorate_code,
        rollout.planned_go_live_date,
        rollout.withdrawn_on,
        rollout.observed_go_live_date,
        rollout.slip_days,
        rollout.go_live_date,
        -- Taken back, it is neither live nor a control. Due, and never seen on enough open days, it may be live or not.
        not (rollout.status = 'reverted' and rollout.observed_go_live_date is not null)
        and (
            rollout.status <> 'late'
            or coalesce(open_days.since_planned_count, 0) >= {{ var('go_live_open_days') }}
        ) as is_comparable
    from rollout
    inner join region_directorates on rollout.region_code = region_directorates.region_code
    left join open_days
        on rollout.region_code = open_days.region_code
        and rollout.market = open_days.market
)

select * from final
