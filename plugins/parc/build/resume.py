"""Going on from a failed build: when that is safe, and with which nodes.

It is safe when all that the failed build read is as it was, for then its good nodes are what an undisturbed
build would have made; dbt's comparison of the two manifests finds the models and tests that were mended.
What that comparison does not see (macros, variables, the profile, seeds, dbt itself) must not have changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from parc.build.changes import Changes
from parc.build.dbt import DbtRun
from parc.settings import Settings

# dbt compares these file by file; they alone may change between a failed build and the one that goes on.
MENDABLE = ("models/", "tests/")
NOT_MENDABLE = "tests/generic/"
SELECTED = ("result:error+", "result:fail+", "result:skipped+", "state:modified+")

Inputs = dict[str, str]


def inputs(connection: psycopg.Connection[Any], settings: Settings, found: Changes) -> Inputs:
    """What enters a build that begins now, each as a digest; without the dates, which dbt adds to."""
    ledger = connection.execute(
        """
        select
            (select sum(hashtextextended(delivery::text, 0)::numeric) from ops.delivery)::text,
            (select sum(hashtextextended(feed || business_date, 0)::numeric) from ops.looked_for)::text,
            (select array_agg(name order by name) from ops.schema_version)::text
        """
    ).fetchone()
    project = settings.project / "dbt_project"
    entering: dict[str, Any] = {
        "deliveries": sorted(found.delivery_ids),
        "request dates": found.request_dates,
        "seeds": {name: seed.sha256 for name, seed in sorted(found.seeds.items())},
        "ledger": ledger,
        "project": [(path, _digest((project / path).read_bytes())) for path in _bound_files(project)],
        "dbt": [version("dbt-core"), version("dbt-postgres")],
    }
    return {name: _digest(json.dumps(value, default=str).encode()) for name, value in entering.items()}


def keep(
    connection: psycopg.Connection[Any], settings: Settings, build_id: int, run: DbtRun, entered: Inputs
) -> None:
    """Keep what the next build needs to go on from this failed one, which began with the inputs `entered`."""
    folder = _folder(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("manifest.json", "run_results.json"):
        shutil.copy(run.target / name, folder)
    # Last: with it the folder counts.
    kept = {"build": _identity(connection, build_id), "inputs": entered}
    (folder / "inputs.json").write_text(json.dumps(kept))


def resumable(
    connection: psycopg.Connection[Any], settings: Settings, found: Changes, entering: Inputs
) -> int | None:
    """The failed build that a new one with these inputs can go on from; None: everything is to be done."""
    last = connection.execute(
        "select build_id, status = 'failed' and not is_full_refresh from ops.build "
        "order by build_id desc limit 1"
    ).fetchone()
    kept = _folder(settings) / "inputs.json"
    if not (last and last[1] and kept.exists()):
        return None
    if json.loads(kept.read_text()) != {"build": _identity(connection, last[0]), "inputs": entering}:
        return None
    rows = connection.execute("select feed, business_date from ops.build_date where build_id = %s", [last[0]])
    dates = {(subject, day) for subject, days in found.dates.items() for day in days}
    return int(last[0]) if dates == set(rows.fetchall()) else None


def arguments(settings: Settings) -> list[str]:
    """dbt's arguments that select what failed, what was skipped, what was mended, and all below these."""
    return ["--select", *SELECTED, "--state", str(_folder(settings))]


def _folder(settings: Settings) -> Path:
    return settings.home / "dbt" / "failed"


def _identity(connection: psycopg.Connection[Any], build_id: int) -> str:
    """Tells builds of different warehouses apart."""
    row = connection.execute("select started_at from ops.build where build_id = %s", [build_id]).fetchone()
    assert row is not None
    return f"{build_id} begun {row[0].isoformat()}"


def _bound_files(project: Path) -> list[str]:
    paths = (path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
    return sorted(path for path in paths if not path.startswith(MENDABLE) or path.startswith(NOT_MENDABLE))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
