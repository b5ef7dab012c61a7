"""The dbt project's metadata is consistent."""

from __future__ import annotations

import csv
import re
import runpy
from functools import cache
from typing import Any

import yaml

from parc.build import retention
from parc.feeds import FEEDS
from parc.settings import PROJECT

DBT = PROJECT / "dbt_project"
SEMANTIC_LAYER = DBT / "generate_semantic_layer.py"


@cache
def metas() -> dict[str, dict[str, Any]]:
    """The meta of every model and seed."""
    files = [*DBT.glob("models/**/*.yml"), *DBT.glob("seeds/*.yml")]
    described = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in files]
    return {
        each["name"]: each.get("config", {}).get("meta", {})
        for kind in ("models", "seeds")
        for properties in described
        for each in properties.get(kind, [])
    }


def test_every_mart_declares_what_directorates_read() -> None:
    columns = {
        model["name"]: {column["name"] for column in model["columns"]}
        for path in DBT.glob("models/marts/*/**/*.yml")
        for model in yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
    }
    marts = {name: meta for name, meta in metas().items() if "publish" in meta}
    scopes = {"open", "closed", "directorate", "site", "region", "area"}
    assert {meta.get("scope") for meta in marts.values()} == scopes
    for name, meta in marts.items():
        assert meta["scope"] == "closed" or not name.startswith("fct_")
        named = {*meta.get("persons", []), *meta.get("counts", []), *meta.get("withheld", [])}
        assert named <= columns[name], name
        needs = f"{name}: `scope: {meta['scope']}` needs `persons` (docs/how-to/add-a-mart.md)"
        assert named or meta["scope"] in ("open", "closed"), needs
        assert all(column.endswith("person_count") for column in meta.get("persons", [])), name
        if "sums_of" in meta:
            daily = marts[meta["sums_of"]]
            assert daily["scope"] == "directorate" and "persons" in daily, name
        for daily_name, persons in meta.get("persons_of", {}).items():
            assert persons and {*persons} <= {*marts[daily_name]["persons"]}, name
        if meta["scope"] in ("directorate", "site", "region"):
            assert meta.get("persons") or meta.get("withheld"), needs
        if meta["scope"] == "area":
            assert "sums_of" in meta or "persons_of" in meta, name


def test_everything_that_bi_reads_has_a_tested_key() -> None:
    """In one test; what a build makes again once the effects are estimated, in another, so that it tests no
    more again than it makes."""
    tested = {}
    for test in ("keys_are_unique", "keys_of_effects_are_unique"):
        checked = (DBT / "tests" / f"{test}.sql").read_text()
        tested[test] = re.findall(r"'(\w+)'", checked.partition("broken_keys([")[2].partition("]")[0])
        assert tested[test] == sorted(set(tested[test]))
    of_effects = {"mart_parc_effect"}
    queries = {path.stem: path.read_text() for path in DBT.glob("models/**/*.sql")}
    while (
        found := {
            name for name, query in queries.items() if of_effects & set(re.findall(r"ref\('(\w+)'\)", query))
        }
        - of_effects
    ):
        of_effects |= found
    assert set(tested["keys_of_effects_are_unique"]) == of_effects
    assert of_effects.isdisjoint(tested["keys_are_unique"])
    names = [name for each in tested.values() for name in each]
    assert set(names) == {name for name, meta in metas().items() if "key" in meta}
    published = {name for name, meta in metas().items() if "publish" in meta}
    # Each row of a fact is looked for on all dates: by a test of its own.
    facts = {path.stem.partition("_has_one_row")[0] for path in DBT.glob("tests/fct_*_has_one_row_per_*.sql")}
    assert len(facts) == 3
    assert published - set(names) == facts


