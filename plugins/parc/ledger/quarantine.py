"""Rows of deliveries that broke a rule. Read from `ops.quarantine`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.ledger.deliveries import IS_NEITHER_REPLACED_NOR_WITHDRAWN, DeliveryStatus
from parc.wording import counted


@dataclass(frozen=True)
class RejectedRow:
    """A row that broke a rule: its place, the rule, and its text with personal columns masked. `row_columns`
    are those of the text, none where it is masked as a whole, or was kept by an earlier version."""

    file_name: str
    line_number: int
    column_name: str | None
    reason: str
    row_text: str | None
    row_columns: Sequence[str]

    @property
    def cells(self) -> list[tuple[str, str, bool]]:
        """Each column of the row, its value, and whether it is the one that broke the rule."""
        values = next(csv.reader(io.StringIO(self.row_text or "", newline="")), [])
        named = zip(self.row_columns, values, strict=False)  # a long text is cut
        return [(name, value, name == self.column_name) for name, value in named]


@dataclass(frozen=True)
class RejectedRows:
    """Rows of one delivery that broke the same rule; `first_file` and `first_line` locate the first. Of a
    refused delivery only the first rows are kept: `rows_rejected` are all that broke a rule of the delivery,
    `rows_kept` those that are there."""

    delivery_id: int
    feed: str
    business_date: date
    status: DeliveryStatus
    column_name: str | None
    reason: str
    row_count: int
    rows_rejected: int
    rows_kept: int
    first_file: str
    first_line: int


@dataclass(frozen=True)
class RejectedRowOfDelivery(RejectedRow):
    """A row that broke a rule, and the delivery that it came with."""

    delivery_id: int
    feed: str
    business_date: date
    status: DeliveryStatus


_HELD = f"""
    from ops.quarantine as held
    inner join ops.delivery using (delivery_id)
    where {IS_NEITHER_REPLACED_NOR_WITHDRAWN}
        and (%(feed)s::text is null or feed = %(feed)s)
        and (%(day)s::date is null or business_date = %(day)s)
"""


def by_rule(
    connection: Connection[Any], feed: str | None = None, business_date: date | None = None
) -> list[RejectedRows]:
    """What is in quarantine, by delivery and rule, the newest delivery first; without deliveries that were
    replaced or withdrawn."""
    with connection.cursor(row_factory=class_row(RejectedRows)) as cursor:
        return cursor.execute(
            f"""
            select
                delivery_id,
                feed,
                business_date,
                status,
                column_name,
                held.reason,
                count(*) as row_count,
                rows_rejected,
                (sum(count(*)) over (partition by delivery_id))::bigint as rows_kept,
                -- a minimum needs no sort: of half a million rows that takes seconds
                (min(array[file_name, lpad(line_number::text, 19, '0')]))[1] as first_file,
                (min(array[file_name, lpad(line_number::text, 19, '0')]))[2]::bigint as first_line
            {_HELD}
            group by delivery_id, feed, business_date, status, rows_rejected, column_name, held.reason
            order by delivery_id desc, row_count desc, held.reason
            """.encode(),
            {"feed": feed, "day": business_date},
        ).fetchall()


def count(connection: Connection[Any], delivery_id: int) -> int:
    """How many rows of a delivery that broke a rule are kept."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("select count(*) from ops.quarantine where delivery_id = %s", [delivery_id])
        return int(cursor.fetchone() or 0)


def shown(first: int, kept: int, rejected: int) -> str:
    """Which rows that broke a rule are shown, of those `kept` of all that were `rejected`."""
    if first == rejected:
        return f"{counted(rejected, 'row')} broke a rule"
    text = f"the first {first:,} of {counted(rejected, 'row')} that broke a rule"
    if first < kept:
        return f"{text}, of which {kept:,} are kept" if kept < rejected else text
    return f"{text} (of a refused delivery no more are kept)"


def rows(connection: Connection[Any], delivery_id: int, limit: int) -> list[RejectedRow]:
    """The rows of a delivery that broke a rule, in the order of its files; at most `limit`."""
    with connection.cursor(row_factory=class_row(RejectedRow)) as cursor:
        return cursor.execute(
            "select file_name, line_number, column_name, reason, row_text, "
            "coalesce(row_columns, '{}') as row_columns from ops.quarantine "
            "where delivery_id = %s order by file_name, line_number limit %s",
            [delivery_id, limit],
        ).fetchall()


def rows_across_feeds(
    connection: Connection[Any],
    *,
    feed: str | None,
    business_date: date | None,
    reason: str | None,
    limit: int,
) -> list[RejectedRowOfDelivery]:
    """Rows that broke a rule, the newest delivery first and each in the order of its files; at most `limit`.
    Without deliveries that were replaced or withdrawn."""
    with connection.cursor(row_factory=class_row(RejectedRowOfDelivery)) as cursor:
        return cursor.execute(
            f"""
            select
                delivery_id, feed, business_date, status,
                file_name, line_number, column_name, held.reason, row_text,
                coalesce(row_columns, '{{}}') as row_columns
            {_HELD}
                and (%(reason)s::text is null or held.reason = %(reason)s)
            order by delivery_id desc, file_name, line_number
            limit %(limit)s
            """.encode(),
            {"feed": feed, "day": business_date, "reason": reason, "limit": limit},
        ).fetchall()
