"""The state of the last nights, feed by feed. Read from `ops.delivery`, `ops.looked_for` and the calendar
of the last build."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.ledger.deliveries import LAST_LOOK_FIRST
from parc.ledger.due import IS_STILL_EXPECTED

NightState = Literal["published", "late", "restated", "refused", "loading", "missing", "expected"]


@dataclass(frozen=True)
class FeedNight:
    """A feed and a business date for which it was due or arrived. `delivery_id` is the delivery that was
    looked at last, None if none arrived; `reason` says why that one was refused."""

    feed: str
    business_date: date
    state: NightState
    delivery_id: int | None
    rows_published: int | None
    rows_quarantined: int | None
    is_built: bool
    reason: str | None


def dates(connection: Connection[Any], newest: date | None, count: int) -> list[date]:
    """The last `count` business dates up to the newest, oldest first; empty if `newest` is None."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(
            "select day::date from generate_series(%(newest)s::date - %(count)s + 1, %(newest)s::date, "
            "interval '1 day') as day order by day",
            {"newest": newest, "count": count},
        ).fetchall()


def nights(connection: Connection[Any], first: date) -> list[FeedNight]:
    """Every feed and date, from `first` on, that was due or arrived.

    A delivery is late if it arrived after its due time and the platform was already running by then (so
    history loaded afterwards is not late), or if it arrived after a later date of its feed. What was due is
    known from the first build on.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        has_calendar = cursor.execute(
            "select to_regclass('intermediate.int_due_deliveries') is not null"
        ).fetchone()
    due = (
        "select feed, business_date, due_at from intermediate.int_due_deliveries"
        if has_calendar
        else "select feed, business_date, looked_at as due_at from ops.looked_for"
    )
    with connection.cursor(row_factory=class_row(FeedNight)) as cursor:
        return cursor.execute(
            f"""
            with due as (
                select * from ({due}) as calendar where business_date >= %(first)s
            ),

            arrived as (
                select
                    feed,
                    business_date,
                    (array_agg(delivery_id order by {LAST_LOOK_FIRST})
                        filter (where status <> 'superseded'))[1] as newest_id,
                    max(delivery_id) filter (where status = 'published') as published_id,
                    min(landed_at) as landed_at
                from ops.delivery
                where business_date >= %(first)s and status <> 'withdrawn' and not is_misdated
                group by feed, business_date
                having bool_or(status <> 'superseded')
            ),

            nights as (
                select * from due full outer join arrived using (feed, business_date)
            )

            select
                nights.feed,
                nights.business_date,
                case
                    when newest.status = 'refused' then 'refused'
                    when newest.status in ('landed', 'audited') then 'loading'
                    when newest.delivery_id is null and {IS_STILL_EXPECTED.format("nights")} then 'expected'
                    when newest.delivery_id is null then 'missing'
                    when published.supersedes_delivery_id is not null then 'restated'
                    when nights.landed_at > nights.due_at
                        and nights.due_at > (select min(landed_at) from ops.delivery) then 'late'
                    when exists (
                        select from arrived as later
                        where later.feed = nights.feed and later.business_date > nights.business_date
                            and later.landed_at < nights.landed_at
                    ) then 'late'
                    else 'published'
                end as state,
                newest.delivery_id,
                published.rows_published,
                published.rows_quarantined,
                published.built_in is not null as is_built,
                case when newest.status = 'refused' then newest.reason end as reason
            from nights
            left join ops.delivery as newest on nights.newest_id = newest.delivery_id
            left join ops.delivery as published on nights.published_id = published.delivery_id
            """.encode(),
            {"first": first},
        ).fetchall()
