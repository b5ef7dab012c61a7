with days as (
    select * from {{ ref('mart_parc_rollout_daily') }}
),

plan as (
    select * from {{ ref('rollout_plan') }}
),

newest_date as (
    select max(business_date) as business_date from days
),

newest as (
    select days.* from days
    inner join newest_date on days.business_date = newest_date.business_date
),

-- Once a region is live, the days before say nothing of how it answers.
open_days as (
    select
        *,
        coalesce(business_date >= observed_go_live_date, true) as is_recent,
        row_number() over (partition by region_code, market order by business_date desc) as open_days_ago
    from days
    where is_open_day
),

counted as (
    select
        region_code,
        market,
        min(business_date) as first_open_date,
        sum(home_in_hours_count) filter (where open_days_ago <= 7 and is_recent) as home_in_hours_count,
        sum(in_hours_known_answered_count) filter (where open_days_ago <= 7 and is_recent)
            as in_hours_known_answered_count
    from open_days
    group by region_code, market
),

dated as (
    select
        newest.region_code,
        newest.market,
        plan.wave,
        newest.planned_go_live_date,
        newest.withdrawn_on,
        newest.observed_go_live_date,
        newest.status,
        newest.business_date as as_of_date,
        case
            when newest.observed_go_live_date is null and newest.status = 'late'
                then newest.business_date - newest.planned_go_live_date
            -- Live since before the first day that could show it: nobody knows since when.
            when
                newest.observed_go_live_date = counted.first_open_date
                and newest.observed_go_live_date > newest.planned_go_live_date
                then null
            else newest.observed_go_live_date - newest.planned_go_live_date
        end as slip_days,
        coalesce(counted.home_in_hours_count, 0)::bigint as last_7_open_days_home_in_hours_count,
        coalesce(counted.in_hours_known_answered_count, 0)::bigint
            as last_7_open_days_in_hours_known_answered_count,
        greatest(
            least(newest.business_date, newest.withdrawn_on - 1) - newest.observed_go_live_date + 1,
            case when newest.observed_go_live_date is not null then 0 end
        ) as days_live
    from newest
    left join plan
        on newest.region_code = plan.region_code
        and newest.market = plan.market
    left join counted
        on newest.region_code = counted.region_code
        and newest.market = counted.market
),

-- If the data do not show when it went live, take the planned date.
final as (
    select
        *,
        case
            when slip_days is null and planned_go_live_date < observed_go_live_date then planned_go_live_date
            else observed_go_live_date
        end as go_live_date
    from dated
)

select * from final
