"""Every published figure that a build moves is told, with its cause; nothing else is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from parc.build import build
from parc.feeds import FEEDS
from parc.loading import ingest, withdraw
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from support.marts import restate, rows, take_ids
from support.references import change_seed

FIRST, LAST = date(2012, 4, 23), date(2012, 4, 27)
DAYS = [FIRST + timedelta(days=day) for day in range(5)]
TOLD = (
    "mart_answers_daily",
    "mart_boutique_visits_daily",
    "mart_boutiques_daily",
    "mart_cross_channel_daily",
    "mart_directorate_scorecard_daily",
    "mart_field_units_daily",
    "mart_interventions_daily",
    "mart_parc_rollout_daily",
    "mart_repeat_calls_daily",
    "mart_service_quality_daily",
)

ALIASES = {
    model["name"]: model["config"]["meta"].get("aliases", [])
    for path in (PROJECT / "dbt_project/models/marts").glob("*/*_daily.yml")
    for model in yaml.load(path.read_text(), yaml.CSafeLoader)["models"]
}
"""Former names of figures, which are told under their new ones."""

Figure = tuple[str, date, str, str, str]
Told = set[tuple[str, tuple[int, ...]]]


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A platform with seeds of its own, and four of five small days loaded and built."""
    project = tmp_path_factory.mktemp("project")
    for name in ("dbt_project", "expectations"):
        shutil.copytree(PROJECT / name, project / name)
    settings = replace(module_warehouse, project=project)
    simulate(FIRST, LAST, scale=0.003, seed=6, out=settings.landing)
    for feed in FEEDS:
        for day in DAYS[:4]:
            ingest(settings, feed, day)
    build(settings)
    yield settings


def figures(settings: Settings) -> dict[Figure, float]:
    """All figures that are told of when they move, by mart, date, directorate, region and column."""
    found: dict[Figure, float] = {}
    for mart in TOLD:
        query = f"""
            select
                business_date, coalesce(line ->> 'directorate_code', 'all'),
                coalesce(line ->> 'region_code', 'all'), key, sum(value::numeric)
            from marts.{mart} as mart
            cross join lateral to_jsonb(mart) as line
            cross join lateral jsonb_each_text(line)
            inner join pg_attribute on attrelid = 'marts.{mart}'::regclass and attname = key
            where atttypid in ('bigint'::regtype, 'numeric'::regtype) and key not like '%person_count'
                and key <> all (array{ALIASES[mart]}::text[])
            group by 1, 2, 3, 4
        """
        for day, directorate, region, figure, value in rows(settings, query):
            found[mart, day, directorate, region, figure] = value
    return found


def told(settings: Settings) -> dict[Figure, tuple[object, ...]]:
    """What the last build told, with the values before and after, the cause and the deliveries."""
    query = (
        "select mart, business_date, directorate_code, region_code, figure, value_before, value_after, "
        "cause, delivery_ids from marts.mart_restatements "
        "where build_id = (select build_id from marts.published_build)"
    )
    return {row[:5]: (*row[5:8], tuple(row[8])) for row in rows(settings, query, "bi_reader")}


def moved_by(settings: Settings, change: Callable[[], object], full_refresh: bool = False) -> Told:
    """Make the change, build, and check that what was told is what moved; returns the causes told."""
    before = figures(settings)
    change()
    build(settings, full_refresh=full_refresh)
    after, seen = figures(settings), {(mart, day) for mart, day, *_ in before}
    moved = {
        figure: (before.get(figure), after.get(figure))
        for figure in before.keys() | after.keys()
        if before.get(figure) != after.get(figure) and figure[:2] in seen
    }
    reported = told(settings)
    assert {figure: values[:2] for figure, values in reported.items()} == moved
    assert moved
    return {(str(values[2]), values[3]) for values in reported.values()}  # type: ignore[misc]


def load(settings: Settings, feed: str, day: date) -> int:
    outcome = ingest(settings, feed, day)
    assert outcome.status == "published" and outcome.delivery_id, outcome.message
    return outcome.delivery_id


def test_a_night_tells_nothing_of_provisional_figures(built: Settings) -> None:
    before = figures(built)
    for feed in FEEDS:
        ingest(built, feed, LAST)
    build(built)
    after = figures(built)
    moved = {figure for figure in before if before[figure] != after.get(figure)}
    assert any(figure[4] == "repeat_7d_count" for figure in moved)
    # The newest extract may say of jobs what changes the counts of earlier dates.
    of_jobs = {
        f"mart_{name}_daily"
        for name in ("cross_channel", "directorate_scorecard", "field_units", "interventions")
    }
    assert {figure: values for figure, values in told(built).items() if figure[0] not in of_jobs} == {}


def test_a_restated_snapshot(built: Settings) -> None:
    ids: list[int] = []

    def change() -> None:
        [source] = (Path(built.landing) / "boutiques" / f"date={FIRST}").glob("boutiques*")
        (source.parent / "_CONTROL.json").unlink(missing_ok=True)
        text = source.read_text()
        department = text.splitlines()[1].split(",")[2]
        source.write_text(text.replace(f",{department},", ",44,"))
        ids.append(load(built, "boutiques", FIRST))

    causes = moved_by(built, change)
    assert causes == {("delivery", (ids[0],))}


def test_a_key_that_two_dates_share_and_its_return(built: Settings) -> None:
    ids: list[int] = []

    def take() -> None:
        restate(built, DAYS[1], drop=0)
        take_ids(built, DAYS[1], DAYS[3], count=20)
        ids.append(load(built, "calls", DAYS[1]))

    assert moved_by(built, take) == {("delivery", (ids[0],))}
    assert moved_by(built, lambda: withdraw(built, ids[0], "sent twice")) == {("delivery", (ids[0],))}
    gained = [after - before for figure, (before, after, *_) in told(built).items() if _is_offered(figure)]  # type: ignore[operator]
    assert sum(gained) == 20


def _is_offered(figure: Figure) -> bool:
    return figure[:2] == ("mart_service_quality_daily", DAYS[3]) and figure[4] == "offered_count"


def test_a_seed_and_a_definition(built: Settings) -> None:
    def observe_a_holiday() -> None:
        change_seed(built, "public_holidays", "FR,1999-01-01,", "FR,2012-04-23,Bridge Day\nFR,1999-01-01,")

    def count_longer_waits() -> None:
        """Without the unit tests, which hold the formulas as they are."""
        for described in (built.project / "dbt_project" / "models").rglob("*.yml"):
            described.write_text(described.read_text().partition("\nunit_tests:")[0] + "\n")
        path = built.project / "dbt_project" / "dbt_project.yml"
        path.write_text(path.read_text().replace("service_level_seconds: 20", "service_level_seconds: 40"))

    assert moved_by(built, observe_a_holiday) == {("seed", ())}
    assert moved_by(built, count_longer_waits, full_refresh=True) == {("definition", ())}
