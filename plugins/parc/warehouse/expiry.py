"""Drops raw rows past retention: each feed keeps a number of business dates, then their partitions are
dropped.

Every function may be killed and run again. With `dry_run` it changes nothing and returns what it would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from psycopg import Connection, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from parc.errors import Busy
from parc.feeds import FEEDS, Feed, Keeping
from parc.ledger import builds, deliveries, locks, retention, write_retention
from parc.ledger.deliveries import Delivery
from parc.settings import Settings
from parc.warehouse import partitions
from parc.warehouse.connections import connect
from parc.warehouse.maintenance import MaintenanceResult, size_of


class _CannotExpire(Exception):
    """A date must be kept for now; the message says why."""


def expire_raw(
    settings: Settings, *, feeds: Iterable[Feed] = tuple(FEEDS.values()), dry_run: bool = False
) -> list[MaintenanceResult]:
    """Drop the raw and quarantined rows of dates past each feed's retention.

    Dates go in order, and none before an older one: a date that is not built yet, is being loaded, or whose
    figures still wait for a date within retention holds back itself and all later ones. A snapshot is kept
    while it governs a date that is kept. Nothing is dropped unless the last build was published. Retention
    counts back from the newest date that counts (`ledger.retention`); later ones are reported.

    Raises Busy if a build is reading the raw tables or a query locks one of them.
    """
    results: list[MaintenanceResult] = []
    expired: dict[str, date | None] = {}
    with (
        connect(settings, "reader", autocommit=True) as reader,
        connect(settings, "loader", autocommit=True) as connection,
    ):
        for feed in sorted(feeds, key=lambda feed: bool(feed.governs)):  # facts first
            expired[feed.name] = deliveries.newest_expired_date(reader, feed.name)
            if feed.retention.days is None:
                continue
            days = timedelta(days=feed.retention.days)
            newest, strays = retention.counted_from(reader, feed.name, feed.retention.days)
            if strays and retention.kept_up_to(reader, feed.name, strays[-1] - days):
                results.append(
                    MaintenanceResult(
                        f"{feed.name}: retention does not count back from {strays[-1]}, as too few dates "
                        "before it are published; if it is wrong, withdraw it with `parc withdraw`",
                        len(strays),
                    )
                )
            limit = _limit(reader, feed, newest and newest - days, expired)
            due = retention.kept_up_to(reader, feed.name, limit) if limit else []
            waiting = _dates_that_wait(reader, feed, limit) if limit else set()
            count = size = 0
            try:
                for delivery in due:
                    if delivery.built_in is None or delivery.business_date in waiting:
                        raise _CannotExpire("it is not built yet or waits for other dates")
                    size += _size(reader, feed, delivery) if dry_run else _expire(connection, feed, delivery)
                    count, expired[feed.name] = count + 1, delivery.business_date
            except _CannotExpire as why:
                results.append(
                    MaintenanceResult(
                        f"{feed.name}: held back from {delivery.business_date}, {why}", len(due) - count
                    )
                )
            except Busy as busy:
                done = "; ".join(
                    map(str, [*results, MaintenanceResult(f"{feed.name}: dates expired", count, size)])
                )
                raise Busy(f"{busy.text}. Done so far: {done}") from None
            results.append(MaintenanceResult(f"{feed.name}: expired up to {expired[feed.name]}", count, size))
            results += _forget(connection, feed, expired[feed.name], dry_run)
    return [result for result in results if result.count]


def _limit(
    connection: Connection[Any], feed: Feed, limit: date | None, expired: Mapping[str, date | None]
) -> date | None:
    """The newest date that may be dropped: `limit`, or for a snapshot the last one that governs no kept date;
    None if there is none.

    `expired` has the newest expired date of each fact feed.
    """
    for fact in feed.governs if limit else ():
        expired_date = expired.get(fact) or deliveries.newest_expired_date(connection, fact)
        if expired_date is None:
            return None
        # The next date is the earliest that is kept or not yet due.
        in_force = deliveries.published_before(connection, feed.name, expired_date + timedelta(days=2))
        if in_force is None:
            return None
        assert limit
        limit = min(limit, in_force.business_date - timedelta(days=1))
    return limit


def _dates_that_wait(connection: Connection[Any], feed: Feed, limit: date) -> set[date]:
    """Dates up to the limit whose figures are still waiting for other dates."""
    row = connection.execute("select to_regclass('marts.mart_finality_daily') is not null").fetchone()
    if not (row and row[0]):
        return set()
    # A window that ended before the limit can no longer be completed: deliveries for it would be refused.
    rows = connection.execute(
        "select business_date from marts.mart_finality_daily "
        "inner join reference.figure_windows using (figure_window) "
        "where feed = %s and business_date <= %s and status = 'provisional' and final_on > %s",
        [feed.name, limit, limit],
    )
    return {day for (day,) in rows}


def _expire(connection: Connection[Any], feed: Feed, delivery: Delivery) -> int:
    """Drop the date's partition and mark its delivery; returns the bytes dropped.

    It locks readers out of the parent until the end of the transaction, which is short. Raises _CannotExpire.
    """
    try:
        for attempt in partitions.attempts():
            with attempt, connection.transaction():
                connection.execute(f"set local lock_timeout = '{partitions.LOCK_PATIENCE}'".encode())
                locks.keep_builds_out(connection)
                if not builds.is_last_published(connection):
                    raise _CannotExpire("the last build was not published")
                if not locks.try_keep(connection, locks.of_load(feed.name, delivery.business_date)):
                    raise _CannotExpire("it is being loaded")
                if not write_retention.expire(connection, delivery.delivery_id):
                    raise _CannotExpire("it was loaded again in the meantime")
                size = _size(connection, feed, delivery)
                if feed.keeping is not Keeping.RANGES:
                    table = partitions.delivery_table(feed, delivery.business_date, delivery.delivery_id)
                    connection.execute(sql.SQL("drop table if exists {}").format(table.identifier))
    except (LockNotAvailable, DeadlockDetected) as error:
        raise Busy(
            f"{feed.name} {delivery.business_date}: a query locks the raw table "
            f"({str(error).splitlines()[0]})"
        ) from None
    return size


def _size(connection: Connection[Any], feed: Feed, delivery: Delivery) -> int:
    if feed.keeping is Keeping.RANGES:
        return 0
    return size_of(connection, partitions.delivery_table(feed, delivery.business_date, delivery.delivery_id))


def _forget(
    connection: Connection[Any], feed: Feed, expired: date | None, dry_run: bool
) -> Sequence[MaintenanceResult]:
    """Delete what else is kept for dates up to `expired`: quarantined rows, and ranges that ended by then."""
    if expired is None:
        return ()
    count = write_retention.delete_quarantine(connection, feed.name, expired, dry_run=dry_run)
    results = [MaintenanceResult(f"{feed.name}: quarantined rows deleted", count)]
    if feed.keeping is Keeping.RANGES:
        with connection.transaction():
            locks.keep(connection, locks.RANGES)
            kept_from = deliveries.next_published_date(connection, feed.name, expired)
            for table in (partitions.parent(feed), partitions.number_table(feed)):
                # The first ranges also apply to all earlier dates, so some must stay in force.
                ended = sql.SQL(
                    "from {table} where valid_to <= {kept_from} and exists (select from {table} "
                    "where valid_from <= {kept_from} and coalesce(valid_to, 'infinity') > {kept_from})"
                ).format(table=table.identifier, kept_from=sql.Literal(kept_from))
                if dry_run:
                    row = connection.execute(sql.SQL("select count(*) {}").format(ended)).fetchone()
                    count = row[0] if row else 0
                else:
                    count = connection.execute(sql.SQL("delete {}").format(ended)).rowcount
                results.append(MaintenanceResult(f"{table}: ranges that ended deleted", count))
    return results
