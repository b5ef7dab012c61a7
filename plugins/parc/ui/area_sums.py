"""Figures over days or weeks of any region or directorate, from the sums of the daily marts. Parameters are
those of `area_queries`."""

from __future__ import annotations

from parc.ui.area_queries import AreaKind, PeriodStep


def sums(kind: AreaKind, step: PeriodStep) -> str:
    """The same figures of other areas, of one market or of days, for which there are no limits."""
    start = start_of(step)
    return f"""
with newest as (
    select max(business_date) as newest_date from marts.mart_service_quality_daily
),

sums as (
    select
        {start} as start_date,
        count(distinct business_date) as date_count,
        sum(offered_count) as offered,
        sum(answered_count) as answered,
        sum(answered_count + abandoned_count - short_abandoned_count) as served_or_lost,
        sum(abandoned_count - short_abandoned_count) as lost,
        sum(answered_within_20s_count) as answered_within_20s,
        sum(wait_answered_seconds) as wait_seconds,
        sum(identified_answered_count) as identified,
        sum(repeat_7d_count) as repeated,
        sum(survey_count) as surveys,
        sum(satisfied_count) as satisfied,
        sum(home_in_hours_count) as home,
        sum(in_hours_known_answered_count) as known,
        sum(active_line_stock)::numeric / count(distinct business_date) as lines
    from marts.mart_service_quality_daily
    cross join newest
    where {kind}_code = %(code)s
        and (%(market)s = 'all' or market = %(market)s)
        and business_date > newest_date - %(days)s
    group by 1
),

finality as (
    select
        {start} as start_date,
        bool_and(status = 'final') filter (where figure_window = 'calls') as is_calls_final,
        bool_and(status = 'final') filter (where figure_window = 'repeat_7d') as is_repeat_7d_final,
        bool_and(status = 'final') filter (where figure_window = 'call_rate') as is_call_rate_final
    from marts.mart_finality_daily
    where figure_window in ('calls', 'repeat_7d', 'call_rate')
    group by 1
)

select
    metric,
    start_date,
    round(value, 6) as metric_value,
    case_count::bigint as case_count,
    coalesce(is_final, false) and date_count = %(step)s as is_final,
    false as is_event_week,
    null::numeric as mean_value,
    null::numeric as lower_limit,
    null::numeric as upper_limit,
    null::text as signal
from sums
left join finality using (start_date)
cross join lateral (
    values
    ('service_level', answered_within_20s / nullif(served_or_lost, 0), served_or_lost, is_calls_final),
    ('abandonment_rate', lost / nullif(served_or_lost, 0), served_or_lost, is_calls_final),
    ('mean_wait_seconds', wait_seconds / nullif(answered, 0), answered, is_calls_final),
    ('repeat_7d_rate', repeated / nullif(identified, 0), identified, is_repeat_7d_final),
    ('satisfaction', satisfied / nullif(surveys, 0), surveys, is_calls_final),
    ('home_region_rate', home / nullif(known, 0), known, is_calls_final),
    ('call_rate', 1000 * offered / nullif(lines, 0), lines, is_call_rate_final)
) as figures (metric, value, case_count, is_final)
where value is not null
order by metric, start_date
"""


def waits(kind: AreaKind, step: PeriodStep, market: str) -> str:
    """Half of the callers, and 95 % of them, waited at most so long."""
    by_market = "" if market == "all" else "_market"
    view = f"mart_wait_percentiles_{kind}{by_market}_{'daily' if step == 'day' else 'weekly'}"
    start = "business_date" if step == "day" else "period_start_date"
    return f"""
select
    {start} as start_date,
    p50_seconds,
    p95_seconds,
    answered_count as case_count,
    is_whole_period as is_final
from marts.{view}
where {kind}_code = %(code)s
    {"and market = %(market)s" if by_market else ""}
    and {start} > (select max(business_date) from marts.mart_parc_rollout_daily) - %(days)s
order by 1
"""


def compared(kind: AreaKind) -> str:
    """The call rate beside that of regions of other waves, not yet live in the week."""
    return f"""
with wave as (
    select min(wave) as wave
    from marts.mart_parc_rollout
    where region_code = any (%(regions)s) and market = %(market_of_wave)s
),

own as (
    select
        date_trunc('week', business_date::timestamp)::date as start_date,
        sum(offered_count) as case_count,
        7 * 1000 * sum(offered_count) / nullif(sum(active_line_stock), 0) as call_rate
    from marts.mart_service_quality_daily
    where {kind}_code = %(code)s and market = %(market_of_wave)s and active_line_stock is not null
    group by 1
)

select
    own.start_date,
    round(own.call_rate, 6) as call_rate,
    not_yet_live_call_rate,
    not_yet_live_region_count,
    is_call_rate_final as is_final
from marts.mart_parc_waves_weekly as waves
inner join wave using (wave)
inner join own on waves.week_start_date = own.start_date
where waves.market = %(market_of_wave)s
    and own.start_date > (select max(business_date) from marts.mart_parc_rollout_daily) - %(days)s
order by own.start_date
"""


def channels(step: PeriodStep) -> str:
    """The directorate's sites, boutiques and field units."""
    return f"""
with newest as (
    select max(business_date) as newest_date from marts.mart_directorate_scorecard_daily
),

sums as (
    select
        {start_of(step)} as start_date,
        count(distinct business_date) as date_count,
        bool_and(is_calls_complete) as is_calls_complete,
        bool_and(is_boutique_visits_complete) as is_boutique_visits_complete,
        bool_and(is_interventions_complete) as is_interventions_complete,
        bool_and(is_first_time_right_30d_final) as is_first_time_right_30d_final,
        sum(own_site_answered_count) as answered,
        sum(own_site_handle_seconds)::numeric as handle_seconds,
        sum(visit_count) as visits,
        sum(left_unserved_count)::numeric as left_unserved,
        sum(wait_served_count) as waited,
        sum(wait_served_seconds) as wait_seconds,
        sum(appointment_count) as appointments,
        sum(appointment_kept_count)::numeric as kept,
        sum(done_with_line_count) as done,
        sum(first_time_right_count)::numeric as right_first
    from marts.mart_directorate_scorecard_daily
    cross join newest
    where directorate_code = any (%(directorates)s) and business_date > newest_date - %(days)s
    group by 1
)

select
    metric,
    start_date,
    round(value, 6) as metric_value,
    case_count::bigint as case_count,
    is_final and date_count = %(step)s as is_final
from sums
cross join lateral (
    values
    ('own_site_answered_count', answered::numeric, answered, is_calls_complete),
    ('own_site_handle_seconds', handle_seconds / nullif(answered, 0), answered, is_calls_complete),
    ('boutique_wait_minutes', wait_seconds / 60 / nullif(waited, 0), waited, is_boutique_visits_complete),
    ('left_unserved_rate', left_unserved / nullif(visits, 0), visits, is_boutique_visits_complete),
    ('appointment_kept_rate', kept / nullif(appointments, 0), appointments, is_interventions_complete),
    ('first_time_right_rate', right_first / nullif(done, 0), done, is_first_time_right_30d_final)
) as figures (metric, value, case_count, is_final)
where value is not null
order by metric, start_date
"""


def start_of(step: PeriodStep) -> str:
    """The first date of the week, or the date."""
    return "business_date" if step == "day" else "date_trunc('week', business_date::timestamp)::date"
