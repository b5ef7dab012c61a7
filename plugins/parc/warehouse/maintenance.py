"""What keeps the warehouse from growing for ever: retention, what dead runs left behind, history, statistics.

Every function may be killed and run again. With `dry_run` it changes nothing and tells what it would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import Connection, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from parc.errors import Busy
from parc.feeds import FEEDS, Feed, Keeping
from parc.ledger import locks
from parc.settings import Settings
from parc.warehouse import partitions
from parc.warehouse.connections import connect

HISTORY = timedelta(days=365)
"""How long is kept what builds and runs did, counted back from the newest of them."""

DAYS_THAT_LEAD = 60
"""A date counts for retention where at least half of so many days up to it are published, of whatever feed
(of fewer, where a feed keeps fewer): a single wrong one, years ahead, lets nothing go."""

STATISTICS_TARGET = 25
"""Enough for the planner, as on the table of one day."""

ONLY_PARENTS = 180000
"""The server version that can analyse a partitioned table without its partitions."""


@dataclass(frozen=True)
class Act:
    """What was done, or would be, to how many things; `bytes` that it gave back on disk."""

    what: str
    count: int
    bytes: int = 0

    def __str__(self) -> str:
        size = f" ({self.bytes / 1e6:,.1f} MB)" if self.bytes else ""
        return f"{self.what}: {self.count:,}{size}"


@dataclass(frozen=True)
class _Dated:
    """A published delivery of a date; `is_held` while its figures may still change."""

    delivery_id: int
    business_date: date
    is_held: bool


class _Held(Exception):
    """A date must stay for now; the message says why."""


def expire_raw(
    settings: Settings, *, feeds: Iterable[Feed] = tuple(FEEDS.values()), dry_run: bool = False
) -> list[Act]:
    """Drop the raw rows, and the quarantined ones, of the dates past each feed's retention.

    Dates go in order, and none goes before an older one: a date that is not built yet, is being loaded, or
    whose figures still wait for a date within retention holds back itself and those after it. A snapshot
    stays while it governs a date that is kept. Nothing goes unless the last build was published. Retention
    counts back from the newest date to which others lead (DAYS_THAT_LEAD); later ones are told.

    Raises Busy when a build reads the raw tables or somebody's query keeps one of them locked.
    """
    acts: list[Act] = []
    expired: dict[str, date | None] = {}
    with (
        connect(settings, "reader", autocommit=True) as reader,
        connect(settings, "loader", autocommit=True) as connection,
    ):
        for feed in sorted(feeds, key=lambda feed: bool(feed.governs)):  # facts first
            expired[feed.name] = newest_expired(reader, feed)
            counted_from, strays = newest(reader, feed, feed.retention.days)
            days = timedelta(days=feed.retention.days or 0)
            if strays and _published_up_to(reader, feed, strays[-1] - days):
                acts.append(
                    Act(
                        f"{feed.name}: nothing counts back from {strays[-1]}, as too few dates before it are "
                        "published; `parc withdraw` takes a wrong one back",
                        len(strays),
                    )
                )
            limit = _limit(reader, feed, counted_from, expired)
            dates = _published_up_to(reader, feed, limit) if limit else []
            count = size = 0
            try:
                for dated in dates:
                    if dated.is_held:
                        raise _Held("it is not built yet or waits for other dates")
                    size += _size(reader, feed, dated) if dry_run else _expire(connection, feed, dated)
                    count, expired[feed.name] = count + 1, dated.business_date
            except _Held as why:
                acts.append(
                    Act(f"{feed.name}: held back from {dated.business_date}, {why}", len(dates) - count)
                )
            except Busy as busy:
                done = "; ".join(map(str, [*acts, Act(f"{feed.name}: dates expired", count, size)]))
                raise Busy(f"{busy}. Done so far: {done}") from None
            acts.append(Act(f"{feed.name}: expired up to {expired[feed.name]}", count, size))
            acts += _forget(connection, feed, expired[feed.name], dry_run)
    return [act for act in acts if act.count]


def clear_loads(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Drop the tables, and close the ledger rows, of loads that died and were never repeated.

    A load at work holds the lock of its feed and date; its tables and its row are left alone.
    """
    tables = rows = size = 0
    with connect(settings, "loader", autocommit=True) as connection:
        for feed, business_date in _dates_of_dead_loads(connection):
            with connection.transaction():
                if not locks.try_keep(connection, locks.of_load(feed.name, business_date)):
                    continue
                left = partitions.leftovers(connection, feed, business_date)
                size += sum(_bytes(connection, str(table)) for table in left)
                tables += len(left)
                unfinished = [feed.name, business_date]
                if dry_run:
                    found = connection.execute(
                        "select count(*) from ops.delivery "
                        "where feed = %s and business_date = %s and status in ('landed', 'audited')",
                        unfinished,
                    ).fetchone()
                    rows += found[0] if found else 0
                    continue
                partitions.drop_leftovers(connection, feed, business_date)
                rows += connection.execute(
                    "update ops.delivery set status = 'refused', rows_published = 0, "
                    "rows_quarantined = rows_read, "
                    "reason = 'its run was interrupted and not repeated; load the date again' "
                    "where feed = %s and business_date = %s and status in ('landed', 'audited')",
                    unfinished,
                ).rowcount
    acts = (
        Act("tables of dead loads dropped", tables, size),
        Act("deliveries of dead loads closed as refused", rows),
    )
    return [act for act in acts if act.count]


