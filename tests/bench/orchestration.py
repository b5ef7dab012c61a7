"""Measures what Airflow adds to dbt: one night's build in several ways, in turn, on this machine.

`make bench-orchestration` prints a table (options: BENCH="--runs 5", BENCH=--help). All ways run the
platform's dbt project on copies of one small warehouse: two weeks built, one more day loaded but not built.
State lives in a temporary folder. Cosmos is in this program's environment (.venv-bench) and not in the
platform's (.venv), which runs everything else.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import psycopg
from psycopg import sql

from parc.build.dbt import environment
from parc.feeds import FEEDS
from parc.host import programs, services
from parc.host.client import Airflow
from parc.settings import PROJECT, Settings
from parc.warehouse import connect, embedded, parameters

BIN = PROJECT / ".venv" / "bin"
DAGS = Path(__file__).parent / "dags"
FIRST, LAST, NEW = "2012-04-16", "2012-04-29", "2012-04-30"
REFERENCES = ("numbering_plan", "line_assignments", "active_lines", "boutiques")
LOADED, OPENED, MEASURED = "parc", "bench_opened", "bench"
RUN_SECONDS = 3600
FLOOR = "dbt build"
WAYS = {
    "dbt": (FLOOR,),
    "parc": ("parc build",),
    "airflow": ("build_marts in Airflow, its task", "build_marts in Airflow"),
    "local": ("Cosmos LOCAL",),
    "watcher": ("Cosmos WATCHER",),
}


@dataclass(frozen=True)
class Taken:
    """The cost of a run: elapsed seconds and CPU seconds (a task's are those of its whole run)."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Bench:
    """The two platforms: the project's own, and one whose Airflow has only Cosmos' DAGs."""

    own: Settings
    cosmos: Settings

    @property
    def measured(self) -> Settings:
        """The platform on the database that every run gets a fresh copy of."""
        return on_database(self.own, MEASURED)


def main() -> None:
    """Prepare, measure in turns, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each way (default 3)")
    parser.add_argument("--scale", default="0.03", help="of the operator (default 0.03: 6,600 calls a day)")
    parser.add_argument(
        "--only", default=",".join(WAYS), help=f"ways, of {','.join(WAYS)}; dbt is always run"
    )
    given = parser.parse_args()
    requested = {"dbt", *given.only.split(",")}
    if requested - WAYS.keys():
        parser.error(f"no such way: {', '.join(requested - WAYS.keys())}")
    ways = [way for way in WAYS if way in requested]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in [name for name in os.environ if name.startswith(("PARC_", "AIRFLOW_"))]:
        del os.environ[name]  # they are of another platform
    with platforms() as bench:
        say(f"preparing the warehouse at scale {given.scale}")
        prepare(bench, given.scale)
        start_airflow(bench, ways)
        runs = [measure(bench, ways, number) for number in range(1, given.runs + 1)]
        report(runs, parse_seconds(bench, ways))


@contextmanager
def platforms() -> Iterator[Bench]:
    """Two empty platforms in a temporary folder, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="parc-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        own = Settings(
            Path(name, "own"), landing=str(Path(name, "landing")), switch=str(Path(name, "switch"))
        )
        cosmos = replace(own, home=Path(name, "cosmos"), project=Path(name, "project"))
        cosmos.project.mkdir()
        (cosmos.project / "dags").symlink_to(DAGS)
        (cosmos.project / "deploy").symlink_to(PROJECT / "deploy")
        try:
            yield Bench(own, cosmos)
        finally:
            for settings in (cosmos, own):
                services.stop(settings)
                if embedded.stop(settings):
                    shutil.rmtree((settings.home / "postgres").resolve(), ignore_errors=True)


def prepare(bench: Bench, scale: str) -> None:
    """Prepare two weeks built and one more day loaded (LOADED), and the same with a build started
    (OPENED)."""
    parc(bench.own, "up", "--no-airflow")
    load(bench, scale, FIRST, LAST)
    parc(bench.own, "build")
    load(bench, scale, NEW, NEW)
    copy_database(bench.own, LOADED, OPENED)
    opened = on_database(bench.own, OPENED)
    # A build that ends as soon as it has written down what is to be recomputed.
    process = subprocess.Popen([BIN / "parc", "build"], env=variables(opened), stderr=subprocess.DEVNULL)
    try:
        while not running_builds(opened):
            if process.poll() is not None:
                raise SystemExit("parc build ended before it began to build")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    copy_database(bench.own, OPENED, MEASURED)
    dbt(bench, "parse")  # every night finds the project parsed by the one before


