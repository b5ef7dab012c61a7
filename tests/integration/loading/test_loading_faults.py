"""Runs that die, are repeated or run at the same time: the result is that of one undisturbed run."""

from __future__ import annotations

import pkgutil
import signal
import subprocess
import sys
import threading
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from parc import quality
from parc.errors import Busy
from parc.ledger import locks
from parc.loading import Outcome, ingest, ingestion
from parc.loading.rows import RowRules
from parc.quality import Verdict
from parc.settings import Settings
from parc.warehouse import connect, partitions
from support.deliveries import DAY, as_csv, deliver, ledger, legs, published, query, raw_tables
from support.disturbances import cut_off

# The function in which the process dies: before it does anything, or after it has done all.
KILL_POINTS = {
    "while the table is filled": ("parc.loading.load.RowRules.check_block", "before"),
    "when the table is full": ("parc.loading.load._suspects", "before"),
    "before it is judged": ("parc.loading.ingestion._Run._audit", "before"),
    "after it is judged": ("parc.ledger.write_deliveries.audit", "after"),
    "in the middle of publishing": ("parc.ledger.write_deliveries.publish", "after"),
    "when the new day is attached": ("parc.warehouse.partitions.attach", "after"),
    "when it is published": ("parc.loading.ingestion._Run._publish", "after"),
}

