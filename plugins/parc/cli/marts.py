"""The marts: built, and the warehouse queried and maintained."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import psycopg
import typer

from parc.cli.printing import Json, dump, progress_bar, table, waiting
from parc.errors import ParcError
from parc.settings import Settings
from parc.warehouse.maintenance import Act

app = typer.Typer()


@app.command()
def build(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Recompute all days.")] = False,
    as_json: Json = False,
) -> None:
    """Build what is published and not yet built, test it, and show it to BI all at once."""
    from parc.build import build as run

    with progress_bar() as advance:
        result = run(Settings.from_env(), full_refresh=full_refresh, progress=advance)
    if as_json:
        dump(vars(result))
    else:
        print(result.message)


@app.command()
def docs() -> None:
    """Describe the dbt project in one page: models, columns, tests, lineage; every night does it too."""
    from parc.build import document
    from parc.build.documentation import page

    settings = Settings.from_env()
    with waiting("describing"):
        made = document(settings)
    print(f"{page(settings)}" + ("" if made else " (the project has not changed since)"))


@app.command()
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Drop raw rows past retention and what dead runs left, prune history and Data Docs, renew statistics."""
    from parc.maintenance import STEPS

    done: dict[str, list[Act]] = {}
    failures: list[ParcError] = []
    for name, step in STEPS.items():
        try:
            done[name] = step(Settings.from_env(), dry_run)
        except ParcError as error:  # one step that must wait holds no other up
            failures.append(error)
    if as_json:
        dump({name: [vars(act) for act in acts] for name, acts in done.items()})
    else:
        rows = [
            {
                "step": name,
                "would do" if dry_run else "did": act.what,
                "count": f"{act.count:,}",
                "MB": _megabytes(act),
            }
            for name, acts in done.items()
            for act in acts
        ]
        table(None, rows)
    if failures:
        raise failures[0]


def _megabytes(act: Act) -> str:
    return f"{act.bytes / 1e6:,.1f}" if act.bytes else ""


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One query.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Query the warehouse, read-only: marts, ledger, everything but the routing numbers."""
    from parc.warehouse import connect

    with connect(Settings.from_env(), "reader") as connection:
        connection.read_only = True
        try:
            cursor = connection.execute(query.encode())
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise ParcError(f"the query failed: {str(error).strip()}") from None
        names = [column.name for column in cursor.description or []]
    if as_json:
        dump([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        table(None, [dict(zip(names, row, strict=True)) for row in rows])
