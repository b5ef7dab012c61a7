"""Query the warehouse."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from itertools import count
from typing import Annotated, Any

import psycopg
import typer
from psycopg.abc import Buffer, Loader
from psycopg.types import datetime as moments

from parc.cli.printing import Json, dump, grid, table
from parc.errors import ParcError
from parc.instants import iso
from parc.printable import csv_cell
from parc.settings import Settings

app = typer.Typer()
MOMENTS: dict[str, type[Loader]] = {
    "date": moments.DateLoader,
    "time": moments.TimeLoader,
    "timetz": moments.TimetzLoader,
    "timestamp": moments.TimestampLoader,
    "timestamptz": moments.TimestamptzLoader,
    "interval": moments.IntervalLoader,
}


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A single query.")],
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print CSV; formulas become text."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Query the warehouse, read-only: marts, ledger and everything else except the routing numbers
    and the directorates' views (schema regional)."""
    from parc.warehouse import connect

    with connect(Settings.from_env(), "reader") as connection:
        connection.read_only = True
        for name, loader in MOMENTS.items():
            connection.adapters.register_loader(name, or_text(loader))
        try:
            cursor = connection.execute(query.encode())
            found = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise ParcError(f"the query failed: {str(error).strip()}") from None
        rows = [
            [iso(value, "auto") if isinstance(value, datetime) else value for value in row] for row in found
        ]
        names = distinct([column.name for column in cursor.description or []])
    if as_json:
        dump([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(csv_cell, names))
        writer.writerows(map(csv_cell, row) for row in rows)
    elif rows:
        grid(None, names, rows)
    else:
        table(None, [])


def distinct(names: list[str]) -> list[str]:
    """Make column names unique with `_2`, `_3`, ...: (sum, sum) becomes (sum, sum_2)."""
    taken: list[str] = []
    for name in names:
        others = (f"{name}_{number}" for number in count(2))
        free = (each for each in others if each not in taken and each not in names)
        taken.append(next(free) if name in taken else name)
    return taken


def or_text(loader: type[Loader]) -> type[Loader]:
    """The loader, except that values Python cannot represent (infinity, the year 10000) stay text."""

    class OrText(loader):  # type: ignore[misc, valid-type]
        def load(self, data: Buffer) -> Any:
            try:
                return super().load(data)
            except psycopg.DataError:
                return bytes(data).decode()

    return OrText
