"""The work that releases were to bring to the sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class PredictedHalfHour:
    """A half-hour of a usual week at a site, as the live release was to bring it, on the site's own clock."""

    version: str
    effective_date: date
    weekday: int
    half_hour_local: time
    call_count: float
    handle_seconds: float


def of_live_release(connection: Connection[Any], site_code: str) -> list[PredictedHalfHour]:
    """What the newest release that went live was to bring to a site; none if that was not predicted."""
    with connection.cursor(row_factory=class_row(PredictedHalfHour)) as cursor:
        return cursor.execute(
            """
            select version, effective_date, weekday, half_hour_local, call_count, half_hour.handle_seconds
            from (
                select release.* from ops.routing_release as release
                inner join ops.routing_release_event as event using (release_id)
                where event.event = 'activated'
                order by event.event_id desc
                limit 1
            ) as live
            inner join ops.routing_site_work as work using (release_id)
            cross join lateral unnest(weekdays, half_hours_local, call_counts, work.handle_seconds)
                as half_hour (weekday, half_hour_local, call_count, handle_seconds)
            where site_code = %s and effective_date is not null
            order by weekday, half_hour_local
            """,
            [site_code],
        ).fetchall()
