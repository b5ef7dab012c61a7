with figure_windows as (
    select * from {{ ref('figure_windows') }}
),

built as (
    select * from {{ ref('int_built_deliveries') }}
),

due as (
    select * from {{ ref('int_due_deliveries') }}
),

months as (
    select distinct
        month_date,
        first_snapshot_date
    from {{ ref('int_active_lines_monthly') }}
),

dates as (
    select feed, business_date from due
    union
    select feed, business_date from built
),

-- A window opens with any instant of its day: the last one opens a microsecond before the day ends on Paris' clock.
spans as (
    select
        figure_windows.figure_window,
        figure_windows.feed,
        figure_windows.followed_by,
        figure_windows.needs_lines,
        dates.business_date,
        (
            (
                (dates.business_date + 1)::timestamp at time zone 'Europe/Paris'
                + figure_windows.window_hours * interval '1 hour'
                - interval '1 microsecond'
            ) at time zone 'Europe/Paris'
        )::date as last_date
    from figure_windows
    inner join dates on figure_windows.feed = dates.feed
),

-- Day by day, as a join on a range of dates would compare every span with every delivery.
followed as (
    select
        spans.*,
        day::date as followed_date
    from spans
    cross join
        generate_series(spans.business_date::timestamp, spans.last_date::timestamp, interval '1 day') as day
),

counted as (
    select
        followed.figure_window,
        followed.business_date,
        followed.needs_lines,
        followed.last_date,
        -- Of another feed than the one followed, the date's own delivery counts as well.
        followed.last_date - followed.business_date + 1
        - count(built.business_date)
        + max((followed.feed <> followed.followed_by and own.business_date is null)::integer) as missing_count
    from followed
    left join built
        on followed.followed_by = built.feed
        and followed.followed_date = built.business_date
    left join built as own
        on followed.feed = own.feed
        and followed.business_date = own.business_date
    group by 1, 2, 3, 4
),

with_lines as (
    select
        counted.*,
        months.first_snapshot_date,
        counted.needs_lines and months.month_date is null as lacks_lines
    from counted
    left join months
        on counted.needs_lines
        and date_trunc('month', counted.business_date::timestamp)::date = months.month_date
),

final as (
    select
        figure_window,
        business_date,
        case when missing_count > 0 or lacks_lines then 'provisional' else 'final' end as status,
        case when not lacks_lines then greatest(last_date, first_snapshot_date) end as final_on,
        missing_count + lacks_lines::integer as missing_count
    from with_lines
)

select * from final
