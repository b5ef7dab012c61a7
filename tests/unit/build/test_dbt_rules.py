"""The dbt project keeps the rules of dbt-labs/dbt-project-evaluator, read from dbt's own manifest.

Left out: the fan-out of models (marts are leaves here: BI reads them), the freshness of sources (the feed
calendar knows what is missing), views that exposures read (rates are views on purpose: ADR 2).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from parc.settings import PROJECT
from support import preloaded

DBT = PROJECT / "dbt_project"
PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "aggregates": ("agg_",),
    "marts": ("fct_", "dim_", "mart_", "routing_"),
}
READS = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "seed"},
    "aggregates": {"staging", "intermediate", "aggregates", "marts", "seed"},
    "marts": {"staging", "intermediate", "aggregates", "marts", "seed"},
}
STEPS = {
    "agg_open_interventions_daily": "the open jobs' part of the daily mart, a query of its own",
    "mart_boutique_visits_daily": "counted by difference, which a month cannot be",
}
"""Models that only one other reads, and that reads what they read too; each with the reason."""
LOOKED_UP = {"int_names", "int_built_deliveries", "mart_finality_daily"}
"""What nearly every mart looks up, by code, feed or date: no step on the way to it."""
MOST_LINES = 150
MOST_READ = 6
MOST_VIEWS = 4
"""How many views may be stacked on each other."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What dbt makes of the project; it asks no warehouse for it."""
    folder = tmp_path_factory.mktemp("dbt")
    process = preloaded.start(write, str(folder / "manifest.json"))
    process.join()
    assert process.exitcode == 0
    read: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return read


def write(path: str) -> None:
    """In a process that has parsed the project."""
    from support.preloaded_libraries import MANIFEST

    MANIFEST.write(path)


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The models by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def layer(unique_id: str, models: dict[str, dict[str, Any]]) -> str:
    kind, _, rest = unique_id.partition(".")
    return str(models[rest.rsplit(".", 1)[-1]]["fqn"][1]) if kind == "model" else kind


def read_by(model: dict[str, Any]) -> list[str]:
    return [each.rsplit(".", 1)[-1] for each in model["depends_on"]["nodes"] if each.startswith("model.")]


def test_each_layer_reads_only_lower_layers(models: dict[str, dict[str, Any]]) -> None:
    assert {model["fqn"][1] for model in models.values()} == set(PREFIXES)
    for name, model in models.items():
        own = model["fqn"][1]
        read = [layer(each, models) for each in model["depends_on"]["nodes"]]
        assert read, f"{name} reads nothing"
        assert set(read) <= READS[own], f"{name} reads {set(read) - READS[own]}"
        assert name.startswith(PREFIXES[own]), name
        assert own != "aggregates" or {"marts", "aggregates"} & set(read), (
            f"{name} adds up no mart: name it int_"
        )


