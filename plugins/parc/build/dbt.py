"""Runs the dbt project in a child process and tells what it did."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parc.errors import BuildFailed
from parc.settings import Settings, environment_but
from parc.warehouse import connect, parameters

Progress = Callable[[str, int, int], None]
FAILED = ("error", "fail")
SESSION_NAME = "parc dbt"
"""As dbt_project/profiles.yml names dbt's sessions."""


@dataclass(frozen=True)
class Result:
    """What became of a node: dbt's word for it, and the numbers it gives (-1 rows: it does not say)."""

    unique_id: str
    status: str
    seconds: float
    message: str | None
    failures: int | None
    rows_affected: int
    compiled_code: str | None


@dataclass(frozen=True)
class ManifestEntry:
    """What dbt's manifest says of a node; `reads` has unique ids.

    `path` is where its SQL is, compiled if it was; `raw_code` is a data test's, `generic` the name and
    arguments of a generic test; `model` is what a unit test is of; `demands` are the constraints of a model's
    contract by name, as conditions in SQL.
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


@dataclass(frozen=True)
class DbtRun:
    """What one dbt run left: results in order of finishing, the project's entries and each one's children.

    After a failure, dbt's own files of these are in `target`.
    """

    results: list[Result]
    entries: dict[str, ManifestEntry]
    children: dict[str, list[str]]
    target: Path

    @property
    def has_failed(self) -> bool:
        """Whether a model or test failed."""
        return any(result.status in FAILED for result in self.results)

    def followed_by(self, later: DbtRun) -> DbtRun:
        """Both as one run: of a node that ran twice the later result counts."""
        again = {result.unique_id for result in later.results}
        before = [result for result in self.results if result.unique_id not in again]
        return DbtRun([*before, *later.results], later.entries, later.children, later.target)


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which dbt finds the warehouse, and no other secret; holds its password, so never
    print it."""
    given = parameters(settings, "transformer")
    return {
        **environment_but("PARC_", "AIRFLOW_", "AWS_"),
        "PARC_PG_HOST": given.get("host", "localhost"),
        "PARC_PG_PORT": given.get("port", "5432"),
        "PARC_PG_USER": given["user"],
        "PARC_PG_PASSWORD": given.get("password", ""),
        "PARC_PG_DATABASE": given.get("dbname", ""),
        "PGTZ": "UTC",
        # Else the server works on at the query of a killed dbt, and the next build waits for its locks.
        "PGOPTIONS": "-c client_connection_check_interval=2s",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def log_file(settings: Settings) -> Path:
    """What dbt said and which nodes it ran."""
    return settings.home / "dbt" / "logs" / "dbt.log"


def end_orphans(settings: Settings) -> None:
    """End the sessions that a killed dbt left on the server, which may yet commit what it last asked for.

    For the holder of the build lock alone: it would end a living dbt's too.
    """
    with connect(settings, "transformer", autocommit=True) as connection:
        while connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = %s and datname = current_database() and usename = session_user",
            [SESSION_NAME],
        ).fetchall():
            time.sleep(0.05)


class Dbt:
    """A running dbt; each command of it finds the project parsed and its imports done. See `started`."""

    def __init__(self, settings: Settings, progress: Progress, process: subprocess.Popen[str]) -> None:
        self._settings, self._progress, self._process = settings, progress, process

    def run(self, command: str, *arguments: str) -> DbtRun:
        """Run `dbt COMMAND` on the platform's project; its files go to `home/dbt`.

        Nodes may have failed: their results say so. Raises BuildFailed when dbt did not come to its end.
        """
        target, project = _target(self._settings), str(self._settings.project / "dbt_project")
        asked = [
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
        said: list[str] = []
        try:
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: its last words are read below
        done = 0
        for line in self._process.stdout:
            try:
                told = json.loads(line)
            except json.JSONDecodeError:
                said.append(line.strip())
                continue
            if "ended" in told:
                if told["ended"] is None:
                    break
                return DbtRun(
                    [Result(**each) for each in told["ended"]["results"]],
                    {
                        unique_id: ManifestEntry(**each)
                        for unique_id, each in told["ended"]["entries"].items()
                    },
                    told["ended"]["children"],
                    target,
                )
            if "said" in told:
                said.append(told["said"])
            else:
                done += 1
                self._progress(told["finished"], done, told["total"])
        raise BuildFailed(
            f"dbt {command} did not come to its end: {' '.join(said[-3:])}\n"
            "Mend it, then build again: clear this task in Airflow, or `parc build`. "
            f"(log: {log_file(self._settings)})"
        )


@contextmanager
def started(settings: Settings, progress: Progress) -> Iterator[Dbt]:
    """A dbt to run commands with, which tells `progress` of each node that finishes; ended in the end."""
    log = log_file(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [
            # A dbt that outlives a killed build would go on writing under the next one: it dies with us.
            "setpriv",
            "--pdeathsig",
            "KILL",
            # -P: the modules beside the program are not to be found under their bare names, `dbt` above all.
            sys.executable,
            "-P",
            str(Path(__file__).with_name("dbt_process.py")),
            str(log),
        ],
        env=environment(settings),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Dbt(settings, progress, process)
    finally:
        process.kill()
        process.communicate()


def _target(settings: Settings) -> Path:
    return settings.home / "dbt" / "target"
