"""Write `bi/assets/datasets`: what Superset reads of the marts. Run it again when a mart or a metric changes.

    python bi/write_datasets.py

Columns come from the marts' own YAML, or from the comments in migrations where no model makes a relation. A
metric that the semantic layer has is the layer's: the figures of its marts, and the ratios of
`macros/metrics.sql` whose terms a dataset has. `datasets.py` has the others.
"""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import asset_files
import yaml
from datasets import COUNT, DATASETS, Dataset

PROJECT = Path(__file__).parents[1]
MODELS = PROJECT / "dbt_project" / "models"
DOCS = dict(re.findall(r"{% docs (\w+) %}(.*?){% enddocs %}", (MODELS / "columns.md").read_text()))
LAYER = runpy.run_path(str(PROJECT / "dbt_project" / "generate_semantic_layer.py"))
LAYER_MARTS = {f"mart_{mart.name}": mart for mart in LAYER["MARTS"]}
CERTIFIED = {"certification": {"certified_by": "PARC"}}
FORMATS = {"share": ".1%", "seconds": ",.0f", "points": "+.1f", "per_1000_lines": ",.2f", "days": ",.1f"}

FINAL_BY = {
    "repeat_7d_rate": "is_repeat_7d_final",
    "first_time_right_rate": "is_first_time_right_30d_final",
    "call_after_visit_7d_rate": "is_call_after_visit_7d_final",
    "call_after_job_7d_rate": "is_call_after_job_7d_final",
    "visit_after_call_7d_rate": "is_visit_after_call_7d_final",
    "job_after_call_7d_rate": "is_job_after_call_7d_final",
}
"""The column that says whether a ratio's figures of a date are final."""

KINDS = (
    (r"_at$", "TIMESTAMP WITH TIME ZONE"),
    (r"_(date|on)$", "DATE"),
    (r"^(is|was|has)_", "BOOLEAN"),
    (r"_(count|days|id)$", "BIGINT"),
    (r"_(share|seconds|before|after)$", "NUMERIC"),
)
"""The type of a column that no model declares."""


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
                    "verbose_name": LAYER["label"](name) + (" (UTC)" if kind.startswith("TIMESTAMP") else ""),
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
                for name, expression, form, description in (
                    *layer_metrics(dataset.mart, known),
                    *final_metrics(dataset.mart, known),
                    *dataset.own,
                )
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
    """The metrics of the semantic layer that these columns give: for a mart of the layer its own, for another
    the ratios whose terms it has."""
    made: dict[str, tuple[str, str, str, str]] = {}
    of_layer = LAYER_MARTS.get(mart_name)
    for mart in [of_layer] if of_layer else LAYER["MARTS"]:
        names = LAYER["names"](mart)
        if of_layer:
            for figure in LAYER["figures"](mart):
                if figure not in LAYER["stocks"](mart):
                    made[figure] = (
                        names[figure],
                        total(figure),
                        COUNT,
                        f"Sum of {figure}; null where a part is.",
                    )
        for metric in LAYER["ratios"](mart):
            name, numerator, denominator, unit, _ = metric
            condition = dict(mart.only).get(name, "")
            if name in made or not _columns_of(f"{numerator} {denominator} {condition}") <= known:
                continue
            said = f"{numerator}, divided by {denominator}."
            made[name] = (names[name], ratio(mart, metric), FORMATS.get(unit, ",.2f"), said)
    return list(made.values())


def final_metrics(mart_name: str, known: set[str]) -> list[tuple[str, str, str, str]]:
    """Of a ratio whose newest dates may still move (FINAL_BY), that of the final dates and of the others."""
    found = {name: (expression, form) for name, expression, form, _ in layer_metrics(mart_name, known)}
    return [
        (
            f"{which}_{name}",
            filtered(found[name][0], condition),
            found[name][1],
            f"{name} of the dates that {said}.",
        )
        for name, flag in FINAL_BY.items()
        if name in found and flag in known
        for which, condition, said in (
            ("final", flag, "are final"),
            ("provisional", f"not {flag}", "may still move"),
        )
    ]


def filtered(expression: str, condition: str) -> str:
    """A ratio of sums over some rows only."""
    return re.sub(r"(sum\([^()]*\))", rf"\1 filter (where {condition})", expression)


def total(figure: str) -> str:
    """A sum as SQL. A part of few persons is hidden from a directorate: the rest is no sum."""
    return f"case when count(*) = count({figure}) then sum({figure}) end"


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
        counted = " and ".join(each for each in (condition, f"{numerator} is not null") if each)
        days = f"count(distinct business_date) filter (where {counted})"
        return f"1000.0 * sum({numerator}){where} * {days} / nullif(sum({denominator}){where}, 0)"
    up, down = LAYER["terms"](metric)
    return f"sum({up})::numeric / nullif(sum({down}), 0)"


@cache
def _models() -> dict[str, dict[str, Any]]:
    return {
        model["name"]: model
        for path in sorted((MODELS / "marts").rglob("*.yml"))
        for model in yaml.load(path.read_text(), yaml.CSafeLoader).get("models", [])
    }


@cache
def _comments() -> dict[str, dict[str, str]]:
    """What migrations say of relations and their columns; the relation itself under an empty name."""
    found: dict[str, dict[str, str]] = {}
    said = re.compile(
        r"^comment on (?:table|view|column) marts\.(\w+)(?:\.(\w+))? is\s+'((?:[^']|'')*)';", re.MULTILINE
    )
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
