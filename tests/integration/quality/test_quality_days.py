"""Every kind of day of a year passes its suites, and planted faults are reported, even on a Sunday."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from parc.feeds import FEEDS, Keeping
from parc.loading import ingest, withdraw
from parc.settings import Settings
from parc.simulate import simulate
from parc.simulate.errors import SimulationError
from parc.simulate.faults import FAULTS
from parc.warehouse import connect
from support.faults import check_outcome

SEED = 7
DAILY = [name for name, feed in FEEDS.items() if feed.keeping is Keeping.DAYS]
REFERENCES = ("boutiques", "numbering_plan", "active_lines", "line_assignments")
Warnings = set[tuple[date, str, str]]

CHOSEN = {
    "leap day, and a month's last but one": date(2012, 2, 29),
    "Saturday": date(2012, 3, 24),
    "clocks go forward": date(2012, 3, 25),
    "Easter Monday, a kind's first day": date(2012, 4, 9),
    "holiday": date(2012, 5, 1),
    "month's end": date(2012, 5, 31),
    "holiday on a Saturday": date(2012, 7, 14),
    "mid-August": date(2012, 8, 16),
    "clocks go back": date(2012, 10, 28),
    "holiday on a Sunday": date(2012, 11, 11),
    "Christmas Eve": date(2012, 12, 24),
    "New Year's Eve": date(2012, 12, 31),
}
WEEK_BEFORE = ("leap day", "Saturday", "clocks", "month's end", "mid-August", "Christmas Eve")

TRUE_WARNINGS = {
    (date(2012, 7, 6), "calls", "volume_high"),  # the outage in the calendar of events
    *((date(2012, 12, day), "boutique_visits", "volume_high") for day in (4, 7, 11, 14)),
}
"""Of 2012 at scale 1: the shops have a third more visitors in December than in November."""


def load(settings: Settings, day: date, feeds: Iterable[str]) -> Warnings:
    """Load a date's deliveries; returns the expectations that did not hold."""
    reported: Warnings = set()
    for feed in feeds:
        if (Path(settings.landing) / feed / f"date={day}").exists():
            outcome = ingest(settings, feed, day)
            assert outcome.status in ("published", "refused"), outcome.message
            for text in (*outcome.warnings, *([outcome.message] if outcome.status == "refused" else [])):
                reported.add((day, feed, text.partition("(expectation ")[2].partition(",")[0] or text))
    return reported


def make(settings: Settings, first: date, last: date, scale: float, faults: Iterable[str] = ()) -> None:
    simulate(first, last, scale=scale, seed=SEED, out=settings.landing, faults=faults)


@pytest.mark.soak
def test_chosen_days_of_the_year_pass_without_findings(module_warehouse: Settings) -> None:
    """At a fiftieth of the nation; most of them beside a day like them."""
    days = set(CHOSEN.values())
    for name, day in CHOSEN.items():
        if name.startswith(WEEK_BEFORE):
            days.add(day - timedelta(days=7))
    reported: Warnings = set()
    for number, day in enumerate(sorted(days)):
        make(module_warehouse, day, day, 0.02)
        reported |= load(module_warehouse, day, (*REFERENCES[: 3 if number == 0 else 0], *DAILY))
    assert reported == set()


