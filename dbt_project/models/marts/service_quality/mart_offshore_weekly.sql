with answers as (
    select
        *,
        date_trunc('week', business_date::timestamp)::date as week_start_date
    from {{ ref('agg_offshore_daily') }}
),

finality as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        count(*) filter (where status = 'final') = 7 as is_final
    from {{ ref('mart_finality_daily') }}
    where figure_window = 'calls'
    group by 1
),

summed as (
    select
        week_start_date,
        directorate_code,
        region_code,
        partner_site_code,
        cause,
        sum(answered_count) as answered_count,
        sum(handle_seconds) as handle_seconds
    from answers
    group by 1, 2, 3, 4, 5
),

by_area as (
    select
        summed.*,
        areas.area,
        areas.area_code
    from summed
    cross join
        lateral (
            values ('region', summed.region_code), ('directorate', summed.directorate_code), ('nation', 'nation')
        ) as areas (area, area_code)
),

area_weeks as (
    select
        week_start_date,
        area,
        area_code,
        sum(answered_count) as known_answered_count
    from by_area
    group by 1, 2, 3
),

offshore as (
    select
        by_area.week_start_date,
        by_area.area,
        by_area.area_code,
        sites.partner_site_code,
        causes.cause,
        sum(by_area.answered_count) as answered_count,
        sum(by_area.handle_seconds) as handle_seconds
    from by_area
    cross join lateral (values (by_area.partner_site_code), ('all')) as sites (partner_site_code)
    cross join lateral (values (by_area.cause), ('all')) as causes (cause)
    where by_area.partner_site_code <> 'none'
    group by 1, 2, 3, 4, 5
),

seen as (
    select distinct area, area_code, partner_site_code, cause
    from offshore
),

-- A week without such a call has a row too: 0 is where this is to go.
weeks as (
    select
        area_weeks.week_start_date,
        area_weeks.area,
        area_weeks.area_code,
        seen.partner_site_code,
        seen.cause,
        coalesce(offshore.answered_count, 0) as answered_count,
        coalesce(offshore.handle_seconds, 0) as handle_seconds,
        area_weeks.known_answered_count,
        coalesce(offshore.answered_count, 0) / nullif(area_weeks.known_answered_count, 0) as answered_share,
        coalesce(finality.is_final, false) as is_final
    from area_weeks
    inner join seen using (area, area_code)
    left join offshore using (week_start_date, area, area_code, partner_site_code, cause)
    left join finality using (week_start_date)
),

trends as (
    select
        week_start_date,
        area,
        area_code,
        partner_site_code,
        cause,
        answered_count::bigint as answered_count,
        handle_seconds::bigint as handle_seconds,
        known_answered_count::bigint as known_answered_count,
        answered_share::numeric(16, 6) as answered_share,
        (
            regr_slope(answered_share::double precision, (week_start_date - date '1970-01-05') / 7.0)
            filter (where is_final) over eight_weeks
        )::numeric(16, 6) as share_change_per_week,
        count(*) filter (where is_final) over eight_weeks as trend_week_count,
        -- Who answered is final as soon as the calls are there.
        is_final as is_whole_period,
        is_final
    from weeks
    window eight_weeks as (
        partition by area, area_code, partner_site_code, cause
        order by week_start_date range between interval '49 days' preceding and current row
    )
),

final as (
    {{ named('trends', of=['area', 'partner_site']) }}
)

select * from final
