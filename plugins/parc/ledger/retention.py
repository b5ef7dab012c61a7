"""Which business dates count for retention, and which deliveries it may drop."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from psycopg import Connection

from parc.ledger import deliveries
from parc.ledger.deliveries import Delivery

DAYS_CHECKED = 60
"""A date counts if, of this many days up to it, at least half are published by some feed (of fewer days, for
a feed that keeps fewer). So a single wrong date, years ahead, expires nothing."""


class CountedFrom(NamedTuple):
    """The newest date of a feed that counts for retention, and the later ones that do not (`strays`)."""

    newest: date | None
    strays: list[date]


def counted_from(connection: Connection[Any], feed: str, retention_days: int) -> CountedFrom:
    """The date from which a retention of `retention_days` counts back."""
    found: date | None = None
    strays: list[date] = []
    for business_date, is_plausible in connection.execute(
        """
        with known as (
            select distinct business_date from ops.delivery where status = 'published' and not is_misdated
        ),

        checked as (
            select
                business_date,
                2 * count(*) over (
                    order by business_date
                    range between make_interval(days => %(days)s - 1) preceding and current row
                ) >= %(days)s as is_plausible
            from known
        )

        select business_date, is_plausible
        from checked
        inner join ops.delivery using (business_date)
        where feed = %(feed)s and status = 'published' and not is_misdated
        order by business_date
        """,
        {"feed": feed, "days": min(DAYS_CHECKED, retention_days)},
    ):
        found, strays = (business_date, []) if is_plausible else (found, [*strays, business_date])
    return CountedFrom(found, strays)


def kept_up_to(connection: Connection[Any], feed: str, limit: date) -> list[Delivery]:
    """The published deliveries up to a date whose raw rows are still stored, oldest first."""
    return deliveries.where(
        connection,
        "feed = %s and status = 'published' and expired_at is null and business_date <= %s",
        [feed, limit],
        order="business_date",
    )


def expired_up_to(
    connection: Connection[Any], feed: str, limit: date
) -> list[tuple[date, date | None, bool]]:
    """The published dates past retention up to a date, oldest first, each with the one before it, and whether
    its facts have lost their person keys."""
    return connection.execute(
        "select business_date, lag(business_date) over (order by business_date), unlinked_at is not null "
        "from ops.delivery "
        "where feed = %s and status = 'published' and expired_at is not null and business_date <= %s "
        "order by business_date",
        [feed, limit],
    ).fetchall()