def load(bench: Bench, scale: str, first: str, last: str) -> None:
    """Simulate and ingest the days."""
    parc(
        bench.own,
        "simulate",
        "--from",
        first,
        "--to",
        last,
        "--scale",
        scale,
        "--seed",
        "2012",
        "--out",
        bench.own.landing,
    )
    for feed in (*REFERENCES, *(feed for feed in FEEDS if feed not in REFERENCES)):
        parc(bench.own, "ingest", feed, "--from", first, "--to", last)


def running_builds(settings: Settings) -> int:
    """How many builds (none or one) are recorded as running."""
    with connect(settings, "reader") as connection:
        row = connection.execute("select count(*) from ops.build where status = 'running'").fetchone()
    return int(row[0]) if row else 0


def start_airflow(bench: Bench, ways: list[str]) -> None:
    """Start the Airflow of the platform (from its own environment) and that of Cosmos (from this one)."""
    if "airflow" in ways:
        say("starting the platform's Airflow")
        parc(bench.measured, "up")
        airflow = Airflow(bench.own)
        airflow.wait_for_dags({"build_marts"})
        for dag in airflow.call("GET", "/dags", params={"limit": 100})["dags"]:
            airflow.pause(dag["dag_id"], dag["dag_id"] != "build_marts")
    if "local" in ways or "watcher" in ways:
        say("starting Airflow with Cosmos")
        embedded.start(bench.cosmos)
        given = environment(bench.measured) | {
            "BENCH_MANIFEST": str(bench.own.home / "dbt" / "target" / "manifest.json"),
            "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test seed",
            "AIRFLOW__COSMOS__CACHE_DIR": str(bench.cosmos.home / "cache"),
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        }
        with patch.dict(os.environ, given):
            services.start(bench.cosmos, embedded.airflow_url(bench.cosmos))
        Airflow(bench.cosmos).wait_for_dags({"cosmos_local", "cosmos_watcher"})


def measure(bench: Bench, ways: list[str], number: int) -> dict[str, Taken]:
    """One run of each way, by label."""
    acts: dict[str, Callable[[Bench], tuple[float, ...]]] = {
        "dbt": dbt_build,
        "parc": parc_build,
        "airflow": airflow_build,
        "local": lambda bench: cosmos_build(bench, "cosmos_local"),
        "watcher": lambda bench: cosmos_build(bench, "cosmos_watcher"),
    }
    taken: dict[str, Taken] = {}
    for way in ways:
        copy_database(bench.own, LOADED if way in ("parc", "airflow") else OPENED, MEASURED)
        before = cpu_seconds(bench)
        seconds = acts[way](bench)
        cpu = cpu_seconds(bench) - before
        for label, wall in zip(WAYS[way], seconds, strict=True):
            taken[label] = Taken(wall, cpu)
            say(f"run {number}: {label} {wall:.1f} s, {cpu:.1f} s of CPU")
        check_work(bench, way)
    return taken


def cpu_seconds(bench: Bench) -> float:
    """CPU seconds so far of commands and of Airflow's task processes: what the work costs.

    Of ended processes their parents know. Not counted: PostgreSQL, and Airflow's four services.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    for settings in (bench.own, bench.cosmos):
        for service in programs.airflow(settings):
            if service.name == "scheduler" and service.pid:
                scheduler = psutil.Process(service.pid)
                times = scheduler.cpu_times()
                total += times.children_user + times.children_system
                for process in scheduler.children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        total += sum(process.cpu_times()[:4])  # its own, and its ended children's
    return total


def dbt_build(bench: Bench) -> tuple[float, ...]:
    """The minimum: the nodes of a night, run directly."""
    return (dbt(bench, "build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "seed"),)


def parc_build(bench: Bench) -> tuple[float, ...]:
    """The same plus finding what changed, and publication."""
    return (timed([BIN / "parc", "build"], variables(bench.measured)),)


def airflow_build(bench: Bench) -> tuple[float, ...]:
    """The platform's DAG: its task from start to end, and the run from queued to end."""
    airflow = Airflow(bench.own)
    run_id = airflow.trigger("build_marts")
    run = finished(airflow, "build_marts", run_id)
    [task] = airflow.call("GET", f"/dags/build_marts/dagRuns/{run_id}/taskInstances")["task_instances"]
    return between(task["start_date"], task["end_date"]), between(run["queued_at"], run["end_date"])


def cosmos_build(bench: Bench, dag_id: str) -> tuple[float, ...]:
    """A run of Cosmos' DAG from queued to end."""
    airflow = Airflow(bench.cosmos)
    run = finished(airflow, dag_id, airflow.trigger(dag_id))
    return (between(run["queued_at"], run["end_date"]),)