def prune_history(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Delete from the ledger what builds and runs did more than a year before the newest of them.

    Of the dates that builds recomputed, the newest build of each stays: it tells which dates are known. Of
    numbers assigned by hand, what has been replaced or ended for a year goes.
    """
    old_build = (
        "build_id in (select build_id from ops.build where status <> 'running' "
        "and build_id < (select coalesce(max(build_id), 0) from ops.build where status = 'published') "
        "and started_at < (select max(started_at) from ops.build) - %(history)s)"
    )
    conditions = {
        "ops.build_node": old_build,
        "ops.build_delivery": old_build,
        "ops.build_date": f"{old_build} and exists (select from ops.build_date as newer "
        "where newer.feed = build_date.feed and newer.business_date = build_date.business_date "
        "and newer.build_id > build_date.build_id)",
        "ops.looked_for": "looked_at < (select max(looked_at) from ops.looked_for) - %(history)s",
        # Counted from the newest delivery: nobody may assign anything by hand for years.
        "routing.urgent_assignment": "at < (select max(landed_at) from ops.delivery) - %(history)s "
        "and (zone_code is null or exists (select from routing.urgent_assignment as later "
        "where later.number = urgent_assignment.number "
        "and later.assignment_id > urgent_assignment.assignment_id))",
        "ops.airflow_run": "at < (select max(at) from ops.airflow_run) - %(history)s",
        "ops.notice": "at < (select max(at) from ops.notice) - %(history)s",
    }
    acts = []
    with connect(settings, "maintenance") as connection:
        for table, condition in conditions.items():
            where = f"from {table} where {condition}"
            given = {"history": HISTORY}
            if dry_run:
                found = connection.execute(f"select count(*) {where}".encode(), given).fetchone()
                count = found[0] if found else 0
            else:
                count = connection.execute(f"delete {where}".encode(), given).rowcount
            acts.append(Act(f"{table}: rows older than {HISTORY.days} days deleted", count))
    return [act for act in acts if act.count]


def analyze(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Renew the planner's statistics of the partitioned raw tables, as autovacuum never does.

    From PostgreSQL 18 on the partitions, each analysed when it was loaded, are not analysed again.
    """
    parents = [partitions.parent(feed) for feed in FEEDS.values() if feed.keeping is not Keeping.RANGES]
    if not dry_run:
        with connect(settings, "loader", autocommit=True) as connection:
            command = "analyze only {}" if connection.info.server_version >= ONLY_PARENTS else "analyze {}"
            connection.execute(f"set default_statistics_target = {STATISTICS_TARGET}".encode())
            for table in parents:
                connection.execute(sql.SQL(command).format(table.identifier))
    return [Act("partitioned tables analysed", len(parents))]


def newest_expired(connection: Connection[Any], feed: Feed) -> date | None:
    """The newest date of the feed whose raw rows are gone."""
    row = connection.execute(
        "select max(business_date) from ops.delivery where feed = %s and expired_at is not null", [feed.name]
    ).fetchone()
    return row[0] if row else None


def newest(
    connection: Connection[Any], feed: Feed, retention_days: int | None
) -> tuple[date | None, list[date]]:
    """The newest date of the feed that counts for a retention of so many days, and the dates after it that do
    not; none where all is kept."""
    if retention_days is None:
        return None, []
    days = min(DAYS_THAT_LEAD, retention_days)
    found: date | None = None
    strays: list[date] = []
    for business_date, is_led_to in connection.execute(
        """
        with known as (
            select distinct business_date from ops.delivery where status = 'published' and not is_misdated
        ),

        led as (
            select
                business_date,
                2 * count(*) over (
                    order by business_date
                    range between make_interval(days => %(days)s - 1) preceding and current row
                ) >= %(days)s as is_led_to
            from known
        )

        select business_date, is_led_to
        from led
        inner join ops.delivery using (business_date)
        where feed = %(feed)s and status = 'published' and not is_misdated
        order by business_date
        """,
        {"feed": feed.name, "days": days},
    ):
        found, strays = (business_date, []) if is_led_to else (found, [*strays, business_date])
    return found, strays


def _limit(
    connection: Connection[Any], feed: Feed, counted_from: date | None, expired: Mapping[str, date | None]
) -> date | None:
    """The newest date that retention lets go, counted back from that date; None where it lets none go.

    `expired` has the newest expired date of each fact feed.
    """
    if feed.retention.days is None or counted_from is None:
        return None
    limit = counted_from - timedelta(days=feed.retention.days)
    for fact in feed.governs:
        gone = expired.get(fact) or newest_expired(connection, FEEDS[fact])
        if gone is None:
            return None
        # A date that is kept, or still to come, is at least the one after it.
        in_force = connection.execute(
            "select max(business_date) from ops.delivery "
            "where feed = %s and status = 'published' and business_date <= %s",
            [feed.name, gone + timedelta(days=1)],
        ).fetchone()
        if not (in_force and in_force[0]):
            return None
        limit = min(limit, in_force[0] - timedelta(days=1))
    return limit


def _published_up_to(connection: Connection[Any], feed: Feed, limit: date) -> list[_Dated]:
    """The dates of the feed up to the limit that are not expired, oldest first."""
    waiting: set[date] = set()
    row = connection.execute("select to_regclass('marts.mart_finality_daily') is not null").fetchone()
    if row and row[0]:
        # What is missing from a window that ended before the limit would be refused by now.
        waiting = {
            day
            for (day,) in connection.execute(
                "select business_date from marts.mart_finality_daily "
                "inner join reference.figure_windows using (figure_window) "
                "where feed = %s and business_date <= %s and status = 'provisional' and final_on > %s",
                [feed.name, limit, limit],
            )
        }
    found = connection.execute(
        "select delivery_id, business_date, built_in is null from ops.delivery "
        "where feed = %s and status = 'published' and expired_at is null and business_date <= %s "
        "order by business_date",
        [feed.name, limit],
    )
    return [_Dated(delivery_id, day, is_unbuilt or day in waiting) for delivery_id, day, is_unbuilt in found]


def _expire(connection: Connection[Any], feed: Feed, dated: _Dated) -> int:
    """Drop the date's partition and mark its delivery; returns the bytes that were dropped.

    Locks the parent against its readers to the end of the transaction, so that is short. Raises _Held.
    """
    try:
        for attempt in partitions.attempts():
            with attempt, connection.transaction():
                connection.execute(f"set local lock_timeout = '{partitions.LOCK_PATIENCE}'".encode())
                lock_out_builds(connection)
                if not is_last_build_published(connection):
                    raise _Held("the last build was not published")
                if not locks.try_keep(connection, locks.of_load(feed.name, dated.business_date)):
                    raise _Held("it is being loaded")
                marked = connection.execute(
                    "update ops.delivery set expired_at = clock_timestamp() where delivery_id = %s "
                    "and status = 'published' and built_in is not null and expired_at is null",
                    [dated.delivery_id],
                ).rowcount
                if not marked:
                    raise _Held("it was loaded again meanwhile")
                size = _size(connection, feed, dated)
                if feed.keeping is not Keeping.RANGES:
                    table = partitions.delivery_table(feed, dated.business_date, dated.delivery_id)
                    connection.execute(sql.SQL("drop table if exists {}").format(table.identifier))
    except (LockNotAvailable, DeadlockDetected) as error:
        raise Busy(
            f"{feed.name} {dated.business_date}: a query keeps the raw table locked "
            f"({str(error).splitlines()[0]}); run this again when it has ended"
        ) from None
    return size


def lock_out_builds(connection: Connection[Any]) -> None:
    """Keep builds away to the end of the transaction; raises Busy while one reads the raw tables."""
    if not locks.try_keep(connection, locks.READING):
        raise Busy(
            "a build reads the raw tables, or another maintenance run is at work (`parc status`); "
            "run this again when it has ended"
        )


def is_last_build_published(connection: Connection[Any]) -> bool:
    """Whether it was: only then are the marts what the tables they come from say."""
    row = connection.execute("select status from ops.build order by build_id desc limit 1").fetchone()
    return bool(row and row[0] == "published")


def _size(connection: Connection[Any], feed: Feed, dated: _Dated) -> int:
    if feed.keeping is Keeping.RANGES:
        return 0
    return _bytes(connection, str(partitions.delivery_table(feed, dated.business_date, dated.delivery_id)))


def _bytes(connection: Connection[Any], table: str) -> int:
    row = connection.execute(
        "select coalesce(pg_total_relation_size(to_regclass(%s)), 0)", [table]
    ).fetchone()
    return int(row[0]) if row else 0


def _forget(connection: Connection[Any], feed: Feed, expired: date | None, dry_run: bool) -> Sequence[Act]:
    """Delete what else is kept of the dates up to `expired`: quarantined rows, ranges that ended by then."""
    if expired is None:
        return ()
    acts = [
        _delete(
            connection,
            f"{feed.name}: quarantined rows deleted",
            sql.SQL(
                "from ops.quarantine where delivery_id in "
                "(select delivery_id from ops.delivery where feed = {feed} and business_date <= {expired})"
            ).format(feed=sql.Literal(feed.name), expired=sql.Literal(expired)),
            dry_run,
        )
    ]
    if feed.keeping is Keeping.RANGES:
        with connection.transaction():
            locks.keep(connection, locks.RANGES)
            kept_from = sql.SQL(
                "(select min(business_date) from ops.delivery "
                "where feed = {feed} and status = 'published' and business_date > {expired})"
            ).format(feed=sql.Literal(feed.name), expired=sql.Literal(expired))
            for table in (partitions.parent(feed), partitions.number_table(feed)):
                # The first ranges stand for all dates before them as well: some must be in force.
                condition = sql.SQL(
                    "from {table} where valid_to <= {kept_from} and exists (select from {table} "
                    "where valid_from <= {kept_from} and coalesce(valid_to, 'infinity') > {kept_from})"
                ).format(table=table.identifier, kept_from=kept_from)
                acts.append(_delete(connection, f"{table}: ranges that ended deleted", condition, dry_run))
    return acts


def _delete(connection: Connection[Any], what: str, condition: sql.Composed, dry_run: bool) -> Act:
    if dry_run:
        row = connection.execute(sql.SQL("select count(*) {}").format(condition)).fetchone()
        return Act(what, row[0] if row else 0)
    return Act(what, connection.execute(sql.SQL("delete {}").format(condition)).rowcount)


def _dates_of_dead_loads(connection: Connection[Any]) -> list[tuple[Feed, date]]:
    """Feeds and dates with a table that is not published or an unfinished delivery; a load may be at work."""
    found = {
        (feed, business_date)
        for feed, business_date in connection.execute(
            "select feed, business_date from ops.delivery where status in ('landed', 'audited')"
        )
    }
    tables = connection.execute(
        "select relname from pg_class where relkind = 'r' and not relispartition "
        "and relnamespace in ('raw'::regnamespace, 'routing'::regnamespace)"
    )
    for (name,) in tables:
        if match := re.fullmatch(r"(\w+)__(\d{8})_\d+", name):
            found.add((match[1], datetime.strptime(match[2], "%Y%m%d").date()))
    return sorted(
        ((FEEDS[feed], business_date) for feed, business_date in found if feed in FEEDS),
        key=lambda pair: (pair[0].name, pair[1]),
    )
