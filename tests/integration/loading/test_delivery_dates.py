"""Implausible dates are refused before the ledger knows about them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from parc import desk, nightly, policy, quality
from parc.errors import DeliveryRefused
from parc.feeds import FEEDS
from parc.loading import by_hand, ingest, overlooked, strays
from parc.quality import Verdict
from parc.settings import Settings
from support.command_line import parc
from support.deliveries import DAY, as_csv, deliver, legs, query

FAR_AWAY = (date(1, 1, 1), date(1989, 12, 31), date(2100, 1, 1), date(2102, 4, 25), date(9999, 12, 31))


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def accepts(settings: Settings, day: date, today: date, *, is_accepted: bool = False) -> bool:
    try:
        by_hand(settings, today, is_accepted=is_accepted).check("calls", day)
    except DeliveryRefused:
        return False
    return True


def nothing_is_known(settings: Settings) -> None:
    assert query(settings, "select feed, business_date from ops.delivery") == []
    assert query(settings, "select feed, business_date from ops.looked_for") == []


def test_a_manual_first_load_accepts_dates_up_to_today(warehouse: Settings) -> None:
    today = date(2012, 4, 26)
    assert accepts(warehouse, today, today)
    assert not accepts(warehouse, today + timedelta(days=1), today)
    assert accepts(warehouse, today + timedelta(days=1), today, is_accepted=True)


def test_a_manual_load_accepts_dates_near_the_published_ones(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(9)))
    ingest(warehouse, "calls", DAY)
    for today in (DAY, date(2026, 1, 1)):
        assert accepts(warehouse, DAY + timedelta(days=40), today)
        assert not accepts(warehouse, DAY + timedelta(days=41), today)
        assert accepts(warehouse, DAY + timedelta(days=41), today, is_accepted=True)
        assert accepts(warehouse, date(1995, 1, 1), today), "history is loaded as it arrives"


@pytest.mark.parametrize("feed", FEEDS)
def test_a_far_away_date_leaves_no_record(warehouse: Settings, feed: str) -> None:
    for day in FAR_AWAY:
        folder = Path(warehouse.landing) / feed / f"date={day}"
        folder.mkdir(parents=True)
        (folder / "some.csv").write_text("anything\n")
        outcome = ingest(warehouse, feed, day)
        assert (outcome.status, outcome.delivery_id, outcome.is_failure) == ("refused", None, True)
        shutil.rmtree(folder)
    nothing_is_known(warehouse)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("ingest", "calls", "--date", str(day).zfill(10)) for day in FAR_AWAY),
        ("ingest", "calls", "--date", "9999-12-31", "--accept-date"),
        ("ingest", "calls", "--from", "2012-04-01", "--to", "9999-12-31"),
        ("ingest", "calls", "--from", "0001-01-01", "--to", "2012-04-01"),
        ("nightly", "--date", "2102-04-25"),
        ("nightly", "--date", "0001-01-01"),
        ("nightly", "--date", "9999-12-31", "--accept-date"),
    ],
    ids=" ".join,
)
def test_the_command_line_reports_it_in_one_line(
    module_warehouse: Settings, arguments: Sequence[str]
) -> None:
    done = parc(module_warehouse, *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert "refused unread" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    nothing_is_known(module_warehouse)


def test_every_command_reports_strays(warehouse: Settings) -> None:
    landing = Path(warehouse.landing)
    folders = (
        "calls/date=2102-04-25",
        "calls/date=0001-01-01",
        "calls/date=20120425",
        "calls/date=2012-02-30",
        "calls/2012-04-25",
        "calls/Date=2012-04-28",
        "calls/DATE=2012-04-28",
        "calls/dt=2012-04-28",
        "calls/28.04.12",
        "Boutique-Visits",
        "boutique",
        "calls/archive",
        "calls/_2011",
        "calls/.snapshot-2012",
        "spool",
        "lost+found",
        "2012",
    )
    for name in folders:
        (landing / name).mkdir(parents=True)
        (landing / name / "some.csv").touch()
    for name in ("calls.csv", "calls/calls.csv", "calls/README", "calls/date=2012-04-26"):
        (landing / name).touch()
    os.mkfifo(landing / "calls/date=2012-04-29")
    (landing / "calls/date=2012-04-30").symlink_to("nowhere")
    (landing / "interventions").symlink_to("nowhere")
    found = {stray.place: (stray.feed, stray.why.partition(":")[0]) for stray in strays(warehouse)}
    not_looked_for, of_no_feed = (
        "is not where a night looks for deliveries",
        "is not the folder of a feed; does it belong to",
    )
    to_nothing = "is a link to something missing or out of reach"
    assert found == {
        "Boutique-Visits": (
            "boutique_visits",
            f"{of_no_feed} boutique_visits? Rename or remove it",
        ),
        "boutique": ("boutiques", f"{of_no_feed} boutiques? Rename or remove it"),
        "calls.csv": ("calls", f"{of_no_feed} calls? Rename or remove it"),
        "interventions": ("interventions", to_nothing),
        **dict.fromkeys(folders[:9], ("calls", not_looked_for)),
        "calls/calls.csv": ("calls", not_looked_for),
        "calls/date=2012-04-26": ("calls", not_looked_for),
        "calls/date=2012-04-29": ("calls", "is neither a file nor a folder"),
        "calls/date=2012-04-30": ("calls", to_nothing),
    }
    night = nightly.NightRun(DAY)
    nightly._ingest(warehouse, night, nightly._Watch(night, lambda _: None))
    assert night.exit_code == 4
    for place in found:
        assert place in night.steps[-1].message
    assert desk.newest_night(warehouse) == DAY


def test_a_delivery_too_late_for_every_night_is_named(warehouse: Settings) -> None:
    """It came when the nights no longer looked at its date: `ingest_late` passed over it in silence."""
    first, _ = policy.dates_looked_at(DAY)
    begin, late = first - timedelta(days=9), first - timedelta(days=2)
    for day in (begin, late, begin - timedelta(days=1), first):
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(3, day)))
    (Path(warehouse.landing) / "calls" / f"date={first - timedelta(days=1)}").mkdir()  # empty
    assert overlooked(warehouse, first) == [], "before the first load, that is history"
    ingest(warehouse, "calls", begin)
    [found] = overlooked(warehouse, first)
    assert str(found) == (
        f"calls/date={late} lies there, not loaded: no night looks before {first}; load it with "
        f"`parc ingest calls --date {late}`, or remove it"
    )
    night = nightly.NightRun(DAY)
    nightly._ingest(warehouse, night, nightly._Watch(night, lambda _: None))
    assert str(found) in night.steps[-1].message
    ingest(warehouse, "calls", late)
    assert overlooked(warehouse, first) == []
