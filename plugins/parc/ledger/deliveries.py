"""Deliveries and their status. Read from `ops.delivery` and `ops.looked_for`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal, TypedDict

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

DeliveryStatus = Literal["landed", "audited", "published", "superseded", "refused", "withdrawn"]
DeliveryKey = tuple[str, date]
"""A feed and a business date."""

IS_LOADING = "status in ('landed', 'audited')"
IS_NOT_BUILT = "status = 'published' and built_in is null"
IS_NEITHER_REPLACED_NOR_WITHDRAWN = "status not in ('superseded', 'withdrawn')"
LAST_LOOK_FIRST = "coalesce(seen_at, landed_at) desc, delivery_id desc"


class File(TypedDict):
    """A file of a delivery: its name, its URI, its size in bytes and its SHA-256 as hex digits."""

    name: str
    uri: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Delivery:
    """A delivery as recorded in the ledger; instants are UTC.

    `listing` has the name, bytes and last write of each file in its folder at the last look; None if a
    version before 0018 looked. `seen_at` is when the same bytes were last found again, `expired_at` when
    retention dropped the raw rows. `built_in` is the first published build that contains it.
    """

    delivery_id: int
    feed: str
    business_date: date
    status: DeliveryStatus
    files: list[File]
    listing: list[list[Any]] | None
    content_sha256: str
    rows_read: int
    rows_published: int
    rows_quarantined: int
    rows_rejected: int
    reason: str | None
    landed_at: datetime
    seen_at: datetime | None
    expired_at: datetime | None
    built_in: int | None

    @property
    def is_loading(self) -> bool:
        """Whether a run is still loading it, or died while loading it."""
        return self.status in ("landed", "audited")

    @property
    def looked_at(self) -> datetime:
        """When its files were last looked at."""
        return self.seen_at or self.landed_at


_COLUMNS = ", ".join(field.name for field in fields(Delivery))


def get(connection: Connection[Any], delivery_id: int) -> Delivery | None:
    """The delivery with this id."""
    return _one(connection, "delivery_id = %s", [delivery_id])


def published(connection: Connection[Any], feed: str, business_date: date) -> Delivery | None:
    """The published delivery of a date."""
    return _one(
        connection, "feed = %s and business_date = %s and status = 'published'", [feed, business_date]
    )


def published_before(connection: Connection[Any], feed: str, business_date: date) -> Delivery | None:
    """The published delivery of the last date before this one."""
    condition = "feed = %s and business_date < %s and status = 'published' order by business_date desc"
    return _one(connection, condition, [feed, business_date])


def withdrawn(
    connection: Connection[Any], feed: str, business_date: date, content_sha256: str
) -> Delivery | None:
    """The newest delivery of these bytes that was withdrawn."""
    return _one(
        connection,
        "feed = %s and business_date = %s and content_sha256 = %s and status = 'withdrawn' "
        "order by delivery_id desc",
        [feed, business_date, content_sha256],
    )


def last_looks(connection: Connection[Any], first: date, last: date) -> dict[DeliveryKey, Delivery]:
    """The delivery that was looked at last, by feed and date, for the dates `first` to `last` and for older
    dates that are still loading."""
    return {
        (found.feed, found.business_date): found
        for found in where(
            connection,
            f"business_date <= %s and (business_date >= %s or {IS_LOADING})",
            [last, first],
            head="distinct on (feed, business_date)",
            order=f"feed, business_date, {LAST_LOOK_FIRST}",
        )
    }


def loading(connection: Connection[Any]) -> list[Delivery]:
    """Deliveries whose load has not ended; the run may have died."""
    return where(connection, IS_LOADING, order="business_date, feed")


def not_built(connection: Connection[Any], feed: str | None = None) -> list[Delivery]:
    """Published deliveries that no published build contains yet; of one feed, or of all."""
    condition = f"{IS_NOT_BUILT} and (%(feed)s::text is null or feed = %(feed)s)"
    return where(connection, condition, {"feed": feed}, order="business_date, feed")


def misdated(connection: Connection[Any]) -> list[Delivery]:
    """Published deliveries with impossible dates, loaded before such dates were refused."""
    return where(connection, "status = 'published' and is_misdated", order="delivery_id")


def with_rejected_rows(connection: Connection[Any], after: date) -> list[Delivery]:
    """Published deliveries of later dates in which rows broke a rule."""
    condition = "status = 'published' and rows_rejected > 0 and business_date > %s"
    return where(connection, condition, [after], order="business_date, feed")


@dataclass(frozen=True)
class RefusedDelivery:
    """A delivery that was refused, and the one of its date that stays published, if any."""

    feed: str
    business_date: date
    reason: str
    published_id: int | None


def refused(connection: Connection[Any]) -> list[RefusedDelivery]:
    """Deliveries refused as a whole, until a later one of their date is published, or the published one is
    found again."""
    with connection.cursor(row_factory=class_row(RefusedDelivery)) as cursor:
        return cursor.execute(
            f"""
            select latest.feed, latest.business_date, latest.reason, current.delivery_id as published_id
            from (
                select distinct on (feed, business_date) feed, business_date, status, reason, is_misdated
                from ops.delivery
                order by feed, business_date, {LAST_LOOK_FIRST}
            ) as latest
            left join ops.delivery as current
                on latest.feed = current.feed
                and latest.business_date = current.business_date
                and current.status = 'published'
            where latest.status = 'refused' and not latest.is_misdated
            order by latest.business_date, latest.feed
            """.encode()
        ).fetchall()


@dataclass(frozen=True)
class FeedSummary:
    """What is published of a feed: its dates and rows; `days_not_built` of them are not in the marts yet."""

    feed: str
    published_days: int
    first_day: date | None
    last_day: date | None
    rows_published: int
    rows_quarantined: int
    refused_deliveries: int
    days_not_built: int


def by_feed(connection: Connection[Any]) -> list[FeedSummary]:
    """A summary of each feed that ever delivered, by name."""
    with connection.cursor(row_factory=class_row(FeedSummary)) as cursor:
        return cursor.execute(
            f"""
            select
                feed,
                count(*) filter (where status = 'published') as published_days,
                min(business_date) filter (where status = 'published') as first_day,
                max(business_date) filter (where status = 'published') as last_day,
                coalesce(sum(rows_published) filter (where status = 'published'), 0)::bigint
                    as rows_published,
                coalesce(sum(rows_quarantined) filter (where status = 'published'), 0)::bigint
                    as rows_quarantined,
                count(*) filter (where status = 'refused') as refused_deliveries,
                count(*) filter (where {IS_NOT_BUILT}) as days_not_built
            from ops.delivery
            group by feed
            order by feed
            """.encode()
        ).fetchall()


def last_refused(connection: Connection[Any], count: int) -> list[Delivery]:
    """The last deliveries that were refused, the newest first."""
    return where(connection, "status = 'refused'", [count], order="delivery_id desc limit %s")


def newest_published_date(connection: Connection[Any]) -> date | None:
    """The newest published business date of all feeds."""
    return _date(
        connection,
        "select max(business_date) from ops.delivery where status = 'published' and not is_misdated",
    )


def newest_expired_date(connection: Connection[Any], feed: str) -> date | None:
    """The newest date whose raw rows retention has dropped; all earlier dates are past retention too."""
    return _date(
        connection,
        "select max(business_date) from ops.delivery where feed = %s and expired_at is not null",
        [feed],
    )


def newest_built_date(connection: Connection[Any], feed: str) -> date | None:
    """The newest date of a feed that the marts hold."""
    return _date(
        connection,
        "select max(business_date) from ops.delivery "
        "where feed = %s and built_in is not null and status <> 'withdrawn'",
        [feed],
    )


def next_published_date(connection: Connection[Any], feed: str, business_date: date) -> date | None:
    """The first published date of a feed after this one."""
    return _date(
        connection,
        "select min(business_date) from ops.delivery "
        "where feed = %s and business_date > %s and status = 'published'",
        [feed, business_date],
    )


def published_dates(connection: Connection[Any], feed: str) -> list[date]:
    """The published dates of a feed, in order."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            "select business_date from ops.delivery where feed = %s and status = 'published' "
            "order by business_date",
            [feed],
        ).fetchall()


