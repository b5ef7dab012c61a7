"""Which business dates a build must recompute: read from the ledger, never guessed from a clock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg


@dataclass(frozen=True)
class Changes:
    """What the marts have not seen yet. (Later dates that share a call with these are found by dbt.)

    `dates` maps a feed to the business dates of *calls* that its new deliveries touch; `delivery_ids` are
    the current deliveries seen for the first time; `seeds` maps each seed to its digest and
    `are_seeds_changed` tells whether any differs from the published build's.
    """

    delivery_ids: list[int]
    dates: dict[str, list[date]]
    seeds: dict[str, str]
    are_seeds_changed: bool

    @property
    def is_empty(self) -> bool:
        """Whether the published marts already hold everything."""
        return not self.delivery_ids and not self.are_seeds_changed


def find(connection: psycopg.Connection[Any], seeds_folder: Path, *, everything: bool = False) -> Changes:
    """Compare the ledger and the seeds with what published builds have seen.

    With `everything`, all published dates count as changed (a full refresh).
    """
    pending = connection.execute(
        "select delivery_id, feed, business_date from ops.delivery "
        "where status = 'published' and built_in is null"
    ).fetchall()
    seeds = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(seeds_folder.rglob("*.csv"))
    }
    published_seeds = dict(connection.execute("select seed, sha256 from ops.seed_version").fetchall())
    are_seeds_changed = seeds != published_seeds
    arrived: dict[str, list[date]] = {}
    for _, feed, business_date in pending:
        arrived.setdefault(feed, []).append(business_date)

    if everything or are_seeds_changed:
        # Reference data reaches every figure: until a seed tells which dates its change governs, all of them.
        calls = _published_calls(connection)
    else:
        calls = {
            *arrived.get("calls", []),
            *_dates_left_unpublished(connection),
            *_dates_governed(connection, "numbering_plan", arrived.get("numbering_plan", [])),
            *_dates_governed(connection, "line_assignments", arrived.get("line_assignments", [])),
        }
    dates = {"calls": sorted(calls), "active_lines": sorted(_dates_of_months(connection, pending))}
    return Changes([row[0] for row in pending], dates, seeds, are_seeds_changed)


def _published_calls(connection: psycopg.Connection[Any]) -> set[date]:
    rows = connection.execute(
        "select business_date from ops.delivery where feed = 'calls' and status = 'published'"
    )
    return {row[0] for row in rows.fetchall()}


def _dates_left_unpublished(connection: psycopg.Connection[Any]) -> set[date]:
    """Dates that builds recomputed since the last published one: their tables changed, BI has not seen it."""
    rows = connection.execute(
        "select business_date from ops.build_date where feed = 'calls' and build_id > "
        "(select coalesce(max(build_id), 0) from ops.build where status = 'published')"
    )
    return {row[0] for row in rows.fetchall()}


def _dates_governed(connection: psycopg.Connection[Any], feed: str, snapshots: list[date]) -> set[date]:
    """Dates of calls for which one of these snapshots of a reference feed is the one in force.

    A snapshot is in force from its date to the next one; the earliest also for all dates before it.
    """
    if not snapshots:
        return set()
    rows = connection.execute(
        """
        with snapshots as (
            select
                business_date,
                lag(business_date) over (order by business_date) as previous_date,
                lead(business_date) over (order by business_date) as next_date
            from ops.delivery
            where feed = %(feed)s and status = 'published'
        )
        select calls.business_date
        from ops.delivery as calls
        inner join snapshots
            on (calls.business_date >= snapshots.business_date or snapshots.previous_date is null)
            and (calls.business_date < snapshots.next_date or snapshots.next_date is null)
        where calls.feed = 'calls' and calls.status = 'published'
            and snapshots.business_date = any (%(snapshots)s)
        """,
        {"feed": feed, "snapshots": snapshots},
    )
    return {row[0] for row in rows.fetchall()}


def _dates_of_months(connection: psycopg.Connection[Any], pending: list[tuple[Any, ...]]) -> set[date]:
    """Dates of calls from the first month of the new active_lines snapshots on: a later month without lines
    of its own takes the last known one's."""
    snapshots = [business_date for _, feed, business_date in pending if feed == "active_lines"]
    if not snapshots:
        return set()
    rows = connection.execute(
        """
        select business_date
        from ops.delivery
        where feed = 'calls' and status = 'published'
            and business_date >= (
                select date_trunc('month', min(month)) from raw.active_lines where business_date = any (%s)
            )
        """,
        [snapshots],
    )
    return {row[0] for row in rows.fetchall()}
