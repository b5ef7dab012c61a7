with finality as (
    select * from {{ ref('mart_finality_daily') }}
),

rollout as (
    select * from {{ ref('mart_parc_rollout') }}
),

events as (
    select * from {{ ref('event_calendar') }}
),

-- How callers are identified is not charted: it does not show how they are served.
weeks as (
    select
        week_start_date,
        region_code,
        metric,
        figure_window,
        sum(scale * numerator) as numerator,
        sum(denominator / date_count) as denominator,
        max(person_count) as person_count
    from {{ ref('agg_metrics_weekly') }}
    where metric <> 'resolved_by_customer_file_share'
    group by 1, 2, 3, 4
),

complete_weeks as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        figure_window
    from finality
    where status = 'final'
    group by 1, 2
    having count(*) = 7
),

-- A feed's own window is final as soon as its dates are there.
whole_weeks as (
    select
        figure_windows.figure_window,
        complete_weeks.week_start_date
    from {{ ref('figure_windows') }} as figure_windows
    inner join complete_weeks on figure_windows.feed = complete_weeks.figure_window
),

event_weeks as (
    select distinct
        date_trunc('week', event_date::timestamp)::date as week_start_date,
        region_code
    from events
),

go_lives as (
    select
        region_code,
        min(observed_go_live_date) as observed_go_live_date
    from rollout
    group by 1
),

final as (
    select
        weeks.week_start_date,
        weeks.region_code,
        weeks.metric,
        weeks.numerator,
        weeks.denominator,
        weeks.person_count,
        weeks.numerator / weeks.denominator as metric_value,
        whole_weeks.week_start_date is not null as is_whole_period,
        complete_weeks.week_start_date is not null as is_complete,
        exists(
            select 1
            from event_weeks
            where
                event_weeks.week_start_date = weeks.week_start_date
                and coalesce(event_weeks.region_code, weeks.region_code) = weeks.region_code
        ) as is_event_week,
        go_lives.observed_go_live_date
    from weeks
    left join complete_weeks
        on weeks.week_start_date = complete_weeks.week_start_date
        and weeks.figure_window = complete_weeks.figure_window
    left join whole_weeks
        on weeks.week_start_date = whole_weeks.week_start_date
        and weeks.figure_window = whole_weeks.figure_window
    left join go_lives on weeks.region_code = go_lives.region_code
    where weeks.denominator > 0
)

select * from final