def test_each_source_is_declared_in_staging_and_staged_once(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    read = Counter(
        each
        for model in models.values()
        for each in model["depends_on"]["nodes"]
        if each.startswith("source.")
    )
    assert read == Counter(manifest["sources"].keys())
    for source in manifest["sources"].values():
        assert source["original_file_path"].startswith("models/staging/")
        assert source["description"] and source["source_description"]
    for model in models.values():
        if model["fqn"][1] == "staging":
            assert len(model["depends_on"]["nodes"]) == 1, model["name"]


def test_no_model_hardcodes_a_table_name(models: dict[str, dict[str, Any]]) -> None:
    schemas = "raw|ops|staging|intermediate|build|marts|reference|routing"
    for name, model in models.items():
        found = re.search(rf"\b(from|join)\s+({schemas})\.\w+(?!\w*\()", model["raw_code"])
        assert found is None, f"{name}: {found and found[0]}"


def test_only_listed_steps_are_rejoined_with_their_upstream(models: dict[str, dict[str, Any]]) -> None:
    readers = {name: {each for each, model in models.items() if name in read_by(model)} for name in models}
    found = {
        step
        for step, model in models.items()
        for upstream in set(read_by(model)) - LOOKED_UP
        if len(readers[step]) == 1 and readers[step] <= readers[upstream]
    }
    assert found == set(STEPS)


def test_queries_stay_small(models: dict[str, dict[str, Any]]) -> None:
    for name, model in models.items():
        assert len(model["raw_code"].splitlines()) <= MOST_LINES, name
        assert len(model["depends_on"]["nodes"]) <= MOST_READ, name

    def views(name: str) -> int:
        if models[name]["config"]["materialized"] != "view":
            return 0
        return 1 + max((views(each) for each in read_by(models[name])), default=0)

    assert max(map(views, models)) <= MOST_VIEWS


def test_what_a_build_leaves_out_is_the_same_every_night(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    """Views and tables of seeds alone are not rebuilt where seeds and project are the same (ADR 23)."""

    def macros(names: list[str]) -> set[str]:
        own = {name for name in names if name.startswith("macro.parc.")}
        return own.union(*(macros(manifest["macros"][name]["depends_on"]["macros"]) for name in own))

    def reads_a_source(name: str) -> bool:
        read = models[name]["depends_on"]["nodes"]
        return any(each.startswith("source.") for each in read) or any(
            map(reads_a_source, read_by(models[name]))
        )

    of_tonight = {"changed_dates", "is_changed_job", "published", "rows_once"}
    left_out = {
        name
        for name, model in models.items()
        if model["config"]["materialized"] == "view" or not reads_a_source(name)
    }
    assert {"stg_calls__legs", "mart_service_quality_rates", "dim_site"} <= left_out
    for name in left_out:
        used = {each.rsplit(".", 1)[-1] for each in macros(models[name]["depends_on"]["macros"])}
        assert not used & of_tonight, name
    used = {each.rsplit(".", 1)[-1] for each in macros(models["agg_calls_daily"]["depends_on"]["macros"])}
    assert of_tonight & used, "the macros that ask for tonight's dates have other names"


def test_everything_is_described_once_beside_its_query(manifest: dict[str, Any]) -> None:
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    for node in nodes:
        assert node["description"], node["name"]
        for column in node["columns"].values():
            assert column["description"], f"{node['name']}.{column['name']}"
        if node["resource_type"] == "model":
            sql, described = Path(node["original_file_path"]), node["patch_path"].partition("://")[2]
            assert Path(described) == sql.with_suffix(".yml")
    blocks = (DBT / "models" / "columns.md").read_text()
    names = re.findall(r"{% docs (\w+) %}", blocks)
    assert names == sorted(set(names))
    written = [path.read_text() for path in [*DBT.glob("models/**/*.yml"), *DBT.glob("seeds/*.yml")]]
    used = Counter(name for text in written for name in re.findall(r"doc\('(\w+)'\)", text))
    assert set(used) == set(names) and min(used.values()) > 1, "a block is for what several models say"
    descriptions = Counter(column["description"] for node in nodes for column in node["columns"].values())
    texts = set(re.findall(r"%}(.*?){% enddocs %}", blocks))
    assert {each for each, count in descriptions.items() if count > 1} == texts, (
        "what stands twice is a block"
    )


def test_marts_have_a_contract_an_owner_and_an_exposure(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    read = {each for exposure in manifest["exposures"].values() for each in exposure["depends_on"]["nodes"]}
    public = {model["unique_id"] for model in models.values() if model["fqn"][1] == "marts"}
    assert read == public
    groups = {"dimensions": "reference"}
    for unique_id in public:
        model = manifest["nodes"][unique_id]
        assert model["config"]["contract"]["enforced"] and model["access"] == "public", model["name"]
        assert model["config"]["meta"]["publish"], model["name"]
        assert model["group"] == groups.get(model["fqn"][2], model["fqn"][2]), model["name"]
    for model in models.values():
        assert model["unique_id"] in public or model["access"] != "public", model["name"]
