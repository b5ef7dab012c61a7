"""Sixty days of history while nights continue: Airflow's backfill, the trigger form, a platform that dies.

It takes minutes, so it has its own command: `make soak` prints the figures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from parc.host import environment
from parc.host.client import Airflow
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, embedded

pytestmark = pytest.mark.soak

FIRST, DAYS, SCALE = date(2012, 3, 1), 60, 0.005
LAST = FIRST + timedelta(days=DAYS - 1)
PATIENCE_SECONDS = 1_200


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running platform with sixty simulated days in its landing zone and nothing loaded."""
    home = tmp_path_factory.mktemp("soak") / "home"
    settings = Settings(home=home, landing=str(home / "landing"), switch=str(home / "switch"))
    simulate(FIRST, LAST, scale=SCALE, seed=1, out=settings.landing)
    try:
        parc(settings, "up")
        Airflow(settings).wait_for_dags({"ingest_calls", "build_marts"})
        yield settings
    finally:
        parc(settings, "stop")
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)


def parc(settings: Settings, *arguments: str) -> None:
    known = {key: value for key, value in os.environ.items() if not key.startswith(("PARC_", "AIRFLOW_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("parc")), *arguments],
        env=known | {"PARC_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    with connect(settings, "reader") as connection:
        return connection.execute(text.encode()).fetchall()


def number(settings: Settings, text: str) -> int:
    return int(query(settings, text)[0][0])


def published(settings: Settings, feed: str) -> int:
    text = f"select count(*) from ops.delivery where feed = '{feed}' and status = 'published'"
    return number(settings, text)


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.5)


def seconds_of_a_night(settings: Settings, feed: str) -> tuple[float, float]:
    """Seconds from the start of a single day's run until its load began, and until it ended."""
    airflow = Airflow(settings)
    began = time.time()
    run_id = airflow.trigger(f"ingest_{feed}", first_date=str(LAST))
    until(f"{feed} {LAST}", lambda: airflow.state(f"ingest_{feed}", run_id) in ("success", "failed"))
    ended = time.time()
    assert airflow.state(f"ingest_{feed}", run_id) == "success"
    path = f"/dags/ingest_{feed}/dagRuns/{run_id}/taskInstances/load"
    load = datetime.fromisoformat(airflow.call("GET", path)["start_date"])
    return load.timestamp() - began, ended - began


def kill_scheduler(settings: Settings) -> None:
    """As in a power failure: kill the scheduler and its tasks at the same time."""
    from parc.host import programs

    [pid] = [each.pid for each in programs.airflow(settings) if each.name == "scheduler"]
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue


def print_figures(**figures: float) -> None:
    print("\n" + ", ".join(f"{name} {value:.0f}" for name, value in figures.items()))


def builds(settings: Settings) -> int:
    return number(settings, "select count(*) from ops.build where status = 'published'")


def all_is_built(settings: Settings) -> bool:
    unbuilt = "select count(*) from ops.delivery where status = 'published' and built_in is null"
    running = "select count(*) from ops.build where status = 'running'"
    return number(settings, unbuilt) == 0 and number(settings, running) == 0


def test_a_backfill_survives_a_dead_scheduler_and_yields_to_the_night(platform: Settings) -> None:
    port = int(Airflow(platform).address.rsplit(":", 1)[1])
    began = time.monotonic()
    subprocess.run(
        [
            str(Path(sys.executable).with_name("airflow")),
            "backfill",
            "create",
            "--dag-id",
            "ingest_calls",
            "--from-date",
            str(FIRST),
            "--to-date",
            str(LAST),
        ],
        env=environment.variables(platform, port, embedded.airflow_url(platform)),
        capture_output=True,
        check=True,
    )
    until("a tenth of the backfill", lambda: published(platform, "calls") >= DAYS // 10)
    waited, took = seconds_of_a_night(platform, "boutique_visits")
    assert published(platform, "calls") < DAYS, "the backfill was over before the night's run"

    kill_scheduler(platform)
    at_death = published(platform, "calls")
    parc(platform, "up")
    until("the backfill", lambda: published(platform, "calls") == DAYS)
    until("the builds", lambda: all_is_built(platform))
    print_figures(
        days=DAYS,
        seconds=time.monotonic() - began,
        published_when_killed=at_death,
        builds=builds(platform),
        night_waited_seconds=waited,
        night_took_seconds=took,
    )
    assert number(platform, "select count(*) from ops.delivery where status <> 'published'") == 0
    assert waited < took < 180
    assert builds(platform) <= DAYS // 3


def test_a_range_in_the_trigger_form_is_one_run(platform: Settings) -> None:
    before, began = builds(platform), time.monotonic()
    airflow = Airflow(platform)
    run_id = airflow.trigger("ingest_interventions", first_date=str(FIRST), last_date=str(LAST))
    until("the first days", lambda: published(platform, "interventions") >= 3)
    waited, took = seconds_of_a_night(platform, "calls")
    assert airflow.state("ingest_interventions", run_id) == "running"
    until("the range", lambda: airflow.state("ingest_interventions", run_id) in ("success", "failed"))
    assert airflow.state("ingest_interventions", run_id) == "success"
    until("the builds", lambda: all_is_built(platform))
    print_figures(
        days=DAYS,
        seconds=time.monotonic() - began,
        builds=builds(platform) - before,
        night_waited_seconds=waited,
        night_took_seconds=took,
    )
    assert published(platform, "interventions") == DAYS
    assert builds(platform) - before <= 2
