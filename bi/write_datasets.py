"""Write `bi/assets/datasets`: what Superset reads of the marts. Run it again when a mart or a metric changes.

    python bi/write_datasets.py

Columns come from the marts' own YAML (and from the comments in migrations, for what no model makes). A metric that the
semantic layer has is the layer's: its figures, and the ratios of `macros/metrics.sql` whose terms a dataset has. What
is added here is `OWN`. Names have no schema: a login's `search_path` is `marts`, a directorate's `regional`.
"""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import asset_files
import yaml

PROJECT = Path(__file__).parents[1]
MODELS = PROJECT / "dbt_project" / "models"
DOCS = dict(re.findall(r"{% docs (\w+) %}(.*?){% enddocs %}", (MODELS / "columns.md").read_text()))
LAYER = runpy.run_path(str(PROJECT / "dbt_project" / "generate_semantic_layer.py"))
LAYER_MARTS = {f"mart_{mart.name}": mart for mart in LAYER["MARTS"]}
DATABASE = "Warehouse"
CERTIFIED = {"certification": {"certified_by": "PARC"}}
FORMATS = {"share": ".1%", "seconds": ",.0f", "points": "+.1f", "per_1000_lines": ",.2f", "days": ",.1f"}
COUNT, SHARE = ",d", ".1%"

KINDS = (
    (r"_at$", "TIMESTAMP WITH TIME ZONE"),
    (r"_(date|on)$", "DATE"),
    (r"^(is|was|has)_", "BOOLEAN"),
    (r"_(count|days|id)$", "BIGINT"),
    (r"_(share|seconds|before|after)$", "NUMERIC"),
)
"""The type of a column that no model declares."""


