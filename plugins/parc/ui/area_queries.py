"""What the page of a region or directorate asks the marts. Sums are divided here, never averaged.

Parameters: `code`, `regions` and `directorates` (the area's own, as lists), `market` (or `all`),
`market_of_wave` (the same, but one that has waves), `days` (how many of the newest dates count) and `step` (7
for weeks, 1 for days).
"""

from __future__ import annotations

from typing import Literal

AreaKind = Literal["region", "directorate"]
PeriodStep = Literal["week", "day"]

METRICS = {
    "service_level": "share",
    "abandonment_rate": "share",
    "mean_wait_seconds": "seconds",
    "repeat_7d_rate": "share",
    "satisfaction": "share",
    "home_region_rate": "share",
    "call_rate": "decimal",
}
"""The figures of calls, as mart_process_behaviour names them, and how each is written."""
CHANNELS = {
    "own_site_answered_count": "count",
    "own_site_handle_seconds": "seconds",
    "boutique_wait_minutes": "decimal",
    "left_unserved_rate": "share",
    "appointment_kept_rate": "share",
    "first_time_right_rate": "share",
}
"""The figures of the directorate's sites, boutiques and field units."""

AREAS: dict[AreaKind, str] = {
    "region": """
select
    dim_region.region_code as code,
    dim_region.region_name as name,
    array[dim_region.region_code] as regions,
    array_remove(array_agg(distinct dim_department.directorate_code), null) as directorates
from marts.dim_region
left join marts.dim_department using (region_code)
where dim_region.region_code = %(code)s
group by 1, 2
""",
    "directorate": """
select
    dim_directorate.directorate_code as code,
    dim_directorate.directorate_name as name,
    array_remove(array_agg(distinct dim_department.region_code), null) as regions,
    array[dim_directorate.directorate_code] as directorates
from marts.dim_directorate
left join marts.dim_department using (directorate_code)
where dim_directorate.directorate_code = %(code)s
group by 1, 2
""",
}
"""The area: its name, its regions and its directorates. No row where there is none of this code."""

NEIGHBOURS = """
select distinct
    region_code,
    region_name,
    directorate_code,
    directorate_name
from marts.dim_department
where region_code = any (%(regions)s) and directorate_code = any (%(directorates)s)
order by directorate_name, region_name
"""

DATE_COUNT = "select count(distinct business_date) as date_count from marts.mart_parc_rollout_daily"

STATES = """
select
    region_code,
    region_name,
    market,
    wave,
    status,
    planned_go_live_date,
    observed_go_live_date,
    slip_days
from marts.mart_parc_rollout
inner join marts.dim_region using (region_code)
where region_code = any (%(regions)s)
order by region_code, market
"""

EVENTS = """
with newest as (
    select
        max(business_date) as newest_date,
        greatest(min(business_date), max(business_date) - %(days)s + 1) as oldest_date
    from marts.mart_parc_rollout_daily
),

found as (
    select
        observed_go_live_date as event_date,
        'go_live' as event,
        region_name || ', ' || string_agg(market, ', ' order by market) as event_words
    from marts.mart_parc_rollout
    inner join marts.dim_region using (region_code)
    where region_code = any (%(regions)s)
    group by observed_go_live_date, region_name
    union all
    select event_date, 'storm', event_name
    from reference.event_calendar
    where region_code is null or region_code = any (%(regions)s)
    union all
    select business_date, 'restatement', string_agg(distinct mart, ', ' order by mart)
    from marts.mart_restatements
    where region_code = any (%(regions)s) or directorate_code = any (%(directorates)s)
    group by business_date
    union all
    select effective_date, 'release', kind || ' ' || version
    from marts.mart_releases
    where live_from_at is not null and effective_date is not null
)

select distinct
    event_date,
    event,
    event_words
from found
cross join newest
where event_date between oldest_date and newest_date + 7
order by event_date, event, event_words
"""

LIMITS = """
select
    metric,
    week_start_date as start_date,
    metric_value,
    denominator::bigint as case_count,
    is_complete as is_final,
    is_event_week,
    mean_value,
    lower_limit,
    upper_limit,
    signal
from marts.mart_process_behaviour
where region_code = %(code)s
    and week_start_date > (select max(business_date) from marts.mart_parc_rollout_daily) - %(days)s
order by metric, week_start_date
"""
"""XmR charts of the region's weeks, all markets together."""


EFFECT = """
select
    market,
    outcome,
    status,
    estimate,
    p_value,
    smallest_p_value,
    minimum_detectable_effect,
    planning_effect,
    detectable_date,
    coalesce(power_reason, reason) as effect_reason
from marts.mart_parc_effect
where effect_kind = 'simple' and (%(market)s = 'all' or market = %(market)s)
order by market, outcome
"""
