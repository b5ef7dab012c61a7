"""The usual volume of a delivery: what the ledger knows of days like this one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from statistics import median
from typing import Any

import holidays
from psycopg import Connection

from parc.feeds import Feed, Keeping

LIKE_DAYS = 4


def usual_of_ledger(connection: Connection[Any], feed: Feed, business_date: date) -> dict[str, float | None]:
    """Parameters of the audit, as in `usual_volume`, from what the ledger knows of the dates before."""
    past = connection.execute(
        "select business_date, rows_published from ops.delivery "
        "where feed = %s and business_date < %s and status = 'published' order by business_date desc",
        [feed.name, business_date],
    ).fetchall()
    return usual_volume(feed, business_date, past)


def usual_volume(
    feed: Feed, business_date: date, past: Iterable[tuple[date, int]]
) -> dict[str, float | None]:
    """Parameters of the audit: `usual_rows`, the median of the last like days, and `like_days`, how many.

    `past` is (date, rows) of the earlier published dates, newest first. Days are alike on the same weekday;
    French public holidays are like holidays. Snapshots are all alike. `usual_rows` is None without any.
    """
    kind = _kind(feed, business_date)
    rows = [count for day, count in past if _kind(feed, day) == kind][:LIKE_DAYS]
    return {"usual_rows": float(median(rows)) if rows else None, "like_days": float(len(rows))}


def _kind(feed: Feed, day: date) -> str:
    if feed.keeping is not Keeping.DAYS:
        return "snapshot"
    return "holiday" if day in holidays.country_holidays("FR", years=day.year) else day.strftime("%A")
