"""Delivery cases kept beside the project that must come out right: how they arrive, and when."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from parc import desk, maintenance, nightly, quality
from parc.loading import ingest, unseen
from parc.loading.landing import COPIES
from parc.quality import Verdict
from parc.settings import Settings
from parc.simulate import simulate
from support.command_line import parc
from support.deliveries import DAY, as_csv, counts, deliver, ledger, legs, query

LINES = "active_lines"
NIGHT = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a few rows each; loads in separate processes are still judged by the suites."""
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


@pytest.fixture
def cases(shared_data: Path) -> Path:
    return shared_data / "cases"


def folder(settings: Settings, feed: str = "calls", day: date = DAY) -> Path:
    return Path(settings.landing) / feed / f"date={day}"


@pytest.fixture
def there(warehouse: Settings) -> Path:
    """The folder of a day's calls."""
    folder(warehouse).mkdir(parents=True)
    return folder(warehouse)


def night_of(settings: Settings, day: date) -> nightly.NightRun:
    """A night up to its build."""
    night = nightly.NightRun(day)
    nightly._ingest(settings, night, nightly._Watch(night, lambda _: None))
    return night


def age(path: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))


def test_01_an_instant_out_of_range_does_not_end_the_night(
    warehouse: Settings, there: Path, cases: Path
) -> None:
    simulate(NIGHT, NIGHT, scale=0.002, seed=3, out=warehouse.landing)
    shutil.copy(cases / "01-parquet-instant-out-of-range" / "calls.parquet", there)
    age(there / "calls.parquet")
    done = parc(warehouse, "ingest", "calls", "--date", str(DAY))
    assert done.returncode in (0, 4) and "Traceback" not in done.stdout + done.stderr
    assert done.stdout.startswith(f"calls {DAY}: ")
    [(_, status, read, *_)] = ledger(warehouse)
    assert status in ("published", "refused") and read in (0, 300)
    night = night_of(warehouse, NIGHT)
    assert {each.feed for each in night.with_status("published") if each.business_date == NIGHT} >= {
        "calls",
        "boutique_visits",
        "interventions",
    }


def test_04_linked_files_are_followed(warehouse: Settings, cases: Path) -> None:
    case, there = cases / "04-linked-files-ignored", folder(warehouse, LINES, date(2011, 1, 7))
    there.mkdir(parents=True)
    shutil.copy(case / "a.csv", there)
    spool = Path(warehouse.landing) / "spool"
    shutil.copytree(case, spool)
    (there / "b.csv").symlink_to(spool / "elsewhere.csv")
    assert counts(ingest(warehouse, LINES, date(2011, 1, 7))) == ("published", 12, 12, 0)
    (there / "_CONTROL.json").symlink_to(spool / "control.json")
    outcome = ingest(warehouse, LINES, date(2011, 1, 7))
    assert outcome.status == "refused" and "says 5 rows, the files hold 12" in outcome.message


def test_05_a_latin1_name_is_read(warehouse: Settings, there: Path, cases: Path) -> None:
    name = there / os.fsdecode(b"appels_\xe9t\xe9.csv")
    shutil.copy(cases / "05-latin1-file-name" / "calls.csv", name)
    (there / os.fsdecode(b"relev\xe9.pdf")).touch()
    age(name)
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("published", 3, 3, 0)
    assert outcome.warnings[0].startswith("relev\N{REPLACEMENT CHARACTER}.pdf is not a data file")
    night = night_of(warehouse, DAY)
    assert {each.feed for each in night.outcomes if each.status == "refused"} == set()
    done = parc(warehouse, "ingest", "calls", "--date", str(DAY))
    assert "unchanged" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize("day", ["2102-04-25", "9999-12-31", "0001-01-01"])
def test_08_a_misdated_delivery_leaves_no_trace(warehouse: Settings, cases: Path, day: str) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(20)))
    ingest(warehouse, "calls", DAY)
    there = Path(warehouse.landing) / "calls" / f"date={day}"
    there.mkdir()
    shutil.copy(cases / "08-misdated-delivery" / "c.csv", there)
    done = parc(warehouse, "ingest", "calls", "--date", day)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1) and "refused unread" in done.stderr
    assert query(warehouse, "select business_date from ops.delivery") == [(DAY,)]
    assert desk.newest_night(warehouse) == DAY and desk.missing(warehouse) == []


def test_11_a_folder_is_reported(warehouse: Settings, cases: Path) -> None:
    case, day = cases / "11-subfolder-not-told", date(2011, 1, 10)
    there = folder(warehouse, LINES, day)
    there.mkdir(parents=True)
    shutil.copytree(case / "hour=12", there / "hour=12")
    outcome = ingest(warehouse, LINES, day)
    assert outcome.status == "missing" and "hour=12/ is a folder and was ignored" in outcome.message
    shutil.copy(case / "a.csv", there)
    outcome = ingest(warehouse, LINES, day)
    assert counts(outcome) == ("published", 6, 6, 0), outcome.message
    assert outcome.warnings[0] == "hour=12/ is a folder and was ignored"


def test_13_a_restatement_with_an_older_mtime_is_found(warehouse: Settings, there: Path, cases: Path) -> None:
    case = cases / "13-restated-with-older-mtime"
    shutil.copy(case / "first.csv", there / "c.csv")
    age(there / "c.csv")
    assert ingest(warehouse, "calls", DAY).status == "published"
    shutil.copy(case / "second.csv", there / "c.csv")
    older = time.time() - 7200
    os.utime(there / "c.csv", (older, older))
    assert ("calls", DAY) in unseen(warehouse, DAY, NIGHT)
    assert ingest(warehouse, "calls", DAY).message.endswith("0 rows added, 0 removed, 3 altered")
    assert ("calls", DAY) not in unseen(warehouse, DAY, NIGHT)


@pytest.mark.parametrize("name", ["upper.json", "bom.json"])
def test_14_control_files_of_windows_are_read(
    warehouse: Settings, there: Path, cases: Path, name: str
) -> None:
    case = cases / "14-control-files-of-windows"
    shutil.copy(case / "c.csv", there)
    shutil.copy(case / name, there / "_CONTROL.json")
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 3, 3, 0)


@pytest.fixture
def stray(warehouse: Settings) -> Iterator[Path]:
    path = warehouse.home / COPIES / "calls" / "lost+found"
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path)


def test_20_a_stray_copy_does_not_end_maintenance(warehouse: Settings, stray: Path) -> None:
    nested = stray.with_name(f"{DAY}_left") / "deep"
    nested.mkdir(parents=True)
    (nested / "file").write_bytes(b"12345")
    (stray.parent.with_name("a_file")).touch()
    results = maintenance.clear_orphans(warehouse)
    assert [(result.count, result.bytes) for result in results if result.what.startswith("copies")] == [
        (1, 5)
    ]
    assert stray.exists() and not nested.exists()
    stray.parent.with_name("a_file").unlink()


def test_20_an_endless_control_file_is_one_line(warehouse: Settings, there: Path) -> None:
    (there / "calls.csv").write_bytes(as_csv(legs(9)))
    (there / "_CONTROL.json").write_text("[" * 100_000)
    done = parc(warehouse, "ingest", "calls", "--date", str(DAY))
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (4, 1, "")
    assert "_CONTROL.json cannot be read: it is nested too deeply" in done.stdout
