"""What a build must recompute: read from the ledger and the seeds, never guessed from a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from parc.build import seeds
from parc.build.seeds import Seed
from parc.feeds import FEEDS

FACTS = ("calls", "boutique_visits", "interventions")
# What only seeds tell of the dates on which something is counted: it recomputes marts and no facts.
SEEDED = ("site_positions", "intervention_places")


@dataclass(frozen=True)
class Changes:
    """What the marts have not seen yet. (Later dates that share a row with these are found by dbt.)

    `delivery_ids` are the current deliveries seen for the first time, `withdrawn_ids` those taken back that
    the marts may still hold; `dates` maps a subject of `ops.build_date` to the dates to recompute;
    `request_dates` are those whose jobs a seed's change reaches; `seeds` are all seeds; `are_seeds_changed`
    tells whether any differs from the published build's, and `are_seeds_in_doubt` whether a build that was
    not published may have loaded others. `has_expired_dates` tells whether the marts hold dates whose raw
    rows retention has dropped.
    """

    delivery_ids: list[int]
    withdrawn_ids: list[int]
    dates: dict[str, list[date]]
    request_dates: list[date]
    seeds: dict[str, Seed]
    are_seeds_changed: bool
    are_seeds_in_doubt: bool
    has_expired_dates: bool

    @property
    def is_empty(self) -> bool:
        """Whether the published marts already hold everything, and the tables they come from hold no more."""
        return not (
            self.delivery_ids or self.withdrawn_ids or self.are_seeds_changed or self.are_seeds_in_doubt
        )


def find(connection: psycopg.Connection[Any], seeds_folder: Path, *, everything: bool = False) -> Changes:
    """Compare the ledger and the seeds with what published builds have seen.

    With `everything`, all published dates count as changed (a full refresh). Dates past retention never do.

    Raises BuildFailed for a seed that does not say what it governs.
    """
    pending = connection.execute(
        "select delivery_id, feed, business_date from ops.delivery "
        "where status = 'published' and built_in is null"
    ).fetchall()
    withdrawn = connection.execute(
        "select delivery_id, feed, business_date from ops.delivery "
        "where status = 'withdrawn' and published_at is not null and withdrawn_in is null"
    ).fetchall()
    now = seeds.read(seeds_folder)
    before = {
        name: (digest, content)
        for name, digest, content in connection.execute("select seed, sha256, content from ops.seed_version")
    }
    changed_seeds = [seed for name, seed in now.items() if seed.sha256 != before.get(name, ("", None))[0]]
    arrived: dict[str, set[date]] = {}
    for _, feed, business_date in [*pending, *withdrawn]:
        arrived.setdefault(feed, set()).add(business_date)

    dates = _dates_left_unpublished(connection)
    request_dates: set[date] = set()
    for fact in FACTS:
        published = _published(connection, fact)
        changed = dates.setdefault(fact, set())
        changed |= set(published) if everything else arrived.get(fact, set())
        for reference in (feed.name for feed in FEEDS.values() if fact in feed.governs):
            changed |= _dates_governed(connection, fact, reference, arrived.get(reference, set()))
        known = _request_dates(connection) if fact == "interventions" and changed_seeds else published
        for seed in changed_seeds:
            if fact not in seed.subjects:
                continue
            governed = seed.governed_dates(before.get(seed.name, ("", ""))[1], known)
            # Jobs are read one by one: what a seed says of them reaches no delivery's date.
            (request_dates if fact == "interventions" else changed).update(governed)
    for subject in SEEDED:
        changed = dates.setdefault(subject, set())
        governing = [seed for seed in changed_seeds if subject in seed.subjects]
        known = _dates_counted(connection, subject) if governing else []
        for seed in governing:
            changed |= seed.governed_dates(before.get(seed.name, ("", ""))[1], known)
    lines = _dates_of_months(connection, arrived.get("active_lines", set()))
    dates["active_lines"] = dates.get("active_lines", set()) | lines
    return Changes(
        [row[0] for row in pending],
        [row[0] for row in withdrawn],
        {subject: sorted(found) for subject, found in dates.items()},
        sorted(request_dates),
        now,
        are_seeds_changed=bool(changed_seeds) or now.keys() != before.keys(),
        are_seeds_in_doubt=_has_failed_builds(connection),
        has_expired_dates=_has_expired_dates(connection),
    )


def _has_failed_builds(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select status <> 'published' from ops.build where status <> 'running' order by build_id desc limit 1"
    ).fetchone()
    return bool(row and row[0])


def _has_expired_dates(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select exists (select from ops.delivery where expired_at is not null)"
    ).fetchone()
    return bool(row and row[0])


def _published(connection: psycopg.Connection[Any], feed: str) -> list[date]:
    rows = connection.execute(
        "select business_date from ops.delivery where feed = %s and status = 'published' "
        "and expired_at is null order by business_date",
        [feed],
    )
    return [row[0] for row in rows]


def _dates_counted(connection: psycopg.Connection[Any], subject: str) -> list[date]:
    if subject == "site_positions":
        return _published(connection, "calls")
    return _dates_of(connection, "intermediate.agg_interventions_daily", "business_date")


def _request_dates(connection: psycopg.Connection[Any]) -> list[date]:
    return _dates_of(connection, "build.fct_interventions", "requested_date")


def _dates_of(connection: psycopg.Connection[Any], table: LiteralString, column: LiteralString) -> list[date]:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    if not (row and row[0]):
        return []
    return [row[0] for row in connection.execute(f"select distinct {column} from {table} order by 1")]


def _dates_left_unpublished(connection: psycopg.Connection[Any]) -> dict[str, set[date]]:
    """Dates that builds recomputed since the last published one: their tables changed, BI has not seen it."""
    rows = connection.execute(
        "select distinct feed, business_date from ops.build_date where build_id > "
        "(select coalesce(max(build_id), 0) from ops.build where status = 'published')"
    )
    dates: dict[str, set[date]] = {}
    for subject, business_date in rows:
        dates.setdefault(subject, set()).add(business_date)
    return dates


def _dates_governed(
    connection: psycopg.Connection[Any], fact: str, reference: str, snapshots: set[date]
) -> set[date]:
    """Dates of the fact feed for which one of these snapshots of a reference feed is the one in force.

    A snapshot is in force from its date to the next one; the earliest also for all dates before it. One that
    was withdrawn governed the dates that it would govern now.
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
            from (
                select business_date from ops.delivery where feed = %(reference)s and status = 'published'
                union
                select unnest(%(snapshots)s::date[])
            ) as dates
        )
        select facts.business_date
        from ops.delivery as facts
        inner join snapshots
            on (facts.business_date >= snapshots.business_date or snapshots.previous_date is null)
            and (facts.business_date < snapshots.next_date or snapshots.next_date is null)
        where facts.feed = %(fact)s and facts.status = 'published' and facts.expired_at is null
            and snapshots.business_date = any (%(snapshots)s)
        """,
        {"fact": fact, "reference": reference, "snapshots": list(snapshots)},
    )
    return {row[0] for row in rows.fetchall()}


def _dates_of_months(connection: psycopg.Connection[Any], snapshots: set[date]) -> set[date]:
    """Dates of calls from the first month of the new active_lines snapshots on: a later month without lines
    of its own takes the last known one's. All, where no row of theirs is left to tell (withdrawn)."""
    if not snapshots:
        return set()
    rows = connection.execute(
        """
        select business_date
        from ops.delivery
        where feed = 'calls' and status = 'published' and expired_at is null
            and business_date >= coalesce(
                (
                    select date_trunc('month', min(month)) from raw.active_lines
                    where business_date = any (%(snapshots)s)
                    having count(distinct business_date) = cardinality(%(snapshots)s::date[])
                ),
                '-infinity'
            )
        """,
        {"snapshots": list(snapshots)},
    )
    return {row[0] for row in rows.fetchall()}
