"""Deliveries that were due and are not in a build: recorded with it, and told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

Gap = dict[str, str]
TOLD = 5


def read(connection: psycopg.Connection[Any]) -> list[Gap]:
    """What the running build was built without, by date: `feed`, `business_date`, `due_at` (ISO 8601, UTC)
    and `status`: missing, refused, or arriving (it came after the build began).

    Nothing where dbt has not made the feed calendar's views yet.
    """
    if not _exist(connection, "intermediate.int_due_deliveries", "intermediate.int_built_deliveries"):
        return []
    rows = connection.execute(
        """
        select due.feed, due.business_date, due.due_at, newest.status
        from intermediate.int_due_deliveries as due
        left join intermediate.int_built_deliveries as built using (feed, business_date)
        left join lateral (
            select delivery.status
            from ops.delivery
            where delivery.feed = due.feed and delivery.business_date = due.business_date
                and delivery.status not in ('superseded', 'withdrawn')
            order by delivery.delivery_id desc
            limit 1
        ) as newest on true
        where built.delivery_id is null
        order by due.business_date, due.feed
        """
    )
    words = {None: "missing", "refused": "refused"}
    return [
        {
            "feed": feed,
            "business_date": str(business_date),
            "due_at": due_at.isoformat(),
            "status": words.get(status, "arriving"),
        }
        for feed, business_date, due_at, status in rows
    ]


def are_news(connection: psycopg.Connection[Any]) -> bool:
    """Whether a delivery is missing or was refused that `marts.mart_feed_health` does not tell of yet."""
    if not _exist(connection, "intermediate.int_missing_deliveries", "marts.mart_feed_health"):
        return False
    row = connection.execute(
        """
        select
            exists (
                select feed, business_date from intermediate.int_missing_deliveries
                except
                select feed, business_date from marts.mart_feed_health where is_due and status <> 'published'
            )
            or (select count(*) from ops.delivery where status = 'refused')
            <> (select coalesce(sum(refused_count), 0) from marts.mart_feed_health)
        """
    ).fetchone()
    return bool(row and row[0])


def words(gaps: list[Gap]) -> list[str]:
    """A line for each of the newest gaps, and one for the rest."""
    lines = []
    for gap in gaps[::-1][:TOLD]:
        due_at = datetime.fromisoformat(gap["due_at"]).astimezone(ZoneInfo("Europe/Paris"))
        then = {
            "missing": "it is built when it comes",
            "refused": "it was refused; it is built when it is sent again",
            "arriving": "it came meanwhile and is the next build's",
        }[gap["status"]]
        lines.append(
            f"built without {gap['feed']} {gap['business_date']}, due {due_at:%Y-%m-%d %H:%M}: {then}"
        )
    if len(gaps) > TOLD:
        lines.append(f"and without {len(gaps) - TOLD} more (marts.mart_feed_health has them all)")
    return lines


def _exist(connection: psycopg.Connection[Any], *relations: str) -> bool:
    row = connection.execute(
        "select bool_and(to_regclass(name) is not null) from unnest(%s::text[]) as name", [list(relations)]
    ).fetchone()
    return bool(row and row[0])
