-- Opening windows of the coming four months, and freezes.
with release as (
    select
        %(business_date)s::date + 1 as effective_date,
        (date_trunc('month', %(business_date)s::date + 1) + interval '4 months')::date as horizon_date
),

zones as (
    select distinct department_zones.zone_code
    from marts.routing_department_zones as department_zones
    cross join release
    where
        department_zones.valid_from <= release.effective_date
        and coalesce(department_zones.valid_to, 'infinity') > release.effective_date
),

windows as (
    select
        windows.zone_code,
        windows.local_date,
        extract(epoch from windows.closes_at - windows.opens_at) / 3600 as hours
    from marts.routing_windows as windows
    cross join release
    where windows.local_date >= release.effective_date and windows.local_date < release.horizon_date
),

zone_windows as (
    select
        zones.zone_code,
        7 * coalesce(sum(windows.hours), 0) / min(release.horizon_date - release.effective_date) as weekly_hours,
        100 - 100.0
        * count(distinct windows.local_date) filter (where extract(isodow from windows.local_date) < 6)
        / nullif(min(weekdays.weekdays), 0) as closed_weekdays_percent
    from (
        select zone_code from zones
        union
        select '*'
    ) as zones
    cross join release
    cross join
        lateral (
            select count(*) as weekdays
            from generate_series(release.effective_date, release.horizon_date - 1, interval '1 day') as day
            where extract(isodow from day) < 6
        ) as weekdays
    left join windows on zones.zone_code = windows.zone_code
    group by zones.zone_code
),

hours as (
    select
        min(weekly_hours) as fewest_weekly_hours,
        (array_agg(zone_code order by weekly_hours, zone_code))[1] as fewest_hours_zone,
        max(closed_weekdays_percent) as most_closed_weekdays_percent,
        (array_agg(zone_code order by closed_weekdays_percent desc, zone_code asc))[1] as most_closed_zone
    from zone_windows
),

freezes as (
    select
        count(*) filter (where ends_at <= starts_at) as reversed_freezes,
        coalesce(max(extract(epoch from ends_at - starts_at) / 86400), 0) as longest_freeze_days
    from marts.routing_freeze_windows
)

select
    (select max(windows.hours) from windows) as longest_window_hours,
    hours.fewest_weekly_hours,
    hours.fewest_hours_zone,
    hours.most_closed_weekdays_percent,
    hours.most_closed_zone,
    freezes.reversed_freezes,
    freezes.longest_freeze_days
from hours
cross join freezes
