"""The files of Superset: written from the marts' definitions, whole, and stable."""

from __future__ import annotations

import importlib
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from parc.settings import PROJECT

BI = PROJECT / "bi"
METRIC_KEYS = ("metric", "metrics", "metrics_b", "timeseries_limit_metric")
COLUMN_PIXELS, ROUND_A_TITLE_PIXELS, LETTER_PIXELS = 84, 70, 8.5
"""At 1280 pixels, with the filters open."""
COLUMN_KEYS = ("groupby", "groupby_b", "all_columns", "x_axis", "entity", "series", "y_axis")


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The modules of `bi/` that need no Superset."""
    names = ("asset_files", "datasets", "write_datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BI))
        yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def documents(modules: dict[str, ModuleType]) -> dict[str, Any]:
    return {path: yaml.load(text, yaml.CSafeLoader) for path, text in modules["asset_files"].read().items()}


def of(kind: str, documents: dict[str, Any]) -> list[Any]:
    return [document for path, document in documents.items() if path.startswith(f"{kind}/")]


def test_datasets_are_what_the_definitions_say(modules: dict[str, ModuleType]) -> None:
    kept = {
        path: text for path, text in modules["asset_files"].read().items() if path.startswith("datasets/")
    }
    assert kept == modules["write_datasets"].files(), "run bi/write_datasets.py"


def test_ratios_are_those_of_the_semantic_layer(modules: dict[str, ModuleType]) -> None:
    """A metric that the layer has is nowhere defined again."""
    layer = yaml.load((PROJECT / "dbt_project/models/semantic_layer.yml").read_text(), yaml.CSafeLoader)
    known = {metric["name"] for metric in layer["metrics"]} | {
        measure["name"] for model in layer["semantic_models"] for measure in model.get("measures", [])
    }
    own = {name for dataset in modules["datasets"].DATASETS for name, *_ in dataset.own}
    assert not own & known
    files = {
        path: yaml.load(text, yaml.CSafeLoader) for path, text in modules["write_datasets"].files().items()
    }
    used = {metric["metric_name"] for each in files.values() for metric in each["metrics"]}
    used = {re.sub("^(final|provisional)_", "", name) for name in used}
    assert used <= own | known and len(used & known) > 100
    quality = files["datasets/service_quality_daily.yaml"]["metrics"]
    [level] = [metric for metric in quality if metric["metric_name"] == "service_level"]
    assert level["expression"] == (
        "sum(answered_within_20s_count)::numeric / "
        "nullif(sum(answered_count + abandoned_count - short_abandoned_count), 0)"
    )


def test_charts_use_what_their_datasets_have(documents: dict[str, Any]) -> None:
    datasets = {dataset["uuid"]: dataset for dataset in of("datasets", documents)}
    for chart in of("charts", documents):
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        metrics = {metric["metric_name"] for metric in dataset["metrics"]}
        columns = {column["column_name"] for column in dataset["columns"]}
        assert set(named(params, METRIC_KEYS)) <= metrics, chart["slice_name"]
        filtered = [each["subject"] for each in params.get("adhoc_filters", []) if "subject" in each]
        assert {*named(params, COLUMN_KEYS), *filtered} <= columns, chart["slice_name"]


def named(params: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    given = [params[key] for key in keys if key in params]
    flat = [name for each in given for name in (each if isinstance(each, list) else [each])]
    return [name for name in flat if isinstance(name, str)]


def test_dashboards_hold_every_chart_once(documents: dict[str, Any]) -> None:
    charts = {chart["uuid"]: chart["slice_name"] for chart in of("charts", documents)}
    placed = [
        each["meta"]["uuid"]
        for dashboard in of("dashboards", documents)
        for each in dashboard["position"].values()
        if isinstance(each, dict) and each["type"] == "CHART"
    ]
    assert sorted(placed) == sorted(charts)
    for dashboard in of("dashboards", documents):
        for each in dashboard["position"].values():
            if isinstance(each, dict) and each["type"] == "CHART":
                room = COLUMN_PIXELS * each["meta"]["width"] - ROUND_A_TITLE_PIXELS
                assert LETTER_PIXELS * len(each["meta"]["sliceName"]) <= room, "its title is cut"
    for dashboard in of("dashboards", documents):
        assert "color_scheme" not in dashboard["metadata"], "it colours the map at random"


def test_maps_are_of_departments(documents: dict[str, Any]) -> None:
    maps = [chart["params"] for chart in of("charts", documents) if chart["viz_type"] == "country_map"]
    assert [(each["select_country"], each["entity"]) for each in maps] == [("france", "map_code")] * 2


def test_a_file_is_the_same_after_import_and_export(
    modules: dict[str, ModuleType], documents: dict[str, Any]
) -> None:
    files = modules["asset_files"]
    for path, document in documents.items():
        kind = path.partition("/")[0]
        assert (
            files.text(files.tidied(kind, files.filled(kind, document))) == (BI / "assets" / path).read_text()
        )
        assert not re.search(r"\b(created|changed)_on\b|slice_id|datasetId", files.text(document))


def test_the_lock_names_no_registry() -> None:
    lock = (BI / "requirements.lock").read_text()
    assert not re.search(r"^\s*--(index|extra-index|find-links)|https?://", lock, re.MULTILINE)
    pins = re.findall(r"^([a-z0-9._-]+)==\S+.*((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE)) > 100


def test_a_user_has_exactly_one_login_to_the_warehouse(tmp_path: Path, monkeypatch) -> None:
    platform = {"secret_key": "k", "warehouse": {}, "warehouse_logins": ["bi_reader", "bi_ouest", "bi_nord"]}
    (tmp_path / "platform.json").write_text(json.dumps(platform))
    monkeypatch.setenv("PARC_BI_HOME", str(tmp_path))
    configuration = runpy.run_path(str(BI / "superset_config.py"))
    event.remove(Engine, "connect", configuration["_faster_sqlite"])
    login_of = configuration["warehouse_login"]
    assert login_of(["Gamma", "bi_ouest"]) == "bi_ouest"
    for roles in (
        ["Admin"],
        [],
        ["bi_ouest", "bi_nord"],
        ["bi_ouest", "bi_reader"],
        ["BI_OUEST"],
        ["bi_sud"],
    ):
        with pytest.raises(PermissionError, match="exactly one role"):
            login_of(roles)
    with pytest.raises(PermissionError):  # without a user
        configuration["DB_CONNECTION_MUTATOR"](make_url("postgresql://warehouse/parc"), {}, None, None, None)
