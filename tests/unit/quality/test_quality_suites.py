import json
import re
from pathlib import Path
from typing import Any

import pytest
from great_expectations import ExpectationSuite

from parc import feeds
from parc.build import seeds
from parc.quality import QualityError, declared
from parc.settings import PROJECT

LANDING = sorted((PROJECT / "expectations" / "landing").glob("*.json"))
GIVEN = {"business_date", "usual_rows", "like_days", "near_dates"}


def test_every_feed_has_a_suite_that_loads() -> None:
    assert {path.stem for path in LANDING} == set(feeds.FEEDS)
    for path in LANDING:
        suite = declared.load(PROJECT, f"landing/{path.stem}")
        assert suite.expectations == ExpectationSuite(**json.loads(path.read_text()))
        assert suite.expectations.name == f"landing/{path.stem}"
        assert len(suite.expectations.expectations) == len(json.loads(path.read_text())["expectations"])


@pytest.mark.parametrize("path", LANDING, ids=lambda path: path.stem)
def test_measures_query_only_the_ledger_and_declared_references(path: Path) -> None:
    suite = declared.load(PROJECT, f"landing/{path.stem}")
    asked = set(re.findall(r"%\((\w+)\)s", "".join(suite.queries.values())))
    assert asked <= GIVEN | set(suite.references)
    assert all(suite.references.values())


@pytest.mark.parametrize("path", LANDING, ids=lambda path: path.stem)
def test_codes_unknown_to_the_reference_data_never_refuse(path: Path) -> None:
    unknown = [
        each for each in json.loads(path.read_text())["expectations"] if "unknown" in each["kwargs"]["column"]
    ]
    assert unknown
    assert {each["severity"] for each in unknown} == {"warning"}


def test_volume_refuses_below_50_percent_and_warns_beyond_30_percent() -> None:
    for path in LANDING:
        by_name = {each["meta"]["name"]: each for each in json.loads(path.read_text())["expectations"]}
        limits = {
            name: (each["severity"], each["kwargs"])
            for name, each in by_name.items()
            if name.startswith("volume")
        }
        assert limits == {
            "volume_floor": ("critical", {"column": "percent_of_usual_over_4_days", "min_value": 50}),
            "volume_low": ("warning", {"column": "percent_of_usual", "min_value": 70}),
            "volume_high": ("warning", {"column": "percent_of_usual", "max_value": 130}),
        }


def test_a_suite_has_the_owner_of_its_dag() -> None:
    """Whatever must be fixed in the governed seeds of routing belongs to routing, in any suite."""
    text = (PROJECT / "dags" / "ingest.py").read_text()
    owners = dict(re.findall(r'IngestSpec\("(\w+)", .*owner="([\w-]+)"\)', text))
    assert set(owners) == set(feeds.FEEDS)
    for suite in declared.listed(PROJECT):
        feed = suite.name.removeprefix("landing/")
        assert set(suite.owners) - {"routing"} == {owners.get(feed, "routing")} - {"routing"}, suite.name


def test_suites_are_listed_with_what_refuses_and_what_warns() -> None:
    listed = {suite.name: suite for suite in declared.listed(PROJECT)}
    assert set(listed) == {f"landing/{feed}" for feed in feeds.FEEDS} | {"export/routing"}
    export = listed["export/routing"]
    loaded = declared.load(PROJECT, "export/routing").expectations.expectations
    assert export.expectations == export.critical + export.warning == len(loaded)
    assert export.owners == ("routing",)


def test_seed_digests_match_those_of_a_build() -> None:
    suite = declared.load(PROJECT, "export/routing")
    known = seeds.read(PROJECT / "dbt_project" / "seeds")
    names, digests = suite.references["seed_names"], suite.references["seed_digests"]
    assert digests == [known[name].sha256 for name in names]


def test_a_missing_seed_is_named(tmp_path: Path) -> None:
    declare(tmp_path, expectation())
    path = tmp_path / "expectations" / "landing" / "things.json"
    path.write_text(path.read_text().replace('"references"', '"seeds": ["places"], "references"'))
    with pytest.raises(QualityError, match=r"things.json names the seed places, .* no dbt_project/seeds/pl"):
        declared.load(tmp_path, "landing/things")


def test_a_feed_without_a_suite_is_reported() -> None:
    assert declared.exists(PROJECT, "landing/calls")
    assert not declared.exists(PROJECT, "landing/payphones")


def expectation(**changes: Any) -> dict[str, Any]:
    meta = {"name": "enough", "owner": "somebody", "message": "only {rows}", "remedy": "deliver again"}
    return {
        "type": "expect_column_max_to_be_between",
        "kwargs": {"column": "rows", "min_value": 1},
        "severity": "critical",
        "description": "There are rows.",
        "meta": meta,
    } | changes


def declare(project: Path, *expectations: dict[str, Any], references: dict[str, str] | None = None) -> None:
    folder = project / "expectations" / "landing"
    folder.mkdir(parents=True)
    (folder / "things.sql").write_text("select count(*) as rows from {table}")
    (folder / "things.json").write_text(
        json.dumps(
            {
                "name": "landing/things",
                "meta": {"references": references or {}},
                "expectations": list(expectations),
            }
        )
    )


@pytest.mark.parametrize(
    ("expectations", "complaint"),
    [
        ([expectation(type="expect_wonders")], r"landing/things.json: .* rejects enough"),
        ([expectation(kwargs={"column": "rows", "at_least": 1})], r"rejects enough"),
        ([expectation(description="")], r"enough has no description"),
        ([expectation(meta={"name": "enough"})], r"enough has no owner, message, remedy"),
        ([expectation(severity="info")], r"enough has severity info"),
        ([expectation(), expectation()], r"enough names more than one expectation"),
    ],
)
def test_an_incomplete_suite_is_not_run(
    tmp_path: Path, expectations: list[dict[str, Any]], complaint: str
) -> None:
    declare(tmp_path, *expectations)
    with pytest.raises(QualityError, match=complaint):
        declared.load(tmp_path, "landing/things")


def test_a_reference_to_an_unknown_seed_column_names_both_places(tmp_path: Path) -> None:
    declare(tmp_path, expectation(), references={"known": "sites.code"})
    (tmp_path / "dbt_project" / "seeds").mkdir(parents=True)
    (tmp_path / "dbt_project" / "seeds" / "sites.csv").write_text("site_code\nRENNES\n")
    with pytest.raises(QualityError, match=r"things.json refers to sites.code, but dbt_project/seeds/sites"):
        declared.load(tmp_path, "landing/things")


def test_a_suite_that_is_not_json_says_where(tmp_path: Path) -> None:
    declare(tmp_path, expectation())
    (tmp_path / "expectations" / "landing" / "things.json").write_text("{")
    with pytest.raises(QualityError, match=r"expectations/landing/things.json cannot be read: .*line 1"):
        declared.load(tmp_path, "landing/things")
