"""When deliveries came, were published and were seen by BI, and when the switch followed: the views
`mart_punctuality` and `mart_releases`, which BI reads too."""

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
            select
                feed,
                business_date,
                came_at,
                published_at,
                build_id,
                build.started_at as build_began_at,
                seen_at,
                is_refused
            from marts.mart_punctuality
            left join ops.build using (build_id)
            where business_date between %s and %s
            order by business_date, feed
            """,
            [first, last],
        ).fetchall()


def released(connection: Connection[Any], first: date, last: date) -> dict[date, datetime]:
    """By business date, when the first release made from it was live (UTC)."""
    return dict(
        connection.execute(
            """
            select business_date, min(live_from_at)
            from marts.mart_releases
            where live_from_at is not null and kind in ('bootstrap', 'release')
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