DIE = """
import importlib, os, signal, sys
from datetime import date
from pathlib import Path
from parc import quality
from parc.loading import ingest
from parc.settings import Settings

home, landing, dsn, target, moment, day = sys.argv[1:]
quality.check_delivery = lambda *_: quality.Verdict(passed=True)
parts = target.split(".")
for length in range(len(parts) - 1, 0, -1):
    try:
        owner = importlib.import_module(".".join(parts[:length]))
        break
    except ModuleNotFoundError:
        continue
for name in parts[length:-1]:
    owner = getattr(owner, name)
function = getattr(owner, parts[-1])

def die(*values, **named):
    if moment == "after":
        function(*values, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, parts[-1], die)
settings = Settings(home=Path(home), landing=landing, switch="unused", warehouse_dsn=dsn)
ingest(settings, "calls", date.fromisoformat(day))
"""


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the suites, which are slow and tested elsewhere."""
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def killed(settings: Settings, kill_point: str) -> None:
    """Ingest the day in a process that is killed at that moment."""
    given = [
        str(settings.home),
        settings.landing,
        str(settings.warehouse_dsn),
        *KILL_POINTS[kill_point],
        str(DAY),
    ]
    done = subprocess.run([sys.executable, "-c", DIE, *given], check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def state(settings: Settings) -> list[Any]:
    """Everything that a run leaves, except times."""
    return [
        query(
            settings,
            "select to_jsonb(delivery) - 'landed_at' - 'audited_at' - 'published_at' - 'seen_at' - 'listing' "
            "from ops.delivery order by delivery_id",
        ),
        query(settings, "select to_jsonb(quarantine) from ops.quarantine order by line_number"),
        query(settings, "select to_jsonb(calls) from raw.calls order by call_id"),
        raw_tables(settings),
    ]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[Any]]:
    """The result of an undisturbed run; the first test below fills it."""
    return {}


@pytest.mark.parametrize("kill_point", [None, *KILL_POINTS])
def test_killed_at_any_moment_and_run_again(
    warehouse: Settings, kill_point: str | None, undisturbed: dict[str, list[Any]]
) -> None:
    publish_and_restate(warehouse)
    if kill_point:
        killed(warehouse, kill_point)
    check_that_the_next_run_ends_it(warehouse, kill_point, undisturbed)


@pytest.mark.parametrize("kill_point", KILL_POINTS)
def test_cut_off_at_any_moment_and_run_again(
    server: Settings,
    warehouse: Settings,
    kill_point: str,
    undisturbed: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_and_restate(warehouse)
    target, moment = KILL_POINTS[kill_point]
    function = pkgutil.resolve_name(target)

    def lose_the_connection(*values: Any, **named: Any) -> Any:
        if moment == "before":
            cut_off(server, warehouse)
        result = function(*values, **named)
        if moment == "after":
            cut_off(server, warehouse)
        return result

    with monkeypatch.context() as patched, pytest.raises(psycopg.OperationalError):
        patched.setattr(target, lose_the_connection)
        ingest(warehouse, "calls", DAY)
    check_that_the_next_run_ends_it(warehouse, kill_point, undisturbed)


def publish_and_restate(settings: Settings) -> None:
    """Publish a day, and deliver it again with other rows, one of them bad."""
    first, second = legs(300), legs(301)
    second[7]["market"] = "fax"
    second[9]["reason_code"] = "other"
    deliver(settings, "calls", DAY, calls__csv=as_csv(first))
    assert ingest(settings, "calls", DAY).status == "published"
    deliver(settings, "calls", DAY, calls__csv=as_csv(second))


def check_that_the_next_run_ends_it(
    warehouse: Settings, kill_point: str | None, undisturbed: dict[str, list[Any]]
) -> None:
    swapped = kill_point == "when it is published"
    assert len(published(warehouse)) == 300, "readers see a whole day, the old or the new"
    assert query(warehouse, "select count(*) from raw.calls where line_number = 302") == [(int(swapped),)]
    again = ingest(warehouse, "calls", DAY)
    assert again.status == ("unchanged" if swapped else "published")
    assert ledger(warehouse) == [(1, "superseded", 300, 300, 0, 0), (2, "published", 301, 300, 1, 1)]
    assert raw_tables(warehouse) == ["calls__20120425_2"]
    left = [str(part).replace(warehouse.landing, "") for part in state(warehouse)]
    assert undisturbed.setdefault("state", left) == left, "the same, whenever it died"


def test_a_dead_run_of_other_files_is_closed(warehouse: Settings) -> None:
    rows = as_csv(legs(50))
    deliver(warehouse, "calls", DAY, calls__csv=rows)
    ingest(warehouse, "calls", DAY)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(60)))
    killed(warehouse, "after it is judged")
    assert [status for _, status, *_ in ledger(warehouse)] == ["published", "audited"]
    assert len(raw_tables(warehouse)) == 2
    deliver(warehouse, "calls", DAY, calls__csv=rows)
    assert ingest(warehouse, "calls", DAY).status == "unchanged"
    assert ledger(warehouse) == [(1, "published", 50, 50, 0, 0), (2, "refused", 60, 0, 60, 0)]
    assert raw_tables(warehouse) == ["calls__20120425_1"]


def at_once(settings: Settings, days: list[date]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    start = threading.Barrier(len(days))

    def run(day: date) -> None:
        start.wait()
        outcomes.append(ingest(settings, "calls", day))

    threads = [threading.Thread(target=run, args=[day]) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return outcomes


def test_two_runs_of_one_day_at_once(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(500)))
    outcomes = at_once(warehouse, [DAY, DAY])
    assert sorted(outcome.status for outcome in outcomes) == ["published", "unchanged"]
    assert ledger(warehouse) == [(1, "published", 500, 500, 0, 0)]


def test_many_days_at_once_published_and_restated(warehouse: Settings) -> None:
    days = [DAY + timedelta(days=number) for number in range(5)]
    for count in (100, 110):
        for day in days:
            deliver(warehouse, "calls", day, calls__csv=as_csv(legs(count, day)))
        assert [outcome.status for outcome in at_once(warehouse, days)] == ["published"] * 5
    assert query(warehouse, "select business_date, count(*) from raw.calls group by 1 order by 1") == [
        (day, 110) for day in days
    ]
    assert len(raw_tables(warehouse)) == 5


def test_a_day_that_remains_locked_is_reported(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "SAME_DATE_PATIENCE_SECONDS", 0.1)
    with (
        connect(warehouse, "loader", autocommit=True) as other,
        locks.held(other, locks.of_load("calls", DAY), ""),
        pytest.raises(Busy, match="calls 2012-04-25: another session is loading the same date"),
    ):
        ingest(warehouse, "calls", DAY)


def test_a_feed_that_remains_locked_is_reported_and_loses_nothing(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(50)))
    ingest(warehouse, "calls", DAY)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(60)))
    monkeypatch.setattr(partitions, "LOCK_PATIENCE", "50ms")
    monkeypatch.setattr(partitions, "PATIENCE_SECONDS", 1)
    with connect(warehouse, "reader") as reader:
        reader.execute("select 1 from raw.calls limit 1")
        with pytest.raises(Busy, match="another session holds what this run needs"):
            ingest(warehouse, "calls", DAY)
    assert len(published(warehouse)) == 50
    assert ingest(warehouse, "calls", DAY).status == "published"
    assert ledger(warehouse) == [(1, "superseded", 50, 50, 0, 0), (2, "published", 60, 60, 0, 0)]


def test_a_file_written_to_while_it_is_read_refuses_the_delivery(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(50)))
    check_block = RowRules.check_block

    def written_to_meanwhile(*given: Any) -> Any:
        (folder / "calls.csv").touch()
        return check_block(*given)

    monkeypatch.setattr(RowRules, "check_block", written_to_meanwhile)
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "refused"
    assert "calls.csv was written to while it was read" in outcome.message
