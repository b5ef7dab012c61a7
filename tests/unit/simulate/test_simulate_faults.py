"""Named faults: which delivery each hits, what is left in the landing zone, what is recorded."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parc.cli import app
from parc.simulate import SimulationError, simulate
from parc.simulate.faults import FAULTS

SCALE, SEED = 0.003, 5
FIRST, LAST = date(2012, 3, 5), date(2012, 4, 14)
DAY = date(2012, 4, 17)


def run(folder: Path, first: date, last: date, *faults: str) -> list[str]:
    """Simulate into the folder; returns the faults with the deliveries they hit."""
    return simulate(first, last, scale=SCALE, seed=SEED, out=str(folder), faults=faults).faults


def days_after(count: int) -> date:
    return DAY + timedelta(days=count)


def digests(folder: Path) -> dict[str, str]:
    """Of every file of a delivery, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*/date=*/*")
    }


def records(folder: Path) -> list[dict[str, Any]]:
    reported: list[dict[str, Any]] = json.loads((folder / "faults.json").read_text())
    return reported


@pytest.fixture(scope="module")
def every_fault(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("every_fault")
    return folder, run(folder, FIRST, LAST, *FAULTS)


# ---- what is asked


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["bad_row"], r"no fault is called `bad_row`; choose from bad_rows, .*, mixed_spellings"),
        (["bad_rows@letters"], r"applies to calls, boutique_visits, interventions, not to `letters`"),
        (
            ["mixed_spellings@interventions"],
            r"applies to calls, not to `interventions`; write mixed_spellings@c",
        ),
        (["late@calls:20/04/2012"], r"`20/04/2012` is not a date YYYY-MM-DD"),
        (
            ["late@calls:2012-04-19"],
            r"late@calls:2012-04-19: no part of it falls within 2012-04-17 to 2012-04",
        ),
        (["late@calls:2012-04-14"], r"late@calls:2012-04-14: no part of it falls within"),
        (["missing@calls:2012-04-16"], r"missing@calls:2012-04-16: no part of it falls within"),
        (
            ["late@calls:2012-04-17", "missing@calls:2012-04-17"],
            r"calls 2012-04-17: hit by both late and mis",
        ),
        (["late", "missing", "restated"], r"every delivery of calls from 2012-04-17 to 2012-04-18 is hit"),
    ],
)
def test_faults_that_cannot_be_made_are_reported(tmp_path: Path, faults: list[str], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        run(tmp_path, DAY, days_after(1), *faults)
    assert not list(tmp_path.iterdir())


def test_each_fault_without_date_hits_a_working_day(every_fault: tuple[Path, list[str]]) -> None:
    _, aims = every_fault
    assert sorted(aim.split("@")[0] for aim in aims) == sorted(FAULTS)
    days = [date.fromisoformat(aim.rpartition(":")[2]) for aim in aims]
    assert len(set(days)) == len(FAULTS)
    easter_monday = date(2012, 4, 9)
    assert all(FIRST <= day <= LAST and day.weekday() < 6 and day != easter_monday for day in days)


def test_days_needed_by_a_fault_are_not_hit_by_others(every_fault: tuple[Path, list[str]]) -> None:
    _, aims = every_fault
    hit = {name: date.fromisoformat(day) for name, day in (aim.split("@calls:") for aim in aims)}
    for name in ("repeated_keys", "wrong_date"):
        assert hit[name] - timedelta(days=1) not in hit.values()
    before = [hit["volume_collapse"] - timedelta(days=7 * ago) for ago in range(1, 6)]
    assert sum(day >= FIRST and day not in hit.values() for day in before) >= 4


def test_the_command_lists_every_fault() -> None:
    output = CliRunner().invoke(app, ["simulate", "--list-faults"], env={"COLUMNS": "200"})
    assert output.exit_code == 0
    assert all(f" {name} " in output.stdout for name in FAULTS)


def test_the_command_makes_faults(tmp_path: Path) -> None:
    days = ["--from", str(DAY), "--to", str(DAY), "--scale", str(SCALE), "--out", str(tmp_path)]
    output = CliRunner().invoke(app, ["simulate", *days, "--faults", f"empty_file@calls:{DAY}"])
    assert output.exit_code == 0, output.output
    assert f"empty_file@calls:{DAY}" in output.stdout
    assert [record["fault"] for record in records(tmp_path)] == ["empty_file"]


# ---- what is made


@pytest.mark.soak
def test_a_faulty_delivery_does_not_depend_on_the_range(
    tmp_path: Path, every_fault: tuple[Path, list[str]]
) -> None:
    folder, aims = every_fault
    middle = FIRST + timedelta(days=12)
    later = [aim for aim in aims if middle <= date.fromisoformat(aim.rpartition(":")[2])]
    assert len(later) > 10
    assert run(tmp_path, middle, LAST, *reversed(later)) == later
    days = {aim.rpartition(":")[2] for aim in later}
    long, short = (
        {path: digest for path, digest in digests(each).items() if path.split("date=")[1][:10] in days}
        for each in (folder, tmp_path)
    )
    assert short == long


@pytest.mark.soak
def test_only_faulty_deliveries_differ(tmp_path: Path, every_fault: tuple[Path, list[str]]) -> None:
    folder, aims = every_fault
    run(tmp_path, FIRST, LAST)
    clean, faulty = digests(tmp_path), digests(folder)
    differing = {path.split("/date=")[1][:10] for path in clean if clean[path] != faulty.get(path)}
    hit = {aim.split("@")[0]: aim.rpartition(":")[2] for aim in aims}
    in_the_end_good = {hit[name] for name in ("late", "restated", "same_again")}
    assert differing == set(hit.values()) - in_the_end_good
    assert faulty.keys() < clean.keys()
    assert not (tmp_path / "faults.json").exists()


STORIES = [f"late@calls:{DAY}", f"restated@boutique_visits:{DAY}", f"same_again@interventions:{DAY}"]


@pytest.mark.soak
def test_faults_continue_over_several_evenings(tmp_path: Path) -> None:
    """The landing zone's files of one day on three evenings, each simulated with the same faults."""
    run(tmp_path / "clean", DAY, DAY)
    clean, evenings = of_day(tmp_path / "clean"), []
    for last in (DAY, days_after(1), days_after(2)):
        run(tmp_path / "reported", last, last, *STORIES)
        evenings.append(of_day(tmp_path / "reported"))
    first, second, third = evenings
    assert first.keys() == second.keys() == {"boutique_visits", "interventions"}
    assert first["boutique_visits"][0] == second["boutique_visits"][0] != clean["boutique_visits"][0]
    assert {feed: content for feed, (content, _) in third.items()} == {
        feed: content for feed, (content, _) in clean.items()
    }
    contents, times = zip(*(evening["interventions"] for evening in evenings), strict=True)
    assert set(contents) == {clean["interventions"][0]}
    assert times[0] < times[1]
    assert [(each["fault"], each["evening"], each["outcome"]) for each in records(tmp_path / "reported")] == [
        ("restated", str(DAY), "published"),
        ("late", str(DAY), "missing"),
        ("same_again", str(DAY), "published"),
        ("same_again", str(days_after(1)), "unchanged"),
        ("restated", str(days_after(2)), "published"),
        ("late", str(days_after(2)), "published"),
    ]


def of_day(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of the daily feeds' files of DAY, by feed."""
    files = (path for path in folder.glob(f"*/date={DAY}/*.csv.gz"))
    return {path.parts[-3]: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    ("aim", "message"),
    [
        (
            "bad_rows@interventions:2012-04-15",
            r"interventions 2012-04-15: among \d+ rows a single bad one exc",
        ),
        ("too_many_bad_rows@boutique_visits:2012-04-09", r"boutique_visits 2012-04-09 has no rows for too_m"),
        ("wrong_date@boutique_visits:2012-04-10", r"boutique_visits 2012-04-10: the day before has no rows"),
    ],
)
def test_too_few_rows_for_a_fault_are_reported(tmp_path: Path, aim: str, message: str) -> None:
    day = date.fromisoformat(aim.rpartition(":")[2])
    with pytest.raises(SimulationError, match=message):
        run(tmp_path, day, day, aim)


@pytest.mark.soak
def test_the_reported_faults_are_those_in_the_landing_zone(tmp_path: Path) -> None:
    run(tmp_path, DAY, days_after(1), f"bad_rows@calls:{DAY}")
    run(tmp_path, days_after(1), days_after(1), f"missing@calls:{days_after(1)}")
    assert not (tmp_path / "calls" / f"date={days_after(1)}").exists()
    run(tmp_path, days_after(1), days_after(2), f"empty_file@calls:{days_after(2)}")
    assert [(each["fault"], each["business_date"]) for each in records(tmp_path)] == [
        ("bad_rows", str(DAY)),
        ("empty_file", str(days_after(2))),
    ]
    run(tmp_path, DAY, days_after(2))
    assert records(tmp_path) == []
