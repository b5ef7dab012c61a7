"""Fetches the rows that broke a node of a build, after it has failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg

from parc.feeds import FEEDS, Derivation
from parc.numbers import masked

ROWS_SHOWN = 5
TEST_SECONDS, MODEL_SECONDS = 5, 30
PSEUDONYMS = {
    column.name
    for feed in FEEDS.values()
    for column in feed.derived_columns
    if column.by in (Derivation.KEY, Derivation.IDENTITY)
} | {"identity_key"}
SHOWN_OF_A_PSEUDONYM = 6
"""Characters of a pseudonym shown in messages: enough to distinguish two persons, too few to look one up."""

_PSEUDONYM = re.compile(
    r"\b([0-9a-f]{6})[0-9a-f]{2}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|(?<![\w.-])(-?[0-9]{6})[0-9]{9,13}(?![\w.])"
)
# Columns that identify a row of a mart; those that a constraint names are shown beside them.
PLACES = ("business_date", "directorate_code", "region_code", "market", "kind", "figure")


@dataclass(frozen=True)
class FailingRows:
    """The first rows that broke a node, None if unknown; `is_by_data` is false if the node's SQL is wrong
    whatever the data."""

    rows: list[dict[str, Any]] | None
    is_by_data: bool = True

    @property
    def shown(self) -> list[dict[str, Any]] | None:
        """The rows, with telephone numbers masked and pseudonyms shortened."""
        if self.rows is None:
            return None
        return [{name: _shown(name, value) for name, value in row.items()} for row in self.rows]


def without_persons(text: str) -> str:
    """Mask telephone numbers and shorten pseudonyms, which a database error may contain."""
    return _PSEUDONYM.sub(lambda found: f"{found[1] or found[2]}…", masked(text))


def _shown(name: str, value: Any) -> Any:
    if name in PSEUDONYMS and value is not None:
        return f"{str(value)[:SHOWN_OF_A_PSEUDONYM]}…"
    if isinstance(value, dict):
        return {inner: _shown(inner, each) for inner, each in value.items()}
    if isinstance(value, list):
        return [_shown(name, each) for each in value]
    return without_persons(value) if isinstance(value, str) else value


def of_test(connection: psycopg.Connection[Any], query: str) -> FailingRows:
    """The rows that a data test returns."""
    return _ask(connection, f"select to_json(failing) from (\n{query}\n) as failing", TEST_SECONDS)


def of_each(connection: psycopg.Connection[Any], query: str) -> dict[str, tuple[int, FailingRows]] | None:
    """By model, how many rows a test of many models returns, and the first of them; None if the query fails.
    Its rows are `asserted_of`, the model's name, and `failing_row`."""
    found = _ask(
        connection,
        f"select json_build_array(asserted_of, count(*), to_json((array_agg(failing_row))[:{ROWS_SHOWN}])) "
        f"from (\n{query}\n) as failing group by asserted_of",
        TEST_SECONDS,
        most=None,
    )
    if found.rows is None:
        return None
    triples: list[Any] = found.rows
    return {name: (count, FailingRows(rows)) for name, count, rows in triples}


def of_model(connection: psycopg.Connection[Any], query: str, demands: dict[str, str]) -> FailingRows:
    """The rows of a model that break its contract; `demands` are its conditions in SQL.

    Each row shows the columns that identify it and the conditions that it breaks.
    """
    breaks = [f"({condition}) is false" for condition in demands.values()]
    if not breaks:
        return FailingRows(None)
    found = _ask(
        connection,
        f"select json_build_array(to_json(failing), array[{', '.join(breaks)}]) "
        f"from (\n{query}\n) as failing where {' or '.join(breaks)}",
        MODEL_SECONDS,
    )
    if not found.rows:
        return FailingRows(None, found.is_by_data)
    kept = {feed.identifier for feed in FEEDS.values()} | set(PLACES)
    pairs: list[Any] = found.rows
    for _, is_broken in pairs:
        for condition, breaks_it in zip(demands.values(), is_broken, strict=True):
            kept |= set(re.findall(r"\w+", condition)) if breaks_it else set()
    return FailingRows([{name: row[name] for name in row if name in kept} for row, _ in pairs])


def columns(connection: psycopg.Connection[Any], query: str) -> dict[str, str] | None:
    """The columns of a query with their types; None if it cannot be run."""
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            made = connection.execute(f"select * from (\n{query}\n) as made limit 0".encode())
    except psycopg.Error:
        return None
    return {column.name: column.type_display for column in made.description or []}


def _ask(
    connection: psycopg.Connection[Any], query: str, seconds: int, most: int | None = ROWS_SHOWN
) -> FailingRows:
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            connection.execute(f"set local statement_timeout = '{seconds}s'".encode())
            rows = connection.execute(f"{query} limit {most or 'all'}".encode())
            return FailingRows([row[0] for row in rows])
    except (psycopg.errors.QueryCanceled, psycopg.errors.ProgramLimitExceeded, psycopg.DataError):
        return FailingRows(None)  # too slow, or broken for the same reason as the node
    except psycopg.ProgrammingError:
        return FailingRows(None, is_by_data=False)
