"""What Superset's charts of one number and its tables must show, asked of the marts directly.

Names have no schema: each login reads its own.
"""

from __future__ import annotations

VALID = "nullif(sum(answered_count) + sum(abandoned_count) - sum(short_abandoned_count), 0.0)"
QUALITY = f"sum(answered_within_20s_count) / {VALID} as service_level"
LOST = f"(sum(abandoned_count) - sum(short_abandoned_count)) / {VALID} as abandonment_rate"
WAIT = "sum(wait_answered_seconds) / nullif(sum(answered_count), 0.0) as mean_wait_seconds"
HOME = "sum(home_in_hours_count) / nullif(sum(in_hours_known_answered_count), 0.0) as home_region_rate"
AGAIN = (
    "sum(case when is_repeat_7d_final then repeat_7d_count end) "
    "/ nullif(sum(case when is_repeat_7d_final then identified_answered_count end), 0.0) "
    "as final_repeat_7d_rate"
)
SATISFIED = "sum(satisfied_count) / nullif(sum(survey_count), 0.0) as {}"
SERVED = "sum(served_count) / nullif(sum(visit_count), 0.0) as served_rate"
KEPT = "sum(appointment_kept_count) / nullif(sum(appointment_count), 0.0) as appointment_kept_rate"
FIRST = (
    "sum(case when is_first_time_right_30d_final then first_time_right_count end) "
    "/ nullif(sum(case when is_first_time_right_30d_final then done_with_line_count end), 0.0) "
    "as final_first_time_right_rate"
)
CALLS, CARD = "from mart_service_quality_daily", "from mart_directorate_scorecard_daily"
FOLLOWS = ", ".join(
    f"sum(case when is_{name}_final then {name}_count end) "
    f"/ nullif(sum(case when is_{name}_final then {of} end), 0.0) as final_{name}_rate"
    for name, of in (
        ("visit_after_call_7d", "customer_answered_count"),
        ("job_after_call_7d", "customer_answered_count"),
        ("call_after_visit_7d", "customer_visit_count"),
        ("call_after_job_7d", "customer_closed_count"),
    )
)
ROLLOUT = "from mart_parc_rollout join dim_region using (region_code) where is_known"


def whole(figure: str, name: str = "") -> str:
    """A sum, unless a part of it is hidden."""
    return f"case when bool_and({figure} is not null) then sum({figure}) end as {name or figure}"


OF_READERS = {
    "Regions live": (
        "select count(distinct case when status = 'live' then region_code end) as live_region_count "
        f"{ROLLOUT}"
    ),
    "Regions behind plan": (
        "select count(distinct case when status in ('late', 'stalled', 'reverted') then region_code end) "
        f"as behind_region_count {ROLLOUT}"
    ),
    "Mean slip": f"select sum(slip_days) / nullif(count(slip_days), 0.0) as mean_slip_days {ROLLOUT}",
    "Answered at home": f"select {HOME} {CALLS}",
    "Region by region": (
        "select region_name, market, wave, status, planned_go_live_date, observed_go_live_date, slip_days "
        f"{ROLLOUT}"
    ),
    "Is it more than chance?": (
        "select outcome, market, status, estimate, p_value, week_count, detectable_date, reason "
        "from mart_parc_effect where effect_kind = 'simple'"
    ),
    "Calls": f"select {whole('offered_count')} {CALLS}",
    "Service level": f"select {QUALITY} {CALLS}",
    "Abandonment": f"select {LOST} {CALLS}",
    "Mean wait": f"select {WAIT} {CALLS}",
    "Calls again": f"select {AGAIN} {CALLS}",
    "Satisfaction": f"select {SATISFIED.format('satisfaction')} {CALLS}",
    "Region and market": (
        f"select region_name, market, {whole('offered_count')}, {QUALITY}, {LOST}, {WAIT}, "
        f"{AGAIN}, {SATISFIED.format('satisfaction')}, {whole('survey_count')} {CALLS} "
        "group by 1, 2"
    ),
    "Weeks out of the ordinary": (
        "select week_start_date, region_name, metric, metric_value, lower_limit, mean_value, upper_limit, "
        "signal from mart_process_behaviour join dim_region using (region_code) where signal is not null"
    ),
    "In 20 seconds": f"select {QUALITY} {CARD}",
    "By own sites": f"select {HOME} {CARD}",
    "Served": f"select {SERVED} {CARD}",
    "Appointments": f"select {KEPT} {CARD}",
    "First time": f"select {FIRST} {CARD}",
    "Directorates side by side": (
        f"select directorate_name, {QUALITY}, {WAIT}, {HOME}, {AGAIN}, {SATISFIED.format('satisfaction')}, "
        f"{SERVED}, {KEPT}, {FIRST} {CARD} where directorate_code <> 'unknown' group by 1"
    ),
    "Sites": (
        "select site_name, sum(handle_seconds) filter (where position_count is not null) "
        f"/ nullif(sum(position_seconds), 0.0) as occupancy, {whole('answered_leg_count')}, "
        f"{whole('handle_seconds', 'site_handle_seconds')} from mart_site_load_half_hourly group by 1"
    ),
    "Interventions": (
        f"select kind, {whole('requested_count')}, {whole('closed_count')}, "
        f"{KEPT}, sum(operator_no_show_count) / nullif(sum(promised_slot_count), 0.0) "
        f"as operator_no_show_rate, {FIRST}, "
        "sum(repair_hours) / nullif(sum(repair_count), 0.0) as mean_repair_hours "
        "from mart_interventions_daily group by 1"
    ),
    "Boutiques": (
        f"select region_name, {whole('visit_count')}, {SERVED}, "
        "sum(left_unserved_count) / nullif(sum(visit_count), 0.0) as left_unserved_rate, "
        "sum(wait_served_seconds) / nullif(sum(wait_served_count), 0.0) as boutique_mean_wait_seconds, "
        f"{SATISFIED.format('boutique_satisfaction')} from mart_boutiques_daily group by 1"
    ),
    "What follows what": (f"select region_name, {FOLLOWS} from mart_cross_channel_daily group by 1"),
}
"""Charts that a directorate reads too."""

OF_THE_NATION = OF_READERS | {
    "Deliveries missing": (
        "select sum((status = 'missing')::integer) as missing_count from mart_feed_health"
    ),
    "Deliveries refused": "select sum(refused_count) as sum_refused_count from mart_feed_health",
    "Rows held back": "select sum(rows_quarantined) as sum_rows_quarantined from mart_feed_health",
    "On time": (
        "select sum(is_on_time::integer) / nullif(count(is_on_time), 0.0) as on_time_share "
        "from mart_punctuality where not is_backfill"
    ),
    "Deliveries that need a look": (
        "select business_date, feed, status, rows_read, rows_quarantined, refused_count, restatement_count, "
        "reason from mart_feed_health where (is_due and status <> 'published') or refused_count > 0 "
        "or restatement_count > 0 or rows_quarantined > 0"
    ),
    "When BI saw it": (
        "select business_date, feed, came_at, seen_at, deadline_at, is_on_time, is_backfill "
        "from mart_punctuality"
    ),
    "Tables of the switch": (
        "select began_at, kind, version, outcome, effective_date, calls_moved_share, requested_by, "
        "approved_by, live_from_at from mart_releases"
    ),
    "What is provisional": (
        "select figure_window, status, count(*) as date_count from mart_finality_daily group by 1, 2"
    ),
    "What was restated": (
        "select build_id, mart, business_date, region_code, figure, value_before, value_after, cause "
        "from mart_restatements"
    ),
}
"""All charts of one number, and all tables."""
