"""Runs the dbt project as a child process and tells what it did."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parc.errors import BuildFailed
from parc.settings import Settings
from parc.warehouse import connect, parameters

Progress = Callable[[str, int, int], None]
# dbt's exit codes: 0 all is well, 1 nodes failed; anything else says that it did not come to its end.
SOME_FAILED = 1
FAILED = ("error", "fail")
SESSION_NAME = "parc dbt"
"""As dbt_project/profiles.yml names dbt's sessions."""


@dataclass(frozen=True)
class DbtRun:
    """What one dbt run left: a result per node in order of finishing, and dbt's manifest, as in `target`."""

    results: list[dict[str, Any]]
    manifest: dict[str, Any]
    target: Path

    @property
    def has_failed(self) -> bool:
        """Whether a model or test failed."""
        return any(result["status"] in FAILED for result in self.results)

    def followed_by(self, later: DbtRun) -> DbtRun:
        """Both as one run: of a node that ran twice the later result counts."""
        again = {result["unique_id"] for result in later.results}
        before = [result for result in self.results if result["unique_id"] not in again]
        return DbtRun([*before, *later.results], later.manifest, later.target)

    def entry(self, unique_id: str) -> dict[str, Any]:
        """The manifest's entry of a node."""
        for section in ("nodes", "unit_tests", "exposures"):
            if unique_id in self.manifest[section]:
                found: dict[str, Any] = self.manifest[section][unique_id]
                return found
        raise KeyError(unique_id)


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which dbt finds the warehouse; holds the password, so never print it."""
    given = parameters(settings, "transformer")
    return {
        **os.environ,
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
    """Where dbt writes everything it does."""
    return settings.home / "dbt" / "logs" / "dbt.log"


def end_orphans(settings: Settings) -> None:
    """End the sessions that a killed dbt left on the server, which may yet commit what it last asked for.

    For the holder of the build lock alone: it would end a living dbt's too.
    """
    with connect(settings, "admin", autocommit=True) as connection:
        while connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = %s and datname = current_database() and usename = session_user",
            [SESSION_NAME],
        ).fetchall():
            time.sleep(0.05)


def run(settings: Settings, command: str, *arguments: str, progress: Progress) -> DbtRun:
    """Run `dbt COMMAND` on the platform's project; its files go to `home/dbt`.

    Nodes may have failed: their results say so. Raises BuildFailed when dbt did not come to its end.
    """
    target = settings.home / "dbt" / "target"
    results_file = target / "run_results.json"
    results_file.unlink(missing_ok=True)  # an earlier run's results must not be taken for this one's
    project = settings.project / "dbt_project"
    process = subprocess.Popen(
        [
            # A dbt that outlives a killed build would go on writing under the next one: it dies with us.
            "setpriv", "--pdeathsig", "KILL", str(Path(sys.executable).with_name("dbt")),
            "--log-format", "json", *command.split(),
            "--project-dir", str(project), "--profiles-dir", str(project),
            "--target-path", str(target), "--log-path", str(log_file(settings).parent), *arguments,
        ],
        env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said: list[str] = []
    assert process.stdout is not None
    try:
        done = 0
        for line in process.stdout:
            done += _listen(line, said, progress, done)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    results = json.loads(results_file.read_text())["results"] if results_file.exists() else []
    has_failed = any(result["status"] in FAILED for result in results)
    if process.returncode != (SOME_FAILED if has_failed else 0):
        raise BuildFailed(
            f"dbt {command} did not come to its end (exit code {process.returncode}): "
            f"{' '.join(said[-3:])}\nMend it, then build again: clear this task in Airflow, or `parc build`. "
            f"(log: {log_file(settings)})"
        )
    return DbtRun(results, json.loads((target / "manifest.json").read_text()), target)


def _listen(line: str, said: list[str], progress: Progress, done: int) -> int:
    """Take in one line of dbt's log; returns how many nodes it says have finished (0 or 1)."""
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        said.append(line.strip())
        return 0
    info, data = event["info"], event.get("data", {})
    if info["level"] == "error":
        said.append(info["msg"].strip())
    if not re.fullmatch("Log.*Result|SkippingDetails", info["name"]):
        return 0
    node = data["node_info"]
    told = [node["node_name"], node["node_status"]]
    if "execution_time" in data:
        told.append(f"{data['execution_time']:.2f} s")
    rows = re.search(r"\d+$", str(data.get("status", "")))  # "INSERT 0 10900"
    if rows:
        told.append(f"{int(rows[0]):,} rows")
    elif data.get("num_failures"):
        told.append(f"{data['num_failures']:,} rows break it")
    progress(" ".join(told), done + 1, int(data.get("total") or data.get("num_models") or 0))
    return 1
