"""Compares a restatement with the delivery it replaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from parc.feeds import Feed
from parc.warehouse.partitions import Table
from parc.wording import counted


@dataclass(frozen=True)
class Changes:
    """How a restatement differs from the delivery it supersedes; rows are matched by key."""

    rows_added: int
    rows_removed: int
    rows_altered: int

    def __str__(self) -> str:
        added = counted(self.rows_added, "row")
        return f"{added} added, {self.rows_removed:,} removed, {self.rows_altered:,} altered"


def compare(connection: Connection[Any], feed: Feed, old: Table, new: Table) -> Changes:
    """Compare two deliveries of one date; the position of rows in their files does not matter."""
    values = [column.name for column in feed.row_columns if column.name not in feed.stored_key]
    row = connection.execute(
        sql.SQL(
            "select count(*) filter (where old.business_date is null), "
            "count(*) filter (where new.business_date is null), "
            "count(*) filter (where old.business_date = new.business_date and ({}) is distinct from ({})) "
            "from {} as old full join {} as new using ({})"
        ).format(
            _names("old", values),
            _names("new", values),
            old.identifier,
            new.identifier,
            sql.SQL(", ").join(map(sql.Identifier, feed.stored_key)),
        )
    ).fetchone()
    assert row
    return Changes(*row)


def _names(table: str, names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)
