"""Runs the dbt project in a child process and reports what it did."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parc.errors import BuildFailed
from parc.findings import BUILD, Step
from parc.ledger.builds import FAILED_STATUSES
from parc.settings import Settings, environment_without
from parc.warehouse import connect, parameters

BuildProgress = Callable[[str, int, int], None]
SESSION_NAME = "parc dbt"
"""The name of dbt's sessions in dbt_project/profiles.yml."""


@dataclass(frozen=True)
class Result:
    """The result of a node: dbt's status and figures (-1 rows: unknown)."""

    unique_id: str
    status: str
    seconds: float
    message: str | None
    failures: int | None
    rows_affected: int
    compiled_code: str | None


@dataclass(frozen=True)
class ManifestEntry:
    """A node's entry in dbt's manifest; `reads` has unique ids.

    `path` is its SQL file, compiled if possible. `raw_code` is set for data tests, `generic` is the name and
    arguments of a generic test, `model` the model of a unit test. `demands` are the constraints of a model's
    contract by name, as SQL conditions. `contract` are the contract's columns; empty if there is none.
    `kept_table` is the table that an incremental model adds to, None for all others.
    """

    name: str
    kind: str
    reads: list[str]
    meta: dict[str, Any]
    description: str
    path: str
    raw_code: str
    model: str | None
    generic: dict[str, Any] | None
    demands: dict[str, str]
    contract: list[str] = field(default_factory=list)
    kept_table: str | None = None


@dataclass(frozen=True)
class DbtRun:
    """The outcome of a dbt run: results in order of finishing, the project's entries, and each one's
    children.

    After a failure, dbt's own files about these are in `target`.
    """

    results: list[Result]
    entries: dict[str, ManifestEntry]
    children: dict[str, list[str]]
    target: Path

    @property
    def has_failed(self) -> bool:
        """Whether a model or test failed."""
        return any(result.status in FAILED_STATUSES for result in self.results)

    def followed_by(self, later: DbtRun) -> DbtRun:
        """Both runs combined; for a node that ran twice, the later result counts."""
        again = {result.unique_id for result in later.results}
        before = [result for result in self.results if result.unique_id not in again]
        return DbtRun([*before, *later.results], later.entries, later.children, later.target)


def environment(settings: Settings) -> dict[str, str]:
    """The environment for dbt: the warehouse's connection and no other secret. Contains a password; never
    print it."""
    given = parameters(settings, "transformer")
    return {
        **environment_without("PARC_", "AIRFLOW_", "AWS_"),
        "PARC_PG_HOST": given.get("host", "localhost"),
        "PARC_PG_PORT": given.get("port", "5432"),
        "PARC_PG_USER": given["user"],
        "PARC_PG_PASSWORD": given.get("password", ""),
        "PARC_PG_DATABASE": given.get("dbname", ""),
        "PGTZ": "UTC",
        # Otherwise the server would continue with a killed dbt's query, and the next build would wait for its
        # locks.
        "PGOPTIONS": "-c client_connection_check_interval=2s",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def log_file(settings: Settings) -> Path:
    """The log of dbt's messages and the nodes it ran."""
    return settings.home / "dbt" / "logs" / "dbt.log"


def end_orphans(settings: Settings) -> None:
    """End the sessions that a killed dbt left on the server, because they may still commit their last
    statement.

    Only call this while holding the build lock: it would also end the sessions of a running dbt.
    """
    with connect(settings, "transformer", autocommit=True) as connection:
        while connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = %s and datname = current_database() and usename = session_user",
            [SESSION_NAME],
        ).fetchall():
            time.sleep(0.05)


class Dbt:
    """A running dbt, which imports and parses the project only once for all commands. See `started`."""

    def __init__(self, settings: Settings, progress: BuildProgress, process: subprocess.Popen[str]) -> None:
        self._settings, self._progress, self._process = settings, progress, process

    def run(self, command: str, *arguments: str) -> DbtRun:
        """Run `dbt COMMAND` on the platform's project; its files go to `home/dbt`.

        The results show which nodes failed. Raises BuildFailed if dbt did not finish.
        """
        target, project = _target(self._settings), str(self._settings.project / "dbt_project")
        full_command = [
            *command.split(),
            "--project-dir",
            project,
            "--profiles-dir",
            project,
            "--target-path",
            str(target),
            "--log-path",
            str(log_file(self._settings).parent),
            *arguments,
        ]
        assert self._process.stdin is not None and self._process.stdout is not None
        output: list[str] = []
        try:
            self._process.stdin.write(f"{json.dumps(full_command)}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; its last output is read below
        done = 0
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                output.append(line.strip())
                continue
            if "ended" in event:
                if event["ended"] is None:
                    break
                return DbtRun(
                    [Result(**each) for each in event["ended"]["results"]],
                    {
                        unique_id: ManifestEntry(**each)
                        for unique_id, each in event["ended"]["entries"].items()
                    },
                    event["ended"]["children"],
                    target,
                )
            if "error" in event:
                output.append(event["error"])
            else:
                done += 1
                self._progress(event["finished"], done, event["total"])
        raise BuildFailed(
            f"dbt {command} did not finish: {' '.join(output[-3:])} (log: {log_file(self._settings)})",
            steps=(
                Step("fix the cause"),
                BUILD,
                Step("clear this task in Airflow", is_alternative=True),
            ),
        )


@contextmanager
def started(settings: Settings, progress: BuildProgress, *, keeps_shapes: bool = False) -> Iterator[Dbt]:
    """A dbt to run commands with; it reports each finished node to `progress`, and is stopped at the end.

    With `keeps_shapes`, tables that exist get new rows and are not rebuilt.
    """
    variables = environment(settings) | {"PARC_KEEPS_SHAPES": "yes" if keeps_shapes else "no"}
    process = _process(log_file(settings), variables)
    try:
        yield Dbt(settings, progress, process)
    finally:
        process.kill()
        process.communicate()


def _process(log: Path, variables: dict[str, str]) -> subprocess.Popen[str]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [
            # dbt must die with this process: if it outlived a killed build it would write during the next
            # one.
            "setpriv",
            "--pdeathsig",
            "KILL",
            # -P keeps modules beside the program, `dbt` above all, from being found by their bare names.
            sys.executable,
            "-P",
            str(Path(__file__).with_name("dbt_process.py")),
            str(log),
        ],
        env=variables,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _target(settings: Settings) -> Path:
    return settings.home / "dbt" / "target"
