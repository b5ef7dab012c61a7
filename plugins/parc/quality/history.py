"""What the ledger knows about comparable deliveries: how many rows such a day usually has, and of what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Any

import holidays
from psycopg import Connection, sql

from parc.feeds import Feed
from parc.ledger import deliveries

LIKE_DAYS = 4
NEAREST = 3
MOST_IDS = 500
"""How many ids of a delivery are sampled to find other dates that share ids with it."""


@dataclass(frozen=True)
class PastDelivery:
    """A published delivery: its rows, and its suite's measures if they were kept."""

    business_date: date
    rows: int
    measures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """What a delivery is compared with.

    `like` holds the last like days, at most 4, newest first. The delivery's ids are searched for in
    `near_dates`: the 3 nearest published dates before or after it, the last like day, and any distant dates
    that share ids with it.
    """

    like: tuple[PastDelivery, ...] = ()
    near_dates: tuple[date, ...] = ()

    @property
    def usual_rows(self) -> float | None:
        """The median number of rows of the like days; None if there are none."""
        return float(median(past.rows for past in self.like)) if self.like else None

    @property
    def like_days(self) -> int:
        """The number of like days."""
        return len(self.like)


def history_of_ledger(connection: Connection[Any], feed: Feed, business_date: date) -> History:
    """The history of a delivery, from the ledger."""
    rows = deliveries.rows_before(connection, feed.name, business_date)
    dates = like_dates(feed, business_date, rows)
    measured = deliveries.measures(connection, feed.name, dates)
    near = deliveries.nearest_dates(connection, feed.name, business_date, NEAREST)
    return History(
        like=tuple(PastDelivery(day, rows[day], measured.get(day) or {}) for day in dates),
        near_dates=tuple(sorted({*dates[:1], *near})),
    )


def dates_that_share_ids(
    connection: Connection[Any], feed: Feed, table: sql.Composable, business_date: date
) -> list[date]:
    """The dates in the marts, however distant, that hold one of MOST_IDS ids of the delivery in `table`."""
    mart = f"fct_{feed.name}"
    is_there = connection.execute("select to_regclass(%s) is not null", [f"marts.{mart}"]).fetchone()
    if not (feed.dated_by and feed.identifier and is_there and is_there[0]):
        return []
    found = connection.execute(
        sql.SQL(
            "with sampled as ("
            "  select {key} from {table} where mod(abs(hashtext({key})::bigint), greatest(1, ("
            "    select reltuples::bigint from pg_class where oid = {name}::regclass) / {ids})) = 0"
            "  limit 2 * {ids}"
            ") select distinct mart.business_date from sampled inner join {mart} as mart using ({key}) "
            "where mart.business_date <> {day}"
        ).format(
            key=sql.Identifier(feed.identifier),
            table=table,
            name=table.as_string(connection),
            ids=MOST_IDS,
            mart=sql.Identifier("marts", mart),
            day=business_date,
        )
    ).fetchall()
    return [day for (day,) in found]


def like_dates(feed: Feed, business_date: date, dates: Iterable[date]) -> list[date]:
    """The first 4 of `dates` that are like the business date.

    Days are alike if they fall on the same weekday. French public holidays are like each other, except that
    those on a Sunday are only like others on a Sunday. All snapshots are alike.
    """
    kind = _kind(feed, business_date)
    return [day for day in dates if _kind(feed, day) == kind][:LIKE_DAYS]


def _kind(feed: Feed, day: date) -> str:
    if not feed.is_daily:
        return "snapshot"
    if day not in holidays.country_holidays("FR", years=day.year):
        return day.strftime("%A")
    return "holiday on a Sunday" if day.weekday() == 6 else "holiday"
