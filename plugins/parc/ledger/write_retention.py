"""What maintenance writes to the ledger: it marks dates past retention and deletes old history.

With `dry_run` nothing is deleted; the counts are those of the rows that would be deleted.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from psycopg import Connection


def expire(connection: Connection[Any], delivery_id: int) -> bool:
    """Mark that retention drops the raw rows of a delivery; False if it is no longer published, or not built
    yet."""
    marked = connection.execute(
        "update ops.delivery set expired_at = clock_timestamp() where delivery_id = %s "
        "and status = 'published' and built_in is not null and expired_at is null",
        [delivery_id],
    )
    return marked.rowcount == 1


def unlink(connection: Connection[Any], feed: str, business_date: date) -> None:
    """Mark that the facts of a date have lost their person keys."""
    connection.execute(
        "update ops.delivery set unlinked_at = clock_timestamp() "
        "where feed = %s and business_date = %s and status = 'published'",
        [feed, business_date],
    )


def delete_quarantine(connection: Connection[Any], feed: str, last: date, *, dry_run: bool) -> int:
    """Delete the rejected rows of a feed's dates up to the last; returns how many."""
    condition = (
        "delivery_id in (select delivery_id from ops.delivery where feed = %(feed)s "
        "and business_date <= %(last)s)"
    )
    return _delete(connection, "ops.quarantine", condition, {"feed": feed, "last": last}, dry_run)


def delete_history(connection: Connection[Any], span: timedelta, *, dry_run: bool) -> dict[str, int]:
    """Delete what builds and runs did longer ago than `span`, counted back from the newest of them; returns
    the number of rows by table.

    For each date that builds recomputed, the newest build stays, as it shows which dates are known. Numbers
    assigned by hand are deleted if they were replaced or ended that long ago.
    """
    old_build = (
        "build_id in (select build_id from ops.build where status <> 'running' "
        "and build_id < (select coalesce(max(build_id), 0) from ops.build where status = 'published') "
        "and started_at < (select max(started_at) from ops.build) - %(span)s)"
    )
    conditions = {
        "ops.build_node": old_build,
        "ops.build_delivery": old_build,
        "ops.build_date": f"{old_build} and exists (select from ops.build_date as newer "
        "where newer.feed = build_date.feed and newer.business_date = build_date.business_date "
        "and newer.build_id > build_date.build_id)",
        "ops.looked_for": "looked_at < (select max(looked_at) from ops.looked_for) - %(span)s",
        # Counted from the newest delivery, because years may pass between assignments by hand.
        "routing.urgent_assignment": "at < (select max(landed_at) from ops.delivery) - %(span)s "
        "and (zone_code is null or exists (select from routing.urgent_assignment as later "
        "where later.number = urgent_assignment.number "
        "and later.assignment_id > urgent_assignment.assignment_id))",
        "ops.airflow_run": "at < (select max(at) from ops.airflow_run) - %(span)s",
        "ops.number_question": "at < (select max(at) from ops.number_question) - %(span)s",
        "ops.notice": "at < (select max(at) from ops.notice) - %(span)s",
        "ops.finding_answer": "until < (select max(until) from ops.finding_answer) - %(span)s",
    }
    return {
        table: _delete(connection, table, condition, {"span": span}, dry_run)
        for table, condition in conditions.items()
    }


def _delete(
    connection: Connection[Any], table: str, condition: str, values: dict[str, Any], dry_run: bool
) -> int:
    if dry_run:
        query = f"select count(*) from {table} where {condition}"
        row = connection.execute(query.encode(), values).fetchone()
        return int(row[0]) if row else 0
    return connection.execute(f"delete from {table} where {condition}".encode(), values).rowcount
