"""Which half-hours of a site are busy, and a site that is flooded."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from parc.simulate import SimulationError, simulate
from parc.simulate.effects import Effects, Overload
from parc.simulate.geography import Geography
from parc.simulate.site_work import SiteWork, open_positions

MONDAY, EASTER_MONDAY = date(2012, 4, 23), date(2012, 4, 9)
CAYENNE = ZoneInfo("America/Cayenne")
POSITIONS = 7
"""Planned in Cayenne on a Monday at 08:00 and 08:30, its own clock; 12 at 09:00."""


@pytest.fixture(scope="module")
def geography() -> Geography:
    return Geography.load()


def legs(day: date, *worked: tuple[time, int, int]) -> pl.DataFrame:
    """Legs answered in Cayenne: from when, how many, and for how many seconds."""
    rows = [
        {
            "site_code": "CAYENNE",
            "outcome": "answered",
            "answered_at": datetime.combine(day, starts, CAYENNE).isoformat(),
            "talk_s": seconds - 40,
            "hold_s": 10,
            "wrap_up_s": 30,
        }
        for starts, count, seconds in worked
        for _ in range(count)
    ]
    return pl.DataFrame(rows)


def busy(geography: Geography, day: date, *worked: tuple[time, int, int]) -> dict[str, dict[str, int]]:
    work = SiteWork(geography)
    work.add(day, legs(day, *worked))
    return work.busy(day)


def test_positions_are_those_of_the_sites_clock(geography: Geography) -> None:
    """Eight in Cayenne is 13:00 in Paris; on a holiday its site is closed, and partners are not."""
    codes = [site.code for site in geography.sites]
    at_thirteen, at_fourteen = open_positions(geography, MONDAY)[codes.index("CAYENNE"), [26, 28]]
    assert (at_thirteen, at_fourteen) == (POSITIONS, 12)
    on_holiday = open_positions(geography, EASTER_MONDAY)
    assert on_holiday[codes.index("CAYENNE"), 4:].sum() == 0 < on_holiday[codes.index("TUNIS")].min()


def test_busy_is_more_than_85_percent_and_runs_have_no_gap(geography: Geography) -> None:
    """Seven positions have 12,600 seconds, 85 % of them are 10,710."""
    half_past, nine, ten = time(8, 30), time(9), time(10)
    assert busy(geography, MONDAY, (time(8), 7, 1530)) == {}
    one = {"CAYENNE": {"busy_half_hours": 1, "longest_run": 1}}
    assert busy(geography, MONDAY, (time(8), 7, 1531)) == one
    # Twelve legs of an hour: two busy half-hours. An hour later a third one, apart from them.
    assert busy(geography, MONDAY, (half_past, 12, 3600), (ten, 12, 1800)) == {
        "CAYENNE": {"busy_half_hours": 3, "longest_run": 2}
    }
    assert busy(geography, MONDAY, (half_past, 7, 1800), (nine, 7, 1800)) == one
    assert busy(geography, EASTER_MONDAY, (half_past, 12, 3600)) == {}


def test_work_goes_on_past_midnight(geography: Geography) -> None:
    """19:30 in Cayenne is 00:30 of the next date in Paris."""
    work = SiteWork(geography)
    tuesday = MONDAY + timedelta(days=1)
    work.add(MONDAY, legs(MONDAY, (time(18, 59), 12, 3660)))
    work.add(tuesday, legs(tuesday, (time(8), 1, 60)))
    assert work.busy(MONDAY) == {}
    assert work.busy(tuesday) == {"CAYENNE": {"busy_half_hours": 2, "longest_run": 2}}


def test_an_unknown_site_cannot_be_flooded(tmp_path: Path) -> None:
    effects = Effects(overloads=(Overload("ATLANTIS", MONDAY, time(10), half_hours=2, share=0.5),))
    with pytest.raises(SimulationError, match=r"no site ATLANTIS to overload"):
        simulate(MONDAY, MONDAY, scale=0.001, seed=1, out=str(tmp_path), effects=effects)
