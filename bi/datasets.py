"""The datasets of Superset: which mart, or which query, and what is counted beside the semantic layer.

Names have no schema: a login's `search_path` is `marts`, a directorate's `regional`.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNT, SHARE = ",d", ".1%"


@dataclass(frozen=True)
class Dataset:
    """A relation, or a query on several (`sql`), with the mart whose columns it has.

    `date` is the column of dates; `more` are further columns: name, type, description. `only` are those shown
    of a wide mart. `own` are its metrics beside the layer's: name, SQL, format, description.
    """

    name: str
    mart: str
    date: str | None = None
    sql: str | None = None
    more: tuple[tuple[str, str, str], ...] = ()
    only: tuple[str, ...] = ()
    own: tuple[tuple[str, str, str, str], ...] = ()
    is_for_directorates: bool = True


REGION_NAME = ("region_name", "TEXT", "Name of the region.")
ISO_CODE = (
    "map_code",
    "TEXT",
    "The department on the map of Superset: ISO 3166-2, with two letters overseas.",
)
MAP_CODE = """\
case department.department_code
    when '971' then 'FR-GP' when '972' then 'FR-MQ' when '973' then 'FR-GF'
    when '974' then 'FR-RE' when '976' then 'FR-YT'
    else department.iso_code
end as map_code"""
DEPARTMENT = ("department_name", "TEXT", "Name of the department.")

DATASETS = (
    Dataset(
        "service_quality_daily",
        "mart_service_quality_daily",
        "business_date",
        """\
select quality.*, rollout.observed_go_live_date
from mart_service_quality_daily as quality
left join mart_parc_rollout as rollout using (region_code, market)""",
        more=(("observed_go_live_date", "DATE", "The day on which the region went live in this market."),),
        own=(
            (
                "gone_live_count",
                "nullif(count(distinct (region_code, market)) "
                "filter (where business_date = observed_go_live_date), 0)",
                COUNT,
                "Regions, by market, that went live on these dates; null where none did.",
            ),
        ),
    ),
    Dataset(
        "rollout",
        "mart_parc_rollout",
        "planned_go_live_date",
        """\
select rollout.*, region.region_name
from mart_parc_rollout as rollout
inner join dim_region as region using (region_code)
where region.is_known""",
        more=(REGION_NAME,),
        own=(
            (
                "live_region_count",
                "count(distinct region_code) filter (where status = 'live')",
                COUNT,
                "Regions that are live in one market or more.",
            ),
            (
                "behind_region_count",
                "count(distinct region_code) filter (where status in ('late', 'stalled', 'reverted'))",
                COUNT,
                "Regions that should be live in a market and are not: late, stalled or reverted.",
            ),
            ("pair_count", "count(*)", COUNT, "Regions, by market."),
            ("mean_slip_days", "avg(slip_days)", ",.1f", "Mean of slip_days over regions and markets."),
        ),
    ),
    Dataset(
        "rollout_map",
        "mart_parc_rollout",
        None,
        f"""\
select {MAP_CODE},
    department.department_name, region.region_name, rollout.*
from dim_department as department
inner join mart_parc_rollout as rollout using (region_code)
inner join dim_region as region using (region_code)""",
        more=(ISO_CODE, DEPARTMENT, REGION_NAME),
        own=(
            (
                "live_market_count",
                "count(*) filter (where status = 'live')",
                COUNT,
                "Markets in which the region of the department is live.",
            ),
        ),
    ),
    Dataset(
        "home_region_map",
        "mart_service_quality_rates",
        "period_start_date",
        f"""\
select {MAP_CODE},
    department.department_name, region.region_name, quality.*
from dim_department as department
inner join dim_region as region using (region_code)
inner join mart_service_quality_rates as quality
    on quality.area = 'region' and quality.area_code = department.region_code
    and quality.period = 'month' and quality.market <> 'all'""",
        more=(ISO_CODE, DEPARTMENT, REGION_NAME),
        only=(
            "period_start_date",
            "area_code",
            "market",
            "home_in_hours_count",
            "in_hours_known_answered_count",
        ),
    ),
    Dataset(
        "rollout_timeline",
        "mart_parc_rollout",
        "stage_from_date",
        """\
