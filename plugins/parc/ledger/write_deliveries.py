"""What a load writes about its delivery: `ops.delivery`, `ops.quarantine` and `ops.looked_for`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from parc.ledger.deliveries import IS_LOADING, File
from parc.ledger.quarantine import RejectedRow


def land(
    connection: Connection[Any],
    feed: str,
    business_date: date,
    *,
    files: Sequence[File],
    listing: list[list[Any]],
    content_sha256: str,
) -> int:
    """Record a delivery as `landed`; returns its id.

    If an earlier run of this date died, its row is still `landed` or `audited`. That row is reused, so a run
    that is killed and repeated leaves the same ledger as an undisturbed one. The caller holds the date's
    lock.
    """
    values = [Jsonb(files), Jsonb(listing), content_sha256, feed, business_date]
    row = (
        connection.execute(
            "update ops.delivery set status = 'landed', files = %s, listing = %s, content_sha256 = %s, "
            "rows_read = 0, rows_published = 0, rows_quarantined = 0, rows_rejected = 0, warnings = '[]', "
            "audited_at = null, docs_page = null, landed_at = clock_timestamp() "
            f"where feed = %s and business_date = %s and {IS_LOADING} returning delivery_id".encode(),
            values,
        ).fetchone()
        or connection.execute(
            "insert into ops.delivery (status, files, listing, content_sha256, feed, business_date) "
            "values ('landed', %s, %s, %s, %s, %s) returning delivery_id",
            values,
        ).fetchone()
    )
    assert row
    return int(row[0])


def see_again(
    connection: Connection[Any], delivery_id: int, *, files: Sequence[File], listing: list[list[Any]]
) -> None:
    """Note that the same bytes were found again, where and when."""
    connection.execute(
        "update ops.delivery set files = %s, listing = %s, seen_at = clock_timestamp() "
        "where delivery_id = %s",
        [Jsonb(files), Jsonb(listing), delivery_id],
    )


def note_missing(connection: Connection[Any], feed: str, business_date: date) -> None:
    """Note that this delivery was looked for and not found. This may be the first record of its date."""
    connection.execute(
        "insert into ops.looked_for (feed, business_date) values (%s, %s) "
        "on conflict (feed, business_date) do update set looked_at = excluded.looked_at",
        [feed, business_date],
    )


def close_unfinished(connection: Connection[Any], feed: str, business_date: date, reason: str) -> int:
    """Refuse the delivery that a dead run of the date left unfinished; returns how many rows that were, 0 or
    1."""
    return connection.execute(
        "update ops.delivery set status = 'refused', reason = %s, rows_published = 0, "
        f"rows_quarantined = rows_read where feed = %s and business_date = %s and {IS_LOADING}".encode(),
        [reason, feed, business_date],
    ).rowcount


def audit(
    connection: Connection[Any],
    delivery_id: int,
    *,
    rows_read: int,
    rows_rejected: int,
    warnings: Sequence[str],
    measures: Mapping[str, Any],
) -> None:
    """Mark a delivery as loaded and valid, with what its suite measured."""
    connection.execute(
        "update ops.delivery set status = 'audited', audited_at = clock_timestamp(), rows_read = %s, "
        "rows_published = %s, rows_quarantined = %s, rows_rejected = %s, warnings = %s, measures = %s "
        "where delivery_id = %s",
        [
            rows_read,
            rows_read - rows_rejected,
            rows_rejected,
            rows_rejected,
            Jsonb(list(warnings)),
            Jsonb(dict(measures)),
            delivery_id,
        ],
    )


def note_docs_page(connection: Connection[Any], delivery_id: int, page: str) -> None:
    """Record the page in Data Docs with the results of its checks, as a path inside them."""
    connection.execute("update ops.delivery set docs_page = %s where delivery_id = %s", [page, delivery_id])


def publish(
    connection: Connection[Any],
    delivery_id: int,
    *,
    superseded_id: int | None,
    changes: Mapping[str, int] | None,
) -> None:
    """Make an audited delivery the current one of its date. `changes` are the rows added, removed and altered
    compared with the one it replaces."""
    if superseded_id:
        connection.execute(
            "update ops.delivery set status = 'superseded' where delivery_id = %s", [superseded_id]
        )
    connection.execute(
        "update ops.delivery set status = 'published', published_at = clock_timestamp(), changes = %s, "
        "supersedes_delivery_id = %s where delivery_id = %s",
        [Jsonb(dict(changes)) if changes else None, superseded_id, delivery_id],
    )


def refuse(
    connection: Connection[Any],
    delivery_id: int,
    reason: str,
    *,
    rows_read: int,
    rows_rejected: int,
    warnings: Sequence[str],
) -> None:
    """Refuse a delivery as a whole."""
    connection.execute(
        "update ops.delivery set status = 'refused', reason = %s, rows_read = %s, rows_published = 0, "
        "rows_quarantined = %s, rows_rejected = %s, warnings = %s where delivery_id = %s",
        [reason, rows_read, rows_read, rows_rejected, Jsonb(list(warnings)), delivery_id],
    )


def withdraw(connection: Connection[Any], delivery_id: int, reason: str) -> None:
    """Mark a delivery as withdrawn by a person."""
    connection.execute(
        "update ops.delivery set status = 'withdrawn', reason = %s, withdrawn_at = clock_timestamp() "
        "where delivery_id = %s",
        [reason, delivery_id],
    )


def quarantine(connection: Connection[Any], delivery_id: int, rows: Iterable[RejectedRow]) -> None:
    """Keep rejected rows of a delivery."""
    command = (
        "copy ops.quarantine "
        "(delivery_id, file_name, line_number, column_name, reason, row_text, row_columns) from stdin"
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row(
                (
                    delivery_id,
                    row.file_name,
                    row.line_number,
                    row.column_name,
                    row.reason,
                    row.row_text,
                    list(row.row_columns) or None,
                )
            )
