"""Build, document and maintain the marts."""

from __future__ import annotations

from typing import Annotated

import typer

from parc.cli.printing import Json, dump, following, progress_bar, say, table, waiting
from parc.errors import ParcError
from parc.settings import Settings
from parc.warehouse.maintenance import MaintenanceResult

app = typer.Typer()


@app.command()
def build(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Recompute all days.")] = False,
    as_json: Json = False,
) -> None:
    """Build what is published but not yet built, test it, and publish it to BI in one step."""
    from parc.build import build as run

    with progress_bar() as advance:
        result = run(Settings.from_env(), full_refresh=full_refresh, progress=advance)
    if as_json:
        dump(result.to_json())
    else:
        say(result.message)


@app.command()
def docs() -> None:
    """Write one page about the dbt project: models, columns, tests, lineage. Every night does this too."""
    from parc.build import document
    from parc.build.documentation import page

    settings = Settings.from_env()
    with waiting("writing the page"):
        made = document(settings)
    say(f"{page(settings)}" + ("" if made else " (already up to date)"))


@app.command()
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Drop raw rows past retention and leftovers of dead runs, prune history and Data Docs, update
    statistics."""
    from parc.maintenance import STEPS

    done: dict[str, list[MaintenanceResult]] = {}
    failures: list[ParcError] = []
    with following() as follow:
        for name, step in STEPS.items():
            follow(name)
            try:
                done[name] = step(Settings.from_env(), dry_run)
            except ParcError as error:  # a step that cannot run does not stop the others
                failures.append(error)
    if as_json:
        dump({name: [vars(result) for result in results] for name, results in done.items()})
    else:
        rows = [
            {
                "step": name,
                "would do" if dry_run else "did": result.what,
                "count": f"{result.count:,}",
                "MB": _megabytes(result),
            }
            for name, results in done.items()
            for result in results
        ]
        table(None, rows)
    if failures:
        raise failures[0]


def _megabytes(result: MaintenanceResult) -> str:
    return f"{result.bytes / 1e6:,.1f}" if result.bytes else ""