select rollout.region_code, region.region_name, rollout.market, rollout.wave,
    rollout.planned_go_live_date, stage.*
from mart_parc_rollout as rollout
inner join dim_region as region using (region_code)
cross join lateral (
    values
    ('planned', rollout.as_of_date, rollout.planned_go_live_date),
    ('late', rollout.planned_go_live_date, coalesce(rollout.observed_go_live_date, rollout.as_of_date)),
    ('live', rollout.observed_go_live_date, coalesce(rollout.withdrawn_on, rollout.as_of_date))
) as stage (stage, stage_from_date, stage_until_date)
where region.is_known and stage.stage_from_date < stage.stage_until_date
    and not (stage.stage = 'planned' and rollout.observed_go_live_date is not null)""",
        only=("region_code", "market", "wave", "planned_go_live_date"),
        more=(
            REGION_NAME,
            (
                "stage",
                "TEXT",
                "planned (until the planned date), late (from there until it went live), live (since then).",
            ),
            ("stage_from_date", "DATE", "First day of the stage."),
            ("stage_until_date", "DATE", "Its last day; that of the newest calls if it goes on."),
        ),
    ),
    Dataset("mart_parc_effect", "mart_parc_effect", "detectable_date"),
    Dataset("mart_wait_percentiles", "mart_wait_percentiles", "period_start_date"),
    Dataset(
        "process_behaviour",
        "mart_process_behaviour",
        "week_start_date",
        """\
select behaviour.*, region.region_name
from mart_process_behaviour as behaviour
inner join dim_region as region using (region_code)""",
        more=(REGION_NAME,),
    ),
    Dataset("mart_directorate_scorecard_daily", "mart_directorate_scorecard_daily", "business_date"),
    Dataset("mart_boutiques_daily", "mart_boutiques_daily", "business_date"),
    Dataset("mart_interventions_daily", "mart_interventions_daily", "business_date"),
    Dataset("mart_cross_channel_daily", "mart_cross_channel_daily", "business_date"),
    Dataset("mart_site_load_half_hourly", "mart_site_load_half_hourly", "local_date"),
    Dataset(
        "mart_feed_health",
        "mart_feed_health",
        "business_date",
        own=(
            (
                "missing_count",
                "count(*) filter (where status = 'missing')",
                COUNT,
                "Deliveries that were due and are not there.",
            ),
            ("sum_refused_count", "sum(refused_count)", COUNT, "Deliveries that were refused."),
            (
                "sum_rows_quarantined",
                "sum(rows_quarantined)",
                COUNT,
                "Rows held back because they broke a rule.",
            ),
            ("sum_rows_published", "sum(rows_published)", COUNT, "Rows published."),
            (
                "sum_restatement_count",
                "sum(restatement_count)",
                COUNT,
                "Deliveries that replaced an earlier one.",
            ),
            (
                "quarantined_share",
                "sum(rows_quarantined)::numeric / nullif(sum(rows_read), 0)",
                ".3%",
                "Rows held back, of those read.",
            ),
        ),
        is_for_directorates=False,
    ),
    Dataset(
        "mart_punctuality",
        "mart_punctuality",
        "business_date",
        own=(
            (
                "on_time_share",
                "avg(is_on_time::integer)",
                SHARE,
                "Deliveries that BI saw before the deadline, of those whose deadline is over.",
            ),
        ),
        is_for_directorates=False,
    ),
    Dataset("mart_releases", "mart_releases", "began_at", is_for_directorates=False),
    Dataset("mart_restatements", "mart_restatements", "business_date", is_for_directorates=False),
    Dataset(
        "mart_finality_daily",
        "mart_finality_daily",
        "business_date",
        own=(("date_count", "count(distinct business_date)", COUNT, "Business dates."),),
        is_for_directorates=False,
    ),
)
