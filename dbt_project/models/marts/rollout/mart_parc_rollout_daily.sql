with calls as (
    select * from {{ ref('agg_calls_daily') }}
),

plan as (
    select * from {{ ref('rollout_plan') }}
),

dates as (
    select distinct business_date from calls
),

-- What the plan does not name has rows as well (calls of unknown home): regions add up to the nation.
region_markets as (
    select region_code, market from plan
    union
    select region_code, market from calls
),

-- A day without calls has a row too. Added, not joined: a join would compare every day with every other.
every_day as (
    select
        business_date,
        region_code,
        market,
        offered_count,
        answered_count,
        home_in_hours_count,
        in_hours_known_answered_count
    from calls
    union all
    select
        dates.business_date,
        region_markets.region_code,
        region_markets.market,
        0 as offered_count,
        0 as answered_count,
        0 as home_in_hours_count,
        0 as in_hours_known_answered_count
    from dates
    cross join region_markets
),

counted as (
    select
        business_date,
        region_code,
        market,
        sum(offered_count)::bigint as offered_count,
        sum(answered_count)::bigint as answered_count,
        sum(home_in_hours_count)::bigint as home_in_hours_count,
        sum(in_hours_known_answered_count)::bigint as in_hours_known_answered_count
    from every_day
    group by business_date, region_code, market
),

days as (
    select
        counted.*,
        plan.planned_go_live_date,
        plan.withdrawn_on,
        counted.in_hours_known_answered_count >= {{ var('open_day_min_answered') }} as is_open_day,
        counted.in_hours_known_answered_count >= {{ var('open_day_min_answered') }}
        and counted.home_in_hours_count
        >= {{ var('go_live_home_region_rate') }} * counted.in_hours_known_answered_count as is_home_day
    from counted
    left join plan using (region_code, market)
),

-- Closed days neither break nor lengthen a run, so runs are looked for among the open days alone.
numbered as (
    select
        region_code,
        market,
        business_date,
        is_home_day,
        row_number() over (partition by region_code, market order by business_date)
        - row_number() over (partition by region_code, market, is_home_day order by business_date) as run_number
    from days
    where is_open_day
),

home_runs as (
    select
        region_code,
        market,
        min(business_date) as first_date
    from numbered
    where is_home_day
    group by region_code, market, run_number
    having count(*) >= {{ var('go_live_open_days') }}
),

observed as (
    select
        region_code,
        market,
        min(first_date) as observed_go_live_date
    from home_runs
    group by region_code, market
),

since_go_live as (
    select
        days.*,
        observed.observed_go_live_date,
        count(*) filter (where is_open_day and business_date >= observed_go_live_date) over so_far as open_day_number
    from days
    left join observed using (region_code, market)
    window so_far as (partition by region_code, market order by business_date)
),

runs as (
    select
        *,
        open_day_number - max(open_day_number) filter (
            where is_home_day and business_date >= observed_go_live_date
        ) over so_far as open_days_below
    from since_go_live
    window so_far as (partition by region_code, market order by business_date)
),

final as (
    select
        business_date,
        region_code,
        market,
        planned_go_live_date,
        withdrawn_on,
        offered_count,
        answered_count,
        home_in_hours_count,
        in_hours_known_answered_count,
        is_open_day,
        observed_go_live_date,
        case
            when business_date >= withdrawn_on then 'reverted'
            when open_days_below >= {{ var('stalled_open_days') }} then 'stalled'
            when business_date >= observed_go_live_date then 'live'
            when business_date > planned_go_live_date then 'late'
            when planned_go_live_date is not null then 'planned'
            else 'unplanned'
        end as status
    from runs
)

select * from final
