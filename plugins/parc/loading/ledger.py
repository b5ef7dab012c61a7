"""The ledger: one row per delivery in `ops.delivery`, its rejected rows in `ops.quarantine`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from parc.loading.changes import Changes
from parc.loading.landing import Delivery
from parc.loading.rows import Rejected
from parc.numbers import remark


@dataclass(frozen=True)
class Published:
    """The current delivery of a feed and a date."""

    delivery_id: int
    content_sha256: str
    rows_read: int
    rows_published: int
    rows_quarantined: int
    listing: list[list[Any]] | None


def published(connection: Connection[Any], feed: str, business_date: date) -> Published | None:
    """The delivery that is published for the date."""
    row = connection.execute(
        "select delivery_id, content_sha256, rows_read, rows_published, rows_quarantined, listing "
        "from ops.delivery where feed = %s and business_date = %s and status = 'published'",
        [feed, business_date],
    ).fetchone()
    return Published(*row) if row else None


def land(connection: Connection[Any], feed: str, business_date: date, delivery: Delivery) -> int:
    """Enter the delivery as `landed`; returns its id.

    A run of this date that died left its row `landed` or `audited`: that row is taken over, so that a run
    killed and repeated leaves the same ledger as one undisturbed. The caller holds the date's lock.
    """
    values = [_files(delivery), Jsonb(delivery.listing), delivery.content_sha256, feed, business_date]
    row = (
        connection.execute(
            "update ops.delivery set status = 'landed', files = %s, listing = %s, content_sha256 = %s, "
            "rows_read = 0, "
            "rows_published = 0, rows_quarantined = 0, rows_rejected = 0, warnings = '[]', "
            "audited_at = null, landed_at = clock_timestamp() "
            "where feed = %s and business_date = %s and status in ('landed', 'audited') "
            "returning delivery_id",
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


def see_again(connection: Connection[Any], delivery_id: int, delivery: Delivery) -> None:
    """Note that the same bytes lie there, where and when."""
    connection.execute(
        "update ops.delivery set files = %s, listing = %s, seen_at = clock_timestamp() "
        "where delivery_id = %s",
        [_files(delivery), Jsonb(delivery.listing), delivery_id],
    )


def newest_expired_date(connection: Connection[Any], feed: str) -> date | None:
    """The newest date of which retention has dropped the raw rows; all before it are past retention too."""
    row = connection.execute(
        "select max(business_date) from ops.delivery where feed = %s and expired_at is not null", [feed]
    ).fetchone()
    return row[0] if row else None


def note_missing(connection: Connection[Any], feed: str, business_date: date) -> None:
    """Note that this delivery was looked for in vain: a gap that no other delivery's date would tell."""
    connection.execute(
        "insert into ops.looked_for (feed, business_date) values (%s, %s) "
        "on conflict (feed, business_date) do update set looked_at = excluded.looked_at",
        [feed, business_date],
    )


def abandon(connection: Connection[Any], feed: str, business_date: date) -> None:
    """Close the row that a dead run of the date left, where this run does not take it over."""
    connection.execute(
        "update ops.delivery set status = 'refused', reason = %s, "
        "rows_published = 0, rows_quarantined = rows_read "
        "where feed = %s and business_date = %s and status in ('landed', 'audited')",
        [
            "its run was interrupted, and the files that lie there now are others",
            feed,
            business_date,
        ],
    )


def audit(
    connection: Connection[Any],
    delivery_id: int,
    read: int,
    rejected: int,
    warnings: Sequence[str],
    measures: Mapping[str, Any],
) -> None:
    """Mark the delivery as loaded aside and found good, with what was measured of it."""
    connection.execute(
        "update ops.delivery set status = 'audited', audited_at = clock_timestamp(), rows_read = %s, "
        "rows_published = %s, rows_quarantined = %s, rows_rejected = %s, warnings = %s, measures = %s "
        "where delivery_id = %s",
        [
            read,
            read - rejected,
            rejected,
            rejected,
            Jsonb(list(warnings)),
            Jsonb(dict(measures)),
            delivery_id,
        ],
    )


def publish(
    connection: Connection[Any], delivery_id: int, superseded: Published | None, changes: Changes | None
) -> None:
    """Make an audited delivery the current one of its date."""
    if superseded:
        connection.execute(
            "update ops.delivery set status = 'superseded' where delivery_id = %s", [superseded.delivery_id]
        )
    connection.execute(
        "update ops.delivery set status = 'published', published_at = clock_timestamp(), changes = %s, "
        "supersedes_delivery_id = %s where delivery_id = %s",
        [
            Jsonb(asdict(changes)) if changes else None,
            superseded.delivery_id if superseded else None,
            delivery_id,
        ],
    )


def refuse(
    connection: Connection[Any],
    delivery_id: int,
    reason: str,
    read: int,
    rejected: int,
    warnings: Sequence[str],
) -> None:
    """Hold the delivery back as a whole."""
    connection.execute(
        "update ops.delivery set status = 'refused', reason = %s, rows_read = %s, rows_published = 0, "
        "rows_quarantined = %s, rows_rejected = %s, warnings = %s where delivery_id = %s",
        [reason, read, read, rejected, Jsonb(list(warnings)), delivery_id],
    )


def withdraw(connection: Connection[Any], delivery_id: int, reason: str) -> None:
    """Mark the delivery as taken back by a person, for this reason."""
    connection.execute(
        "update ops.delivery set status = 'withdrawn', reason = %s, withdrawn_at = clock_timestamp() "
        "where delivery_id = %s",
        [remark(reason), delivery_id],
    )


def withdrawn(
    connection: Connection[Any], feed: str, business_date: date, content_sha256: str
) -> tuple[int, str] | None:
    """A delivery of these bytes that was taken back (the newest): its id and the reason."""
    return connection.execute(
        "select delivery_id, reason from ops.delivery where feed = %s and business_date = %s "
        "and content_sha256 = %s and status = 'withdrawn' order by delivery_id desc limit 1",
        [feed, business_date, content_sha256],
    ).fetchone()


def quarantine(connection: Connection[Any], delivery_id: int, rows: Iterable[Rejected]) -> None:
    """Keep rejected rows: where they stand, which rule they broke, their masked text."""
    command = (
        "copy ops.quarantine (delivery_id, file_name, line_number, column_name, reason, row_text) from stdin"
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row((delivery_id, row.file_name, row.line, row.column, row.reason, row.text))


def _files(delivery: Delivery) -> Jsonb:
    return Jsonb(
        [
            {"name": file.name, "uri": file.uri, "bytes": file.bytes, "sha256": file.sha256}
            for file in delivery.files
        ]
    )
