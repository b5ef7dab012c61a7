"""When deliveries came, were published and were seen by BI, and when the switch followed. Read from
`ops.delivery`, `ops.build` and `ops.routing_release`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Passage:
    """What became of the first good delivery of a feed and business date; instants are UTC, None while it has
    not got that far. `build_id` is the first published build that contains it. `is_refused`: something came,
    but nothing good."""

    feed: str
    business_date: date
    came_at: datetime | None
    published_at: datetime | None
    build_id: int | None
    build_began_at: datetime | None
    seen_at: datetime | None
    is_refused: bool


def passages(connection: Connection[Any], first: date, last: date) -> list[Passage]:
    """What came for these business dates, by date and feed; without what was withdrawn."""
    with connection.cursor(row_factory=class_row(Passage)) as cursor:
        return cursor.execute(
            """
            with arrived as (
                select
                    feed,
                    business_date,
                    min(landed_at) filter (where published_at is not null) as came_at,
                    min(published_at) as published_at,
                    min(built_in) as build_id,
                    bool_or(status = 'refused') and not bool_or(published_at is not null) as is_refused
                from ops.delivery
                where business_date between %s and %s and status <> 'withdrawn' and not is_misdated
                group by feed, business_date
            )

            select
                arrived.*,
                build.started_at as build_began_at,
                case when build.status = 'published' then build.finished_at end as seen_at
            from arrived
            left join ops.build using (build_id)
            order by business_date, feed
            """,
            [first, last],
        ).fetchall()


def released(connection: Connection[Any], first: date, last: date) -> dict[date, datetime]:
    """By business date, when the first release made from it was live (UTC)."""
    return dict(
        connection.execute(
            """
            select business_date, min(event.at)
            from ops.routing_release
            inner join ops.routing_release_event as event using (release_id)
            where event.event = 'activated' and kind in ('bootstrap', 'release')
                and business_date between %s and %s
            group by business_date
            """,
            [first, last],
        ).fetchall()
    )


def began_at(connection: Connection[Any]) -> datetime | None:
    """When the first delivery came (UTC): what was due before is history."""
    row = connection.execute("select min(landed_at) from ops.delivery").fetchone()
    return row[0] if row else None
