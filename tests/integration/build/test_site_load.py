"""The load of the sites: work past midnight, missing dates, changing positions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from parc.build import build
from parc.loading import ingest
from parc.settings import PROJECT, Settings
from support.deliveries import as_csv, deliver, leg, legs
from support.marts import marts, rows
from support.references import change_seed, recomputed

MONDAY, TUESDAY, WEDNESDAY = date(2012, 4, 23), date(2012, 4, 24), date(2012, 4, 25)


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Monday, whose last call is worked on for 400 s of Tuesday; its seeds may be changed."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("dbt_project", "expectations"):
        shutil.copytree(PROJECT / folder, project / folder)
    settings = replace(module_warehouse, project=project)
    load(settings, MONDAY, last_talk_seconds=570)
    build(settings)
    yield settings


def load(settings: Settings, day: date, last_talk_seconds: int) -> None:
    """40 legs at RENNES in the day, 35 of them answered, and one at SFAX answered at 23:56:40."""
    number = day.day * 1000
    late = leg(number + 41, datetime(day.year, day.month, day.day, 21, 56, 20, tzinfo=UTC))
    late |= {"site_code": "SFAX", "talk_s": str(last_talk_seconds), "ended_at": f"{day}T23:59:00+02:00"}
    deliver(settings, "calls", day, calls__csv=as_csv([*legs(40, day, number), late]))
    assert ingest(settings, "calls", day).status == "published"


def load_at(settings: Settings, site: str, half_hour_at: str) -> list[tuple]:
    return rows(
        settings,
        "select business_date, queued_leg_count, answered_leg_count, handle_seconds::float, position_count "
        "from marts.mart_site_load_half_hourly "
        f"where site_code = '{site}' and half_hour_at = '{half_hour_at}'",
    )


def written(settings: Settings, mart: str) -> dict[date, int]:
    """When the rows of each date were written last."""
    query = f"select business_date, max(xmin::text::bigint) from marts.{mart} group by 1"
    return dict(rows(settings, query))


def answered_in_raw(settings: Settings) -> list[tuple]:
    return rows(
        settings,
        "select count(*), sum(talk_s + hold_s + wrap_up_s)::float from raw.calls where outcome = 'answered'",
    )


def answered_at_sites(settings: Settings) -> list[tuple]:
    return rows(
        settings,
        "select sum(answered_leg_count), sum(handle_seconds)::float from marts.mart_site_load_half_hourly",
    )


def test_work_past_midnight_is_held_for_the_next_date(built: Settings) -> None:
    """570 s of talk and 30 s of wrap-up from 23:56:40: 200 s of Monday, 400 s of Tuesday."""
    assert load_at(built, "SFAX", "2012-04-23 21:30Z") == [(MONDAY, 1, 1, 200.0, 85)]
    assert load_at(built, "SFAX", "2012-04-23 22:00Z") == [(TUESDAY, 0, 0, 400.0, 85)]
    # Positions without calls are those of dates that have begun.
    [(monday, _), (tuesday, tuesday_rows)] = rows(
        built, "select business_date, count(*) from marts.mart_site_load_half_hourly group by 1 order by 1"
    )
    assert (monday, tuesday, tuesday_rows) == (MONDAY, TUESDAY, 1)
    assert load_at(built, "LILLE", "2012-04-23 08:00Z")[0][:4] == (MONDAY, 0, 0, 0.0)
    assert answered_at_sites(built) == answered_in_raw(built)


def test_the_next_date_is_completed_when_it_arrives(built: Settings) -> None:
    before = written(built, "mart_site_load_half_hourly")
    load(built, TUESDAY, last_talk_seconds=570)
    build(built)
    assert load_at(built, "SFAX", "2012-04-23 22:00Z") == [(TUESDAY, 0, 0, 400.0, 85)]
    assert load_at(built, "SFAX", "2012-04-24 02:00Z")[0][:4] == (TUESDAY, 0, 0, 0.0)
    assert load_at(built, "SFAX", "2012-04-24 22:00Z")[0][:4] == (WEDNESDAY, 0, 0, 400.0)
    assert written(built, "mart_site_load_half_hourly")[MONDAY] == before[MONDAY]
    assert answered_at_sites(built) == answered_in_raw(built)


def test_a_restated_date_changes_the_next_one_as_well(built: Settings) -> None:
    calls, loads = written(built, "fct_calls"), written(built, "mart_site_load_half_hourly")
    load(built, MONDAY, last_talk_seconds=270)
    build(built)
    assert load_at(built, "SFAX", "2012-04-23 22:00Z") == [(TUESDAY, 0, 0, 100.0, 85)]
    assert written(built, "fct_calls")[TUESDAY] == calls[TUESDAY]
    after = written(built, "mart_site_load_half_hourly")
    assert {day for day in loads if after[day] != loads[day]} == {MONDAY, TUESDAY}
    assert answered_at_sites(built) == answered_in_raw(built)


def test_changed_positions_recompute_the_load_and_no_calls(built: Settings) -> None:
    calls = written(built, "fct_calls")
    [(_, _, _, _, before)] = load_at(built, "RENNES", "2012-04-23 08:00Z")
    change_seed(built, "site_positions", f"RENNES,1,10:00,{before}\n", f"RENNES,1,10:00,{before + 7}\n")
    build(built)
    assert (recomputed(built, "calls"), recomputed(built, "site_positions")) == ([], [MONDAY, TUESDAY])
    assert load_at(built, "RENNES", "2012-04-23 08:00Z")[0][4] == before + 7
    assert written(built, "fct_calls") == calls
    assert rows(
        built,
        "select position_count from marts.routing_site_positions "
        "where site_code = 'RENNES' and weekday = 1 and half_hour_local = '10:00'",
    ) == [(before + 7,)]


@pytest.mark.soak
def test_the_result_equals_a_full_refresh(built: Settings) -> None:
    incremental = marts(built)
    build(built, full_refresh=True)
    refreshed = marts(built)
    assert [name for name in refreshed if incremental[name] != refreshed[name]] == []