def known_dates(connection: Connection[Any], feed: str) -> set[date]:
    """The dates of which a delivery of the feed was ever read, whatever became of it."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return set(
            cursor.execute(
                "select distinct business_date from ops.delivery where feed = %s", [feed]
            ).fetchall()
        )


def rows_before(connection: Connection[Any], feed: str, business_date: date) -> dict[date, int]:
    """Published rows of each date before this one, the newest first."""
    return dict(
        connection.execute(
            "select business_date, rows_published from ops.delivery "
            "where feed = %s and business_date < %s and status = 'published' order by business_date desc",
            [feed, business_date],
        ).fetchall()
    )


def measures(
    connection: Connection[Any], feed: str, dates: Collection[date]
) -> dict[date, Mapping[str, Any]]:
    """What the feed's suite measured on the published deliveries of these dates."""
    return dict(
        connection.execute(
            "select business_date, measures from ops.delivery "
            "where feed = %s and business_date = any (%s) and status = 'published'",
            [feed, list(dates)],
        ).fetchall()
    )


def nearest_dates(connection: Connection[Any], feed: str, business_date: date, count: int) -> list[date]:
    """The published dates nearest to this one, before or after it; at most `count`."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            "select business_date from ops.delivery "
            "where feed = %s and business_date <> %s and status = 'published' "
            "order by abs(business_date - %s), business_date limit %s",
            [feed, business_date, business_date, count],
        ).fetchall()


def _one(connection: Connection[Any], condition: str, values: list[Any]) -> Delivery | None:
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        query = f"select {_COLUMNS} from ops.delivery where {condition} limit 1"
        return cursor.execute(query.encode(), values).fetchone()


def where(
    connection: Connection[Any], condition: str, values: Any = None, *, order: str, head: str = ""
) -> list[Delivery]:
    """Deliveries by a condition and order in SQL; for other readers in this package."""
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        query = f"select {head} {_COLUMNS} from ops.delivery where {condition} order by {order}"
        return cursor.execute(query.encode(), values).fetchall()


def _date(connection: Connection[Any], query: str, values: list[Any] | None = None) -> date | None:
    with connection.cursor(row_factory=scalar_row) as cursor:
        found: date | None = cursor.execute(query.encode(), values).fetchone()
    return found
