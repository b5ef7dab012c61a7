"""Keeps the warehouse tidy: tables of dead loads, old history, statistics.

Every function may be killed and run again. With `dry_run` it changes nothing and returns what it would do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg import Connection, sql

from parc.feeds import FEEDS, Feed, Keeping
from parc.ledger import deliveries, locks, write_deliveries, write_retention
from parc.settings import Settings
from parc.warehouse import partitions
from parc.warehouse.connections import connect

HISTORY = timedelta(days=365)
"""How long the ledger keeps the history of builds and runs, counted back from the newest."""

STATISTICS_TARGET = 25
"""Enough for the planner, as for the table of one day."""

ONLY_PARENTS = 180000
"""The first server version that can analyse a partitioned table without its partitions."""


@dataclass(frozen=True)
class MaintenanceResult:
    """What was or would be done, to how many things, and how many `bytes` of disk it frees."""

    what: str
    count: int
    bytes: int = 0

    def __str__(self) -> str:
        size = f" ({self.bytes / 1e6:,.1f} MB)" if self.bytes else ""
        return f"{self.what}: {self.count:,}{size}"


def clear_loads(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Drop the tables and close the ledger rows of loads that died and were never repeated.

    A running load holds the lock of its feed and date, so its tables and row are left alone.
    """
    tables = rows = size = 0
    with connect(settings, "loader", autocommit=True) as connection:
        for feed, business_date in _dates_of_dead_loads(connection):
            with connection.transaction():
                if not locks.try_keep(connection, locks.of_load(feed.name, business_date)):
                    continue
                left = partitions.leftovers(connection, feed, business_date)
                size += sum(size_of(connection, table) for table in left)
                tables += len(left)
                if dry_run:
                    unfinished = {(each.feed, each.business_date) for each in deliveries.loading(connection)}
                    rows += (feed.name, business_date) in unfinished
                    continue
                partitions.drop_leftovers(connection, feed, business_date)
                reason = "its run was interrupted and not repeated; load the date again"
                rows += write_deliveries.close_unfinished(connection, feed.name, business_date, reason)
    results = (
        MaintenanceResult("tables of dead loads dropped", tables, size),
        MaintenanceResult("deliveries of dead loads closed as refused", rows),
    )
    return [result for result in results if result.count]


def prune_history(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Delete ledger history of builds and runs that is more than a year older than the newest."""
    with connect(settings, "maintenance") as connection:
        counts = write_retention.delete_history(connection, HISTORY, dry_run=dry_run)
    return [
        MaintenanceResult(f"{table}: rows older than {HISTORY.days} days deleted", count)
        for table, count in counts.items()
        if count
    ]


def analyze(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Update the planner's statistics of the partitioned raw tables, which autovacuum never does.

    From PostgreSQL 18, partitions are not analysed again, since each was analysed when it was loaded.
    """
    parents = [partitions.parent(feed) for feed in FEEDS.values() if feed.keeping is not Keeping.RANGES]
    if not dry_run:
        with connect(settings, "loader", autocommit=True) as connection:
            command = "analyze only {}" if connection.info.server_version >= ONLY_PARENTS else "analyze {}"
            connection.execute(f"set default_statistics_target = {STATISTICS_TARGET}".encode())
            for table in parents:
                connection.execute(sql.SQL(command).format(table.identifier))
    return [MaintenanceResult("partitioned tables analysed", len(parents))]


def size_of(connection: Connection[Any], table: partitions.Table) -> int:
    """Bytes of a table on disk; 0 if it does not exist."""
    row = connection.execute(
        "select coalesce(pg_total_relation_size(to_regclass(%s)), 0)", [str(table)]
    ).fetchone()
    return int(row[0]) if row else 0


def _dates_of_dead_loads(connection: Connection[Any]) -> list[tuple[Feed, date]]:
    """Feeds and dates with an unpublished table or an unfinished delivery; a load may still be running."""
    found = {(each.feed, each.business_date) for each in deliveries.loading(connection)}
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
