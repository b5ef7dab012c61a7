"""Resumes a failed build: decides when that is safe, and which nodes to run.

It is safe if everything that the failed build read is unchanged, because its good nodes are then the same as
in an undisturbed build. dbt compares the two manifests to find the models and tests that were fixed.
Everything that this comparison does not cover (macros, variables, the profile, seeds, dbt itself) must be
unchanged.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from parc.build.changes import Unbuilt
from parc.build.dbt import DbtRun
from parc.ledger import build_inputs, builds
from parc.ledger.builds import Build
from parc.settings import Settings

# dbt compares these file by file; only they may change between a failed build and the one that resumes it.
MAY_CHANGE = ("models/", "tests/")
MUST_NOT_CHANGE = "tests/generic/"
SELECTED = ("result:error+", "result:fail+", "result:skipped+", "state:modified+")

InputDigests = dict[str, str]


def inputs(connection: psycopg.Connection[Any], settings: Settings, found: Unbuilt) -> InputDigests:
    """Digests of everything that a build starting now would read, without the dates, to which dbt adds."""
    project = settings.project / "dbt_project"
    entering: dict[str, Any] = {
        "deliveries": sorted(found.delivery_ids),
        "request dates": found.request_dates,
        "seeds": {name: seed.sha256 for name, seed in sorted(found.seeds.items())},
        "ledger": build_inputs.digest(connection),
        "project": [(path, _digest((project / path).read_bytes())) for path in _bound_files(project)],
        "dbt": [version("dbt-core"), version("dbt-postgres")],
    }
    return {name: _digest(json.dumps(value, default=str).encode()) for name, value in entering.items()}


def keep(
    connection: psycopg.Connection[Any], settings: Settings, build_id: int, run: DbtRun, entered: InputDigests
) -> None:
    """Keep what the next build needs to resume this failed one, which started with the inputs `entered`."""
    folder = _folder(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("manifest.json", "run_results.json"):
        shutil.copy(run.target / name, folder)
    build = builds.get(connection, build_id)
    assert build
    kept = {"build": _identity(build), "inputs": entered}
    # Written last: the folder is valid only once this file exists.
    (folder / "inputs.json").write_text(json.dumps(kept))


def resumable(
    connection: psycopg.Connection[Any], settings: Settings, found: Unbuilt, entering: InputDigests
) -> int | None:
    """The failed build that a new one with these inputs can resume; None: everything must be run."""
    last = builds.last(connection)
    kept = _folder(settings) / "inputs.json"
    if last is None or last.status != "failed" or last.is_full_refresh or not kept.exists():
        return None
    if json.loads(kept.read_text()) != {"build": _identity(last), "inputs": entering}:
        return None
    dates = {(subject, day) for subject, days in found.dates.items() for day in days}
    return last.build_id if dates == builds.dates(connection, last.build_id) else None


def arguments(settings: Settings) -> list[str]:
    """dbt's arguments to select failed, skipped and fixed nodes, and everything below them."""
    return ["--select", *SELECTED, "--state", str(_folder(settings))]


def _folder(settings: Settings) -> Path:
    return settings.home / "dbt" / "failed"


def _identity(build: Build) -> str:
    """Distinguishes builds of different warehouses."""
    return f"{build.build_id} begun {build.started_at.isoformat()}"


def _bound_files(project: Path) -> list[str]:
    paths = (path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
    return sorted(
        path for path in paths if not path.startswith(MAY_CHANGE) or path.startswith(MUST_NOT_CHANGE)
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