@dataclass(frozen=True)
class Dataset:
    """A relation, or a query on several (`sql`), with the mart whose columns it has and further columns. `only` are
    the columns shown of a wide mart, `own` its metrics beside the layer's: name, SQL, format, what it says."""

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
    when '971' then 'FR-GP' when '972' then 'FR-MQ' when '973' then 'FR-GF' when '974' then 'FR-RE' when '976' then 'FR-YT'
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
                "nullif(count(distinct (region_code, market)) filter (where business_date = observed_go_live_date), 0)",
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
                "live_count",
                "count(*) filter (where status = 'live')",
                COUNT,
                "Regions, by market, that are live.",
            ),
            (
                "behind_count",
                "count(*) filter (where status in ('late', 'stalled', 'reverted'))",
                COUNT,
                "Regions, by market, that should be live and are not: late, stalled or reverted.",
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
select rollout.region_code, region.region_name, rollout.market, rollout.wave, stage.*
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
        only=("region_code", "market", "wave"),
        more=(
            REGION_NAME,
            (
                "stage",
                "TEXT",
                "planned (until the planned date), late (from there until it went live), live (since it went live).",
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
            ("sum_rows_quarantined", "sum(rows_quarantined)", COUNT, "Rows held back because they broke a rule."),
            ("sum_rows_published", "sum(rows_published)", COUNT, "Rows published."),
            ("sum_restatement_count", "sum(restatement_count)", COUNT, "Deliveries that replaced an earlier one."),
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


def dataset_uuid(name: str) -> str:
    """A dataset is the same on every platform."""
    return str(uuid5(NAMESPACE_URL, f"parc/datasets/{name}"))


def files() -> dict[str, str]:
    """The files, by their path in `bi/assets`."""
    return {
        f"datasets/{asset_files.file_name(dataset.name)}.yaml": asset_files.text(document(dataset))
        for dataset in DATASETS
    }


def document(dataset: Dataset) -> dict[str, Any]:
    """A dataset as its file has it."""
    model = _models().get(dataset.mart)
    shown = columns(dataset)
    known = {name for name, *_ in shown}
    return asset_files.tidied(
        "datasets",
        {
            "table_name": dataset.name,
            "uuid": dataset_uuid(dataset.name),
            "database_uuid": str(uuid5(NAMESPACE_URL, "parc/databases/warehouse")),
            "description": _line(model["description"]) if model else _comments()[dataset.mart][""],
            "main_dttm_col": dataset.date,
            "sql": dataset.sql,
            "extra": CERTIFIED | ({"is_for_directorates": True} if dataset.is_for_directorates else {}),
            "columns": [
                {
                    "column_name": name,
                    "verbose_name": LAYER["label"](name),
                    "type": kind,
                    "is_dttm": kind == "DATE" or kind.startswith("TIMESTAMP"),
                    "description": description,
                    "extra": CERTIFIED,
                }
                for name, kind, description in shown
            ],
            "metrics": [
                {
                    "metric_name": name,
                    "verbose_name": LAYER["label"](name.removeprefix("sum_")).removesuffix(" count"),
                    "expression": expression,
                    "d3format": form,
                    "description": description,
                    "extra": CERTIFIED,
                }
                for name, expression, form, description in (*layer_metrics(dataset.mart, known), *dataset.own)
            ],
        },
    )


def columns(dataset: Dataset) -> list[tuple[str, str, str]]:
    """Name, type and description of each."""
    if model := _models().get(dataset.mart):
        persons = model["config"]["meta"].get("persons", [])
        own = [
            (each["name"], each["data_type"].upper(), _line(each["description"]))
            for each in model["columns"]
            if each["name"] not in persons and (not dataset.only or each["name"] in dataset.only)
        ]
    else:
        own = [
            (name, next((kind for pattern, kind in KINDS if re.search(pattern, name)), "TEXT"), text)
            for name, text in _comments()[dataset.mart].items()
            if name
        ]
    return [*own, *dataset.more]


def layer_metrics(mart_name: str, known: set[str]) -> list[tuple[str, str, str, str]]:
    """The metrics of the semantic layer that can be computed from these columns: for a mart of the layer its own,
    for another the ratios whose terms it has."""
    made: dict[str, tuple[str, str, str, str]] = {}
    of_layer = LAYER_MARTS.get(mart_name)
    for mart in [of_layer] if of_layer else LAYER["MARTS"]:
        names = LAYER["names"](mart)
        if of_layer:
            for figure in LAYER["figures"](mart):
                if figure not in LAYER["stocks"](mart):
                    made[figure] = (names[figure], f"sum({figure})", COUNT, f"Sum of {figure}.")
        for metric in LAYER["ratios"](mart):
            name, numerator, denominator, unit, _ = metric
            condition = dict(mart.only).get(name, "")
            if name in made or not _columns_of(f"{numerator} {denominator} {condition}") <= known:
                continue
            said = f"{numerator}, divided by {denominator}."
            made[name] = (names[name], ratio(mart, metric), FORMATS.get(unit, ",.2f"), said)
    return list(made.values())


def _columns_of(expression: str) -> set[str]:
    """The columns that a SQL expression names."""
    words = re.findall(r"[a-z_]\w*", re.sub(r"'[^']*'", "", expression))
    return set(words) - {"case", "when", "is", "not", "null", "then", "end"}


def ratio(mart: Any, metric: tuple[str, str, str, str, str]) -> str:
    """A ratio of the layer as SQL: a sum divided by a sum, per 1,000 lines by their mean over the dates."""
    name, numerator, denominator, unit, _ = metric
    condition = dict(mart.only).get(name)
    where = f" filter (where {condition})" if condition else ""
    if unit == "per_1000_lines":
        days = f"count(distinct business_date){where}"
        return f"1000.0 * sum({numerator}){where} * {days} / nullif(sum({denominator}){where}, 0)"
    up, down = LAYER["terms"](metric)
    return f"sum({up})::numeric / nullif(sum({down}), 0)"


@cache
def _models() -> dict[str, dict[str, Any]]:
    return {
        model["name"]: model
        for path in sorted((MODELS / "marts").rglob("*.yml"))
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }


@cache
def _comments() -> dict[str, dict[str, str]]:
    """What migrations say of relations and their columns; the relation itself under an empty name."""
    found: dict[str, dict[str, str]] = {}
    said = re.compile(r"^comment on (?:table|view|column) marts\.(\w+)(?:\.(\w+))? is\s+'((?:[^']|'')*)';", re.MULTILINE)
    for path in sorted((PROJECT / "plugins/parc/warehouse/migrations").glob("*.sql")):
        for relation, column, text in said.findall(path.read_text()):
            found.setdefault(relation, {})[column] = text.replace("''", "'")
    return found


def _line(description: str) -> str:
    text = re.sub(r"{{ doc\('(\w+)'\) }}", lambda found: DOCS[found[1]], description)
    return " ".join(text.split())


if __name__ == "__main__":
    others = {path: text for path, text in asset_files.read().items() if not path.startswith("datasets/")}
    print("\n".join(asset_files.write(others | files())) or "no file changed")