@pytest.mark.soak
def test_every_day_of_2012_passes_at_the_size_of_the_nation(
    module_warehouse: Settings, tmp_path: Path
) -> None:
    """Month by month, keeping only the rows of the last days, because a year would not fit."""
    began, reported, rows = time.monotonic(), set(), 0
    for month in range(1, 13):
        settings = replace(module_warehouse, landing=str(tmp_path / "landing"))
        first = date(2012, month, 1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        make(settings, first, last, 1)
        for day in (first + timedelta(days=gone) for gone in range((last - first).days + 1)):
            # The numbers of five million lines are loaded once a month, as half a minute allows.
            feeds = (*REFERENCES[: 4 if day == first else 3], *DAILY)
            reported |= load(settings, day, feeds)
            rows += forget(settings, day - timedelta(days=9))
        shutil.rmtree(settings.landing)
        print(f"{first:%B}: {(time.monotonic() - began) / 60:.0f} min, reported so far: {sorted(reported)}")
    assert reported == TRUE_WARNINGS
    assert rows > 100_000_000


def forget(settings: Settings, day: date) -> int:
    """Drop the raw rows of a date, as retention would; returns their number."""
    gone = 0
    with connect(settings, "admin") as connection:
        for feed in DAILY:
            for (name,) in connection.execute(
                "select relname from pg_class where relkind = 'r' and starts_with(relname, %s)",
                [f"{feed}__{day:%Y%m%d}_"],
            ).fetchall():
                counted = connection.execute(f"select count(*) from raw.{name}".encode()).fetchone()
                gone += counted[0] if counted else 0
                connection.execute(f"drop table raw.{name}".encode())
    return gone


TUESDAY, SUNDAY = date(2012, 4, 24), date(2012, 4, 29)
REPORTED_BY_CHANCE = {"volume_collapse": ("refused", 280), "volume_surge": ("published", 280)}
"""Faults of volume: their outcome, and the usual rows from which on it is certain (19 times in 20)."""


def prepare(settings: Settings, day: date, scale: float) -> None:
    """Publish four like days and the day before."""
    for ago in (28, 21, 14, 7, 1):
        good = day - timedelta(days=ago)
        make(settings, good, good, scale)
        assert load(settings, good, (*REFERENCES[:2], *DAILY)) == set()


def plant(settings: Settings, fault: str, feed: str, day: date, scale: float) -> None:
    """Deliver the day with a fault, load it, and check the outcome against the fault's promise."""
    try:
        make(settings, day, day, scale, [f"{fault}@{feed}:{day}"])
    except SimulationError as error:
        assert "take a larger scale or aim" in str(error) or "has no rows for" in str(error)
        return
    (reported,) = (
        each
        for each in json.loads((Path(settings.landing) / "faults.json").read_text())
        if (each["fault"], each["feed"]) == (fault, feed)
    )
    outcome = ingest(settings, feed, day)
    expected, certain_from = REPORTED_BY_CHANCE.get(fault, (None, 0))
    if expected and usual_rows(settings, feed, day) < certain_from:
        assert outcome.status in ("published", "refused")
        if outcome.status == "published" and outcome.delivery_id:
            withdraw(settings, outcome.delivery_id, "too few rows to tell")  # the next finds the date empty
        return
    check_outcome(settings, outcome, reported)


def usual_rows(settings: Settings, feed: str, day: date) -> Any:
    with connect(settings, "reader") as connection:
        row = connection.execute(
            "select percentile_cont(0.5) within group (order by rows_published) from ops.delivery "
            "where feed = %s and status = 'published' and %s - business_date in (7, 14, 21, 28)",
            [feed, day],
        ).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize("day", [SUNDAY], ids=["Sunday"])
def test_faults_of_a_small_sunday_are_reported(module_warehouse: Settings, tmp_path: Path, day: date) -> None:
    """Calls only, at a fiftieth of the nation: some 1,500 legs."""
    settings = replace(module_warehouse, landing=str(tmp_path))
    for ago in (28, 21, 14, 7, 1):
        make(settings, day - timedelta(days=ago), day - timedelta(days=ago), 0.02)
        assert load(settings, day - timedelta(days=ago), ["calls"]) == set()
    for fault in ("volume_collapse", "too_many_bad_rows", "volume_surge", "unknown_codes", "repeated_keys"):
        plant(settings, fault, "calls", day, 0.02)


@pytest.mark.soak
@pytest.mark.parametrize("scale", [1, 0.02])
@pytest.mark.parametrize("day", [TUESDAY, SUNDAY], ids=["Tuesday", "Sunday"])
def test_every_fault_is_reported_at_any_size(warehouse: Settings, day: date, scale: float) -> None:
    """Refused deliveries first, so that nothing of the day is published before them."""
    prepare(warehouse, day, scale)
    at_once = [fault for fault in FAULTS.values() if len(fault.stages) == 1]
    for fault in sorted(at_once, key=lambda fault: fault.stages[0].outcome == "published"):
        for feed in fault.feeds:
            plant(warehouse, fault.name, feed, day, scale)
