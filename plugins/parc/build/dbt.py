"""Runs the dbt project as a child process and tells what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parc.errors import BuildFailed
from parc.settings import Settings
from parc.warehouse import parameters

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DbtRun:
    """What one dbt run did: nodes by status and dbt's manifest."""

    statuses: dict[str, int]
    manifest: dict[str, Any]


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
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def run(settings: Settings, command: str, *arguments: str, progress: Progress | None = None) -> DbtRun:
    """Run `dbt COMMAND` on the platform's project; its files go to `home/dbt`.

    Raises BuildFailed naming each failed node, its error and how to see more.
    """
    target = settings.home / "dbt" / "target"
    results_file = target / "run_results.json"
    results_file.unlink(missing_ok=True)  # an earlier run's results must not be taken for this one's
    project = settings.project / "dbt_project"
    process = subprocess.Popen(
        [
            # A dbt that outlives a killed build would go on writing under the next one: it dies with us.
            "setpriv", "--pdeathsig", "KILL", str(Path(sys.executable).with_name("dbt")),
            "--log-format", "json", command,
            "--project-dir", str(project), "--profiles-dir", str(project),
            "--target-path", str(target), "--log-path", str(settings.home / "dbt" / "logs"), *arguments,
        ],
        env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            _listen(line, said, progress)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    log = settings.home / "dbt" / "logs" / "dbt.log"
    if not results_file.exists():
        raise BuildFailed(f"dbt {command} ended before it ran a model: {' '.join(said[-3:])} (log: {log})")
    results = json.loads(results_file.read_text())["results"]
    failed = [result for result in results if result["status"] in ("error", "fail")]
    if failed or process.returncode != 0:
        lines = [_failure(result, target) for result in failed] or said[-3:]
        raise BuildFailed(
            f"dbt {command}: {len(failed)} of {len(results)} nodes failed; what BI sees stays as it was.\n"
            + "\n".join(lines)
            + f"\nMend the data or the model, then `parc build` again (log: {log})"
        )
    statuses: dict[str, int] = {}
    for result in results:
        statuses[result["status"]] = statuses.get(result["status"], 0) + 1
    return DbtRun(statuses, json.loads((target / "manifest.json").read_text()))


def _listen(line: str, said: list[str], progress: Progress | None) -> None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        said.append(line.strip())
        return
    info, data = event["info"], event.get("data", {})
    if info["level"] == "error":
        said.append(info["msg"].strip())
    if (
        progress
        and "index" in data
        and "total" in data
        and data.get("status") not in (None, "start", "started")
    ):
        name = data.get("node_info", {}).get("node_name", "")
        progress(name, int(data["index"]), int(data["total"]))


def _failure(result: dict[str, Any], target: Path) -> str:
    _, _, name = result["unique_id"].split(".", 2)
    message = " ".join(str(result.get("message") or result["status"]).split())
    compiled = next((target / "compiled").rglob(f"{name.split('.')[0]}.sql"), None)
    where = f" (its query: {compiled})" if compiled else ""
    return f"  {name}: {message}{where}"
