"""Builds that failed, and what is not in the marts yet."""

from __future__ import annotations

from typing import Any

import psycopg

from parc.build import seeds
from parc.desk.matter import Matter, counted, listed
from parc.errors import ParcError
from parc.ledger import locks
from parc.settings import Settings

MOST_MESSAGE_CHARACTERS = 200
MOST_WITHDRAWALS = 3
REPEATED_DAYS = 35
REPEATED_SHARE, REPEATED_WRONG_SHARE = 0.05, 0.5
"""Shares of a date's rows that count in no figure: told from the first on, wrong from the second."""


def matters(settings: Settings, connection: psycopg.Connection[Any]) -> list[Matter]:
    """The last build where it failed, else what is published or changed in git and not built."""
    waiting = connection.execute(
        "select feed, business_date from ops.delivery where status = 'published' and built_in is null "
        "order by business_date, feed"
    ).fetchall()
    last = connection.execute(
        "select build_id, status, coalesce(reason, '') from ops.build order by build_id desc limit 1"
    ).fetchone()
    is_running = locks.is_held(connection, locks.BUILD)
    if last and not is_running and last[1] != "published":
        return [_failed(connection, *last, waiting_count=len(waiting))]
    found = []
    if waiting:
        names = listed([f"{feed} {day}" for feed, day in waiting])
        text = f"published and not in the marts yet: {names}" + ("; a build is running" if is_running else "")
        subject = counted(len(waiting), "delivery", "deliveries")
        found.append(Matter("not built", not is_running, subject, text, "" if is_running else "parc build"))
    return found + _repeated(connection) + _seeds(settings, connection)


def _failed(
    connection: psycopg.Connection[Any], build_id: int, status: str, reason: str, *, waiting_count: int
) -> Matter:
    waits = ""
    if waiting_count:
        waits = f"; {counted(waiting_count, 'published delivery waits', 'published deliveries wait')} for it"
    if status != "failed":
        text = "its process ended before it did" + waits
        return Matter("build failed", True, f"build {build_id}", text, "parc build")
    nodes = connection.execute(
        "select node, coalesce(message, status), origins from ops.build_node "
        "where build_id = %s and status in ('fail', 'error') order by position",
        [build_id],
    ).fetchall()
    if nodes:
        message = " ".join(nodes[0][1].split())[:MOST_MESSAGE_CHARACTERS]
        text = f"{listed([node for node, *_ in nodes])} failed ({message})"
    else:
        text = " ".join(reason.split())
    command = "mend the data or the model, then parc build"
    ids = sorted({origin["delivery_id"] for _, _, origins in nodes for origin in origins})
    if ids:
        withdrawals = " or ".join(f"parc withdraw {each} --reason TEXT" for each in ids[:MOST_WITHDRAWALS])
        command = f"{withdrawals}, or mend the model; then parc build"
    return Matter("build failed", True, f"build {build_id}", text + waits, command)


def _repeated(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Published dates of the last weeks of which the marts have little, for earlier dates had their ids.

    A suite judges a delivery by what was there when it came; a build knows what came since.
    """
    known = connection.execute("select to_regclass('marts.mart_feed_health') is not null").fetchone()
    if not (known and known[0]):
        return []
    # As JSON: a mart that was published by an earlier version may not have the column.
    rows = connection.execute(
        "select feed, business_date, repeated, rows_published "
        "from marts.mart_feed_health as health "
        "cross join lateral (select (to_jsonb(health) ->> 'rows_repeated')::bigint as repeated) as counted "
        "where repeated >= greatest(1, %s * rows_published) and business_date > "
        "(select max(business_date) from marts.mart_feed_health where status = 'published') - %s "
        "order by business_date, feed",
        [REPEATED_SHARE, REPEATED_DAYS],
    ).fetchall()
    if not rows:
        return []
    names = listed([f"{feed} {day} ({repeated:,} of {of:,} rows)" for feed, day, repeated, of in rows])
    text = f"ids that an earlier date had already count in no figure: {names}; ask for new ids"
    is_wrong = any(repeated >= REPEATED_WRONG_SHARE * of for _, _, repeated, of in rows)
    return [Matter("repeated ids", is_wrong, counted(len(rows), "delivery", "deliveries"), text, "")]


def _seeds(settings: Settings, connection: psycopg.Connection[Any]) -> list[Matter]:
    """Seeds whose content in git is not that of the published marts."""
    before = dict(connection.execute("select seed, sha256 from ops.seed_version").fetchall())
    if not before:
        return []
    try:
        now = seeds.read(settings.project / "dbt_project" / "seeds")
    except ParcError as error:
        return [Matter("seeds", True, "seeds", str(error), "")]
    changed = sorted(name for name, seed in now.items() if before.get(name) != seed.sha256)
    changed += sorted(before.keys() - now.keys())
    if not changed:
        return []
    text = f"{listed(changed)} changed since the last build"
    return [Matter("seeds", True, counted(len(changed), "seed", "seeds"), text, "parc build")]
