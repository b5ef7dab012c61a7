"""What the pages of the sites ask the marts. Sums are divided here, never averaged.

Parameters: `site`, and `days` (how many of the newest dates count).
"""

from __future__ import annotations

HALF_HOUR_SECONDS = 1800

_NEWEST = """
newest as (
    select max(business_date) - %(days)s::integer as before_date from marts.mart_parc_rollout_daily
)
"""

SITES = f"""
with {_NEWEST}

select
    site_code,
    dim_site.site_name,
    dim_site.directorate_name,
    round(sum(open_handle_seconds) / nullif(sum(open_position_seconds), 0), 4) as occupancy,
    sum(busy_half_hour_count)::bigint as busy_half_hour_count,
    sum(open_half_hour_count)::bigint as open_half_hour_count,
    max(longest_busy_run_half_hours) as longest_busy_run_half_hours,
    sum(answered_count)::bigint as answered_count
from marts.mart_site_work_daily
inner join newest on business_date > before_date
inner join marts.dim_site using (site_code)
group by site_code, dim_site.site_name, dim_site.directorate_name
order by occupancy desc nulls last, site_name
"""

SITE = """
select site_code, site_name, directorate_name, time_zone
from marts.dim_site
where site_code = %(site)s
"""

LOAD = f"""
with {_NEWEST}

select
    weekday,
    half_hour_local,
    round(sum(handle_seconds) / nullif(sum(position_seconds), 0), 4) as occupancy,
    round(sum(handle_seconds), 1) as handle_seconds,
    sum(position_seconds)::bigint as position_seconds,
    sum(queued_leg_count)::bigint as queued_leg_count,
    count(distinct local_date) as date_count
from marts.mart_site_load_half_hourly
inner join newest on business_date > before_date
where site_code = %(site)s and weekday is not null
group by weekday, half_hour_local
order by weekday, half_hour_local
"""

POSITIONS = f"""
with {_NEWEST},

dates as (
    select count(distinct local_date) as date_count
    from marts.mart_site_load_half_hourly
    inner join newest on business_date > before_date
    where site_code = %(site)s and weekday <= 5
)

select
    half_hour_local,
    round(sum(position_count)::numeric / max(date_count), 2) as position_count,
    round(sum(agent_count)::numeric / max(date_count), 2) as agent_count,
    round(sum(handle_seconds) / {HALF_HOUR_SECONDS} / max(date_count), 2) as work_agents,
    max(date_count) as date_count
from marts.mart_site_load_half_hourly
inner join newest on business_date > before_date
cross join dates
where site_code = %(site)s and weekday <= 5
group by half_hour_local
order by half_hour_local
"""

RUNS = f"""
with {_NEWEST}

select
    business_date,
    longest_busy_run_half_hours,
    busy_half_hour_count,
    open_half_hour_count,
    is_final
from marts.mart_site_work_daily
inner join newest on business_date > before_date
where site_code = %(site)s
order by business_date
"""

ACTUAL = f"""
with dates as (
    select weekday, count(distinct local_date) as date_count
    from marts.mart_site_load_half_hourly
    where site_code = %(site)s and local_date >= %(since)s
    group by weekday
)

select
    weekday,
    half_hour_local,
    round(sum(handle_seconds) / {HALF_HOUR_SECONDS} / max(date_count), 2) as work_agents,
    round(sum(queued_leg_count)::numeric / max(date_count), 2) as queued_leg_count,
    max(date_count) as date_count
from marts.mart_site_load_half_hourly
inner join dates using (weekday)
where site_code = %(site)s and local_date >= %(since)s
group by weekday, half_hour_local
order by weekday, half_hour_local
"""
"""What came to a site since the date `since`: means of the dates of each weekday."""
