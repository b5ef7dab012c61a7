"""Write `models/semantic_layer.yml`: the daily marts and their metrics for tools that read dbt's semantic
layer (MetricFlow). Run it again when `macros/metrics.sql`, or a column of one of these marts, changes.

    python dbt_project/generate_semantic_layer.py

Every figure of a daily mart is a measure and a metric; every row of `macros/metrics.sql` is a metric of two
of them. A name that an earlier mart has taken begins with the mart's own word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

PROJECT = Path(__file__).parent
WRITTEN = PROJECT / "models" / "semantic_layer.yml"
HEAD = "# Written by generate_semantic_layer.py; do not edit.\n"

Metric = tuple[str, str, str, str, str]
"""Name, numerator, denominator, unit and figure window, as in `macros/metrics.sql`."""


@dataclass(frozen=True)
class Mart:
    """A mart of the semantic layer: what stands before names that are taken, its columns to group by, figures
    that are left out, and ratios beside those of `macros/metrics.sql`."""

    name: str
    word: str
    entities: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    ratios: tuple[Metric, ...] = ()
    only: tuple[tuple[str, str], ...] = ()
    """Metrics that count some rows alone: which ones."""
    ratios_of: tuple[str, ...] = ()
    """Whose ratios it has too, as far as its figures go; none: its own."""
    date: str = "business_date"
    grain: str = "day"


OCCUPANCY = (
    "occupancy",
    "case when position_count is not null then handle_seconds end",
    "position_seconds",
    "share",
    "calls",
)
"""The work of sites whose positions are planned; the others have no denominator."""

MARTS = (
    Mart("service_quality_daily", "call", ("directorate", "region"), ("market",)),
    Mart("boutiques_daily", "boutique", ("directorate", "region")),
    Mart(
        "interventions_daily",
        "intervention",
        ("directorate", "region"),
        ("kind",),
        only=(("fault_rate_per_1000_lines", "kind = 'repair'"),),
    ),
    Mart("cross_channel_daily", "cross_channel", ("directorate", "region")),
    Mart(
        "answers_daily",
        "answer",
        ("directorate", "region"),
        ("market", "answered_by"),
        ratios_of=("service_quality",),
    ),
    # Percentiles of months, and dates with a visit of one boutique, add up to nothing.
    Mart(
        "boutique_monthly",
        "boutique_month",
        ("directorate", "region", "boutique"),
        left_out=("p50_wait_minutes", "p95_wait_minutes", "day_count"),
        ratios_of=("boutiques", "cross_channel"),
        date="period_start_date",
        grain="month",
    ),
    # A level of half-hours adds up to nothing; its seconds do.
    Mart("site_load_half_hourly", "site", ("site",), left_out=("position_count",), ratios=(OCCUPANCY,)),
)
NAMES = {
    "region": ("region_name",),
    "directorate": ("directorate_name",),
    "site": ("site_name", "site_kind", "is_offshore"),
    "boutique": ("boutique_name",),
}
"""The entities, and what their dimension says of each."""


@cache
def metrics() -> dict[str, list[Metric]]:
    """The rows of `macros/metrics.sql`, by mart."""
    returned: list[dict[str, list[Metric]]] = []
    jinja = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701
    jinja.globals["return"] = returned.append
    jinja.from_string((PROJECT / "macros" / "metrics.sql").read_text()).module.metrics()  # type: ignore[attr-defined]
    [by_mart] = returned
    return {
        mart: [(name, " ".join(up.split()), " ".join(down.split()), *more) for name, up, down, *more in rows]
        for mart, rows in by_mart.items()
    }


def ratios(mart: Mart) -> list[Metric]:
    """The ratios of a mart: those whose terms are made of its figures."""
    known = [
        metric
        for of in mart.ratios_of or (mart.name.removesuffix("_daily"),)
        for metric in metrics().get(of, [])
    ]
    own = {*figures(mart)}
    return [
        *(each for each in known if {*re.findall("[a-z]\\w+", f"{each[1]} {each[2]}")} <= own),
        *mart.ratios,
    ]


@cache
def figures(mart: Mart) -> list[str]:
    """The columns of a mart that are figures of all readers."""
    [path] = PROJECT.glob(f"models/marts/**/mart_{mart.name}.yml")
    [model] = yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
    meta = model["config"]["meta"]
    others = [*meta.get("persons", []), *meta.get("aliases", []), *mart.left_out]
    return [
        column["name"]
        for column in model["columns"]
        if re.match("bigint|integer|numeric", column["data_type"]) and column["name"] not in others
    ]


def stocks(mart: Mart) -> list[str]:
    """The figures of a mart that are levels on a date, which do not add up over dates."""
    return [each for each in figures(mart) if each.endswith("_stock")]


@cache
def names(mart: Mart) -> dict[str, str]:
    """The name of each figure and ratio of a mart in the layer."""
    before = MARTS[: MARTS.index(mart)]
    taken = {name for each in before for name in names(each).values()}
    own = [*figures(mart), *(name for name, *_ in ratios(mart))]
    return {name: f"{mart.word}_{name}" if name in taken else name for name in own}


def terms(metric: Metric) -> tuple[str, str]:
    """What a ratio divides, and by what."""
    _, numerator, denominator, unit, _ = metric
    return f"100.0 * ({numerator})" if unit == "points" else numerator, denominator


def label(name: str) -> str:
    """The name as a person writes it."""
    return name.replace("_", " ").capitalize()


@cache
def measures(mart: Mart) -> list[dict[str, Any]]:
    """Each figure; the terms of ratios that are more than a figure; what rates per line divide by."""
    made: list[dict[str, Any]] = []

    def add(name: str, expr: str, agg: str = "sum", **more: Any) -> None:
        made.append(
            {"name": name, "label": label(name), "agg": agg, "expr": expr, "create_metric": True, **more}
        )

    for figure in figures(mart):
        latest = {"non_additive_dimension": {"name": "business_date", "window_choice": "max"}}
        add(names(mart)[figure], figure, **(latest if figure in stocks(mart) else {}))
    for metric in ratios(mart):
        name, _, denominator, unit, _ = metric
        if unit == "per_1000_lines":
            add(f"{names(mart)[name]}_days", "business_date", "count_distinct")
            add(f"{names(mart)[name]}_line_days", denominator)
            continue
        for term, expression in zip(("numerator", "denominator"), terms(metric), strict=True):
            if expression not in {each["expr"] for each in made}:
                add(f"{names(mart)[name]}_{term}", expression)
    return made


def ratio(mart: Mart, metric: Metric) -> dict[str, Any]:
    """A ratio as a metric of the layer."""
    name, numerator, denominator, unit, _ = metric
    own = names(mart)[name]
    made = {"name": own, "label": label(own), "description": f"{numerator}, divided by {denominator}."}
    if unit == "per_1000_lines":
        inputs = [names(mart)[numerator], f"{own}_days", f"{own}_line_days"]
        made["description"] += " Per 1,000 lines: their mean over the dates."
        made["type"] = "derived"
        made["type_params"] = {
            "expr": f"1000.0 * {inputs[0]} * {inputs[1]} / nullif({inputs[2]}, 0)",
            "metrics": inputs,
        }
    else:
        by_expression = {each["expr"]: each["name"] for each in reversed(measures(mart))}
        made["type"] = "ratio"
        numerator, denominator = (by_expression[each] for each in terms(metric))
        made["type_params"] = {"numerator": numerator, "denominator": denominator}
    if name in dict(mart.only):
        column, condition = dict(mart.only)[name].split(" ", 1)
        made["filter"] = f"{{{{ Dimension('{mart.name}__{column}') }}}} {condition}"
    return made


def semantic_model(mart: Mart) -> dict[str, Any]:
    """The columns of a mart as entities, dimensions and measures."""
    date = {"name": mart.date, "type": "time", "type_params": {"time_granularity": mart.grain}}
    return {
        "name": mart.name,
        "model": f"ref('mart_{mart.name}')",
        "defaults": {"agg_time_dimension": mart.date},
        "primary_entity": mart.name,
        "entities": [{"name": each, "type": "foreign", "expr": f"{each}_code"} for each in mart.entities],
        "dimensions": [date, *({"name": each, "type": "categorical"} for each in mart.dimensions)],
        "measures": measures(mart),
    }


def named(entity: str) -> dict[str, Any]:
    """A dimension's names."""
    return {
        "name": entity,
        "model": f"ref('dim_{entity}')",
        "entities": [{"name": entity, "type": "primary", "expr": f"{entity}_code"}],
        "dimensions": [{"name": each, "type": "categorical"} for each in NAMES[entity]],
    }


def text() -> str:
    """The file."""
    layer = {
        "semantic_models": [*map(semantic_model, MARTS), *map(named, NAMES)],
        "metrics": [ratio(mart, metric) for mart in MARTS for metric in ratios(mart)],
    }
    return HEAD + yaml.dump(layer, Dumper=yaml.CSafeDumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    WRITTEN.write_text(text())
