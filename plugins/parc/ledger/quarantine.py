"""Rows of deliveries that broke a rule. Read from `ops.quarantine`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from parc.ledger.deliveries import IS_NEITHER_REPLACED_NOR_WITHDRAWN, Status


@dataclass(frozen=True)
class RejectedRow:
    """A row that broke a rule: its place, the rule, and its text with personal columns masked."""

    file_name: str
    line_number: int
    column_name: str | None
    reason: str
    row_text: str | None


@dataclass(frozen=True)
class RejectedRows:
    """Rows of one delivery that broke the same rule; `first_file` and `first_line` locate the first.
    `rows_rejected` is how many rows of the delivery broke any rule: of a refused one, only the first are in
    quarantine."""

    delivery_id: int
    feed: str
    business_date: date
    status: Status
    column_name: str | None
    reason: str
    row_count: int
    first_file: str
    first_line: int
    rows_rejected: int


@dataclass(frozen=True)
class RejectedRowOfDelivery(RejectedRow):
    """A row that broke a rule, and the delivery that it came with."""

    delivery_id: int
    feed: str
    business_date: date
    status: Status


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
                (array_agg(file_name order by file_name, line_number))[1] as first_file,
                (array_agg(line_number order by file_name, line_number))[1] as first_line,
                rows_rejected
            {_HELD}
            group by delivery_id, feed, business_date, status, column_name, held.reason, rows_rejected
            order by delivery_id desc, row_count desc, held.reason
            """.encode(),
            {"feed": feed, "day": business_date},
        ).fetchall()


def rows(connection: Connection[Any], delivery_id: int, limit: int) -> list[RejectedRow]:
    """The rows of a delivery that broke a rule, in the order of its files; at most `limit`."""
    with connection.cursor(row_factory=class_row(RejectedRow)) as cursor:
        return cursor.execute(
            "select file_name, line_number, column_name, reason, row_text from ops.quarantine "
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
                file_name, line_number, column_name, held.reason, row_text
            {_HELD}
                and (%(reason)s::text is null or held.reason = %(reason)s)
            order by delivery_id desc, file_name, line_number
            limit %(limit)s
            """.encode(),
            {"feed": feed, "day": business_date, "reason": reason, "limit": limit},
        ).fetchall()