def finished(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, Any]:
    """The run when it has succeeded."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        run = airflow.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        if run["state"] == "success":
            return dict(run)
        if run["state"] == "failed" or time.monotonic() > deadline:
            raise SystemExit(f"{run['state']}: {airflow.failures(dag_id, run_id)}")
        time.sleep(0.5)


def check_work(bench: Bench, way: str) -> None:
    """Every way must have built the new day, and those that publish must show it to BI."""
    table = "marts.fct_calls" if way in ("parc", "airflow") else "build.fct_calls"
    with connect(bench.measured, "reader") as connection:
        row = connection.execute(f"select count(*) from {table} where business_date = %s", [NEW]).fetchone()
    if not (row and row[0]):
        raise SystemExit(f"{way}: {table} lacks {NEW}")


def parse_seconds(bench: Bench, ways: list[str]) -> dict[str, float]:
    """How long Airflow's DAG processor last took for each DAG file."""
    found = {}
    for settings, folder, needed in (
        (bench.own, PROJECT / "dags", {"airflow"}),
        (bench.cosmos, DAGS, {"local", "watcher"}),
    ):
        if needed & set(ways):
            for dag in Airflow(settings).call("GET", "/dags", params={"limit": 100})["dags"]:
                file = (folder / dag["relative_fileloc"]).relative_to(PROJECT)
                found[str(file)] = float(dag["last_parse_duration"])
    return found


def report(runs: list[dict[str, Taken]], parsed: dict[str, float]) -> None:
    """Print the tables; a ratio compares runs of the same turn, so that a busy machine affects both."""
    print(f"\n| | median s | fastest - slowest | / {FLOOR} | CPU s | / {FLOOR} |\n|---|---|---|---|---|---|")
    ratios = {}
    for label in runs[0]:
        walls, cpus = [run[label].wall for run in runs], [run[label].cpu for run in runs]
        ratios[label] = statistics.median(run[label].wall / run[FLOOR].wall for run in runs)
        cpu_ratio = statistics.median(run[label].cpu / run[FLOOR].cpu for run in runs)
        print(
            f"| {label} | {statistics.median(walls):.1f} | {min(walls):.1f} - {max(walls):.1f} "
            f"| {ratios[label]:.2f} | {statistics.median(cpus):.1f} | {cpu_ratio:.2f} |"
        )
    if parsed:
        print("\n| DAG file | parsed in s |\n|---|---|")
        for file, seconds in sorted(parsed.items()):
            print(f"| {file} | {seconds:.2f} |")
    print()
    for label, ratio in ratios.items():
        if label != FLOOR:
            print(f"{label} / {FLOOR}: {ratio:.2f} x")


def copy_database(settings: Settings, source: str, name: str) -> None:
    """Recreate the database as a copy of another, flushed to disk before the measurement."""
    given = parameters(settings, "admin") | {
        "dbname": "postgres",
        "user": "postgres",
        "password": settings.secret("postgres_password"),
    }
    names = {
        key: sql.Identifier(value)
        for key, value in (("name", name), ("source", source), ("login", embedded.LOGIN))
    }
    with psycopg.connect(**given, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(sql.SQL("drop database if exists {name} with (force)").format(**names))
        connection.execute(sql.SQL("create database {name} template {source} owner {login}").format(**names))
        connection.execute("checkpoint")


def on_database(settings: Settings, name: str) -> Settings:
    """The same platform on another database of its server."""
    given = parameters(replace(settings, warehouse_dsn=None), "admin") | {"dbname": name}
    return settings.with_warehouse(psycopg.conninfo.make_conninfo(**given))


def variables(settings: Settings) -> dict[str, str]:
    """The environment that makes a command work on this platform."""
    given = os.environ | {
        "PARC_HOME": str(settings.home),
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
    }
    return given | ({"PARC_WAREHOUSE_DSN": settings.warehouse_dsn} if settings.warehouse_dsn else {})


def dbt(bench: Bench, command: str, *arguments: str) -> float:
    """Seconds of a dbt command on the measured database, with the files that `parc build` keeps too."""
    project, files = PROJECT / "dbt_project", bench.own.home / "dbt"
    return timed(
        [
            BIN / "dbt",
            command,
            "--project-dir",
            project,
            "--profiles-dir",
            project,
            "--target-path",
            files / "target",
            "--log-path",
            files / "logs",
            *arguments,
        ],
        environment(bench.measured),
    )


def parc(settings: Settings, *arguments: str) -> None:
    """Run a command of the platform that must succeed."""
    timed([BIN / "parc", *arguments], variables(settings))


def timed(command: list[Any], environ: dict[str, str]) -> float:
    """Seconds that a command takes; it must succeed."""
    start = time.monotonic()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - start


def between(start: str, end: str) -> float:
    """Seconds between two instants of Airflow's API."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def say(what: str) -> None:
    """Report progress."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