def test_what_can_make_a_stored_figure_final_is_what_its_dates_follow() -> None:
    """A mart that stores `is_<window>_final` computes a date again when a delivery of the window comes, its
    lines, or another window in the seed; else the flag would stay as it was."""
    windows = {row["figure_window"]: row for row in seed("figure_windows")}
    stored = [
        (model["name"], model["config"]["meta"], windows[window])
        for path in DBT.glob("models/marts/*/*.yml")
        for model in yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
        if model["config"]["meta"].get("publish") == "by_date"
        for column in model["columns"]
        if (window := column["name"].removeprefix("is_").removesuffix("_final")) in windows
    ]
    assert len(stored) > 10
    for name, meta, window in stored:
        days = int(window["window_hours"]) // 24
        assert {window["feed"], window["followed_by"]} <= {*meta["feeds"]}, name
        assert meta["lookback_days"] >= (days + 1 if days else 0), f"{name}: the clock may change in between"
        assert "active_lines" in meta["feeds"] or window["needs_lines"] == "false", name
        assert window["feed"] in metas()["figure_windows"]["governs"]["subjects"], name


def seed(name: str) -> list[dict[str, str]]:
    with (DBT / "seeds" / f"{name}.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_model_with_person_keys_declares_their_retention() -> None:
    """A model's columns are described one by one, so its keys are known; one retention for all of a feed."""
    keys = {
        model["name"]: [
            column["name"]
            for column in model["columns"]
            if column["name"] in ("identity_key", "caller_key", "customer_key", "line_key")
        ]
        for path in DBT.glob("models/*/**/*.yml")
        if "staging" not in path.parts
        for model in yaml.load(path.read_text(), yaml.CSafeLoader).get("models", [])
    }
    kept = {each.model: each for each in retention.declared(DBT)}
    assert len(kept) == 7
    assert {name: list(each.person_keys) for name, each in kept.items()} == {
        name: found for name, found in keys.items() if found
    }
    assert {name for name, each in kept.items() if not each.days} == {"int_call_roots", "int_boutique_visits"}
    for each in kept.values():
        assert each.reason
        if not each.days:
            assert metas()[each.model]["holds"] == "changed_dates"
            continue
        assert each.days >= (FEEDS[each.feeds[0]].retention.days or 0)
        others = [other for other in kept.values() if other.days and other.feeds[0] == each.feeds[0]]
        assert {(other.days, other.feeds) for other in others} == {(each.days, each.feeds)}


def test_every_metric_is_a_column_of_one_name_and_has_a_window() -> None:
    by_mart = runpy.run_path(str(SEMANTIC_LAYER))["metrics"]()
    windows = {row["figure_window"] for row in csv.DictReader((DBT / "seeds/figure_windows.csv").open())}
    columns = {
        model["name"]: {column["name"] for column in model["columns"]}
        for path in DBT.glob("models/marts/**/*.yml")
        for model in yaml.load(path.read_text(), yaml.CSafeLoader).get("models", [])
    }
    asked: dict[str, list[str]] = {}
    for path in DBT.glob("models/marts/**/*_rates.sql"):
        for mart, metric, column in re.findall(
            r"rate\('(\w+)', '(\w+)'\) }}.*?as (\w+)", path.read_text(), re.S
        ):
            asked.setdefault(mart, []).append(metric)
            assert column in (metric, "call_rate_per_1000_lines")
    assert {mart: sorted({*metrics}) for mart, metrics in asked.items()} == {
        mart: sorted(metric[0] for metric in metrics) for mart, metrics in by_mart.items()
    }
    for mart, metrics in by_mart.items():
        for name, numerator, denominator, unit, window in metrics:
            summed = {*re.findall(r"[a-z]\w+", f"{numerator} {denominator}")}
            assert summed <= columns[f"mart_{mart}_daily"], name
            assert unit in ("share", "points", "seconds", "hours", "days", "per_1000_lines"), name
            assert window in windows, name


def test_the_semantic_layer_has_the_metrics_of_today() -> None:
    written = runpy.run_path(str(SEMANTIC_LAYER))
    assert written["WRITTEN"].read_text() == written["text"](), "run dbt_project/generate_semantic_layer.py"
