"""Figures of the marts on a page: each is one query, shown as a chart, as a table and as CSV.

All three have the same rows.
"""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from io import StringIO
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from psycopg import Connection, IsolationLevel
from psycopg.rows import dict_row

from parc.instants import PARIS
from parc.ledger import builds
from parc.printable import csv_cell
from parc.settings import Settings
from parc.ui import vega
from parc.ui.html import chart_policy, page
from parc.ui.language import NOTHING, Texts
from parc.warehouse import connect

FigureRow = dict[str, Any]
Spec = dict[str, Any]
QueryParameters = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """Figures of one grain. `name` is their name in addresses and texts. `columns` are those of the query to
    show, each with its kind: how it is written (`FORMATS`), or else the place of the texts of its codes.

    `draw` makes the chart of the rows, in Vega-Lite; None where they are better read in the table. Of a query
    of several figures, `metric` says which of its rows are this one's.
    """

    name: str
    query: str
    columns: Mapping[str, str]
    draw: Callable[[list[FigureRow], Texts], Spec | None]
    metric: str | None = None

    def own(self, rows: list[FigureRow]) -> list[FigureRow]:
        """Its rows among those of its query."""
        return rows if self.metric is None else [row for row in rows if row["metric"] == self.metric]


@dataclass(frozen=True)
class Shown:
    """A figure with its rows, in a language."""

    figure: Figure
    rows: list[FigureRow]
    texts: Texts
    query: str
    """What of the page's address leads to the same rows."""

    @cached_property
    def spec(self) -> Spec | None:
        """The chart; None where there is none to draw."""
        return self.figure.draw(self.rows, self.texts) if self.rows else None

    @cached_property
    def heads(self) -> list[tuple[str, bool]]:
        """The head of each column of the table, and whether it is one of numbers."""
        return [
            (self.texts(f"columns.{name}"), kind in NUMBERS) for name, kind in self.figure.columns.items()
        ]

    @property
    def cells(self) -> Iterable[list[tuple[str, bool]]]:
        """The table's rows, written in the language; of each cell whether it is a number."""
        columns = [(name, kind, kind in NUMBERS) for name, kind in self.figure.columns.items()]
        for row in self.rows:
            yield [(written(self.texts, row[name], kind), is_number) for name, kind, is_number in columns]

    def as_csv(self) -> str:
        """The rows as CSV, values as in the marts."""
        text = StringIO()
        writer = csv.writer(text)
        writer.writerow(self.figure.columns)
        for row in self.rows:
            writer.writerow([csv_cell(row[name]) for name in self.figure.columns])
        return text.getvalue()


UNKNOWN_PLACE = "Unknown"
"""What the dimensions call a region or directorate that is not known."""
FORMATS: dict[str, Callable[[Texts, Any], str]] = {
    "text": lambda texts, value: str(value),
    "place": lambda texts, value: texts("page.unknown_place") if value == UNKNOWN_PLACE else str(value),
    "date": lambda texts, value: texts.day(value),
    "instant": lambda texts, value: f"{value.astimezone(PARIS):%Y-%m-%d %H:%M}",
    "time": lambda texts, value: f"{value:%H:%M}",
    "count": lambda texts, value: texts.number(value),
    "seconds": lambda texts, value: texts.number(value, 1),
    "reason": lambda texts, value: texts.at("reason").get(value, value),
    "effect": lambda texts, value: texts.number(value, 4),
    "decimal": lambda texts, value: texts.number(value, 2),
    "share": lambda texts, value: texts.share(value),
    "flag": lambda texts, value: texts("format.yes" if value else "format.no"),
}
NUMBERS = ("count", "seconds", "decimal", "effect", "share")


def written(texts: Texts, value: Any, kind: str) -> str:
    """A value of a mart for people: by its format, or the text of its code."""
    if value is None:
        return NOTHING
    return FORMATS[kind](texts, value) if kind in FORMATS else texts(f"{kind}.{value}")


class Marts:
    """The published marts, for as long as one page is made: a query that is asked for twice is run once."""

    def __init__(self, connection: Connection[Any], parameters: QueryParameters) -> None:
        """`parameters` are those of all queries; more may be added until one is run that needs them."""
        self.parameters = dict(parameters)
        self.connection = connection
        self.is_built = builds.published(connection) is not None
        self._cursor = connection.cursor(row_factory=dict_row)
        self._found: dict[str, list[FigureRow]] = {}

    def rows(self, query: str) -> list[FigureRow]:
        """The rows of a query; none while no build is published."""
        if query not in self._found and self.is_built:
            self._found[query] = self._cursor.execute(query.encode(), self.parameters).fetchall()
        return self._found.get(query, [])

    def show(self, figures: Iterable[Figure], texts: Texts, address_query: str = "") -> dict[str, Shown]:
        """These figures with their rows, by name."""
        return {
            figure.name: Shown(figure, figure.own(self.rows(figure.query)), texts, address_query)
            for figure in figures
        }

    def download(self, figure: Figure, texts: Texts) -> Response:
        """The figure as a file of CSV."""
        return attached(self.show([figure], texts)[figure.name])


@contextmanager
def marts(settings: Settings, parameters: QueryParameters) -> Iterator[Marts]:
    """The marts as they are at one moment, read as `parc_reader`.

    Raises ConfigurationError if the warehouse cannot be reached.
    """
    with connect(settings, "reader") as connection:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        yield Marts(connection, parameters)


def attached(shown: Shown) -> Response:
    """A figure as a file of CSV."""
    headers = {"Content-Disposition": f'attachment; filename="{shown.figure.name}.csv"'}
    return Response(shown.as_csv(), media_type="text/csv; charset=utf-8", headers=headers)


def one(figures: Iterable[Figure], name: str) -> Figure:
    """The figure of this name.

    Raises HTTPException (404) if there is none.
    """
    for figure in figures:
        if figure.name == name:
            return figure
    raise HTTPException(HTTPStatus.NOT_FOUND, f"There are no figures {name}.")


def chart_page(request: Request, template: str, texts: Texts, **values: Any) -> HTMLResponse:
    """A page with charts: it may also run the chart library, which bears a number of this answer alone."""
    nonce = secrets.token_urlsafe(16)
    base = request.scope.get("root_path", "")
    library = f"{base}/charts/{vega.NAME}"
    answer = page(request, template, t=texts, nonce=nonce, library=library, **values)
    answer.headers["Content-Security-Policy"] = chart_policy(nonce)
    return answer
