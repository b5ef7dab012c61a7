"""What is due by the feed calendar, and whether it has arrived."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from psycopg import Connection
from psycopg.rows import class_row, dict_row, scalar_row

from parc.feeds import FEEDS
from parc.ledger.deliveries import IS_NEITHER_REPLACED_NOR_WITHDRAWN, LAST_LOOK_FIRST
from parc.wording import counted

DueState = Literal["expected", "loading", "published", "refused", "missing"]

_CALENDAR = """
    unnest(%(feeds)s::text[], %(cadences)s::text[], %(due_times)s::time[], %(first_due_dates)s::date[])
    with ordinality as calendar (feed, cadence, due_time_local, first_due_date, place)
"""
_IS_DUE = "{0} >= calendar.first_due_date and ops.due_date(calendar.cadence, {0}) = {0}"
IS_STILL_EXPECTED = """(
    {0}.due_at > clock_timestamp() and not exists (
        select from ops.looked_for where feed = {0}.feed and business_date = {0}.business_date
    )
)"""
"""Of what is due and has not arrived: whether its time has not come and no night has looked for it yet. From
then on it is missing."""


@dataclass(frozen=True)
class CalendarEntry:
    """A row of the feed calendar. The migration 0036 says what a `cadence` means."""

    feed: str
    cadence: str
    due_time_local: time
    first_due_date: date

    @property
    def is_daily(self) -> bool:
        """Whether its feed is."""
        return FEEDS[self.feed].is_daily


Calendar = Sequence[CalendarEntry]


@dataclass(frozen=True)
class Due:
    """A delivery that the calendar expects for a night, and its state. `due_at` is UTC; `detail` says how
    many rows it has, or why it was refused. If a snapshot (not `is_daily`) has not arrived, the one before it
    stays in force."""

    feed: str
    business_date: date
    due_at: datetime
    is_daily: bool
    state: DueState
    detail: str


class DueTime(NamedTuple):
    """When a delivery is due (UTC), and whether it is still expected; if not, and it has not arrived, it is
    missing."""

    due_at: datetime
    is_still_expected: bool


@dataclass(frozen=True)
class MissingDelivery:
    """A delivery that was due at `due_at` (UTC), or that a night looked for before, and that no load has
    found. A withdrawn one counts as not found; then `withdrawn_id` and `withdrawal_reason` are set.
    `looked_at` is when a night last looked for it (UTC; None if none has)."""

    feed: str
    business_date: date
    due_at: datetime
    withdrawn_id: int | None
    withdrawal_reason: str | None
    looked_at: datetime | None


class Gap(TypedDict):
    """A due delivery that a build does not contain, as stored with the build; dates and instants in ISO
    8601."""

    feed: str
    business_date: str
    due_at: str
    status: Literal["missing", "refused", "arriving"]


def calendar(project: Path) -> Calendar:
    """The feed calendar in git, references first, because facts are checked against them. It is available
    before the first build."""
    with (project / "dbt_project" / "seeds" / "feed_calendar.csv").open(newline="") as file:
        expected = [
            CalendarEntry(
                row["feed"],
                row["cadence"],
                time.fromisoformat(row["due_time_local"]),
                date.fromisoformat(row["first_due_date"]),
            )
            for row in csv.DictReader(file)
        ]
    return sorted(expected, key=lambda each: each.is_daily)


def newest_night(connection: Connection[Any]) -> date | None:
    """The last business date for which anything arrived or was looked for; None before the first."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found: date | None = cursor.execute(
            "select greatest((select max(business_date) from ops.delivery "
            "where status <> 'withdrawn' and not is_misdated), "
            "(select max(business_date) from ops.looked_for))"
        ).fetchone()
    return found


def due(connection: Connection[Any], expected: Calendar, business_date: date) -> list[Due]:
    """What the calendar expects for a night, in calendar order, with its state."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            with arrived as (
                select distinct on (feed) feed, status, reason, rows_published, rows_quarantined, built_in
                from ops.delivery
                where business_date = %(day)s and {IS_NEITHER_REPLACED_NOR_WITHDRAWN}
                order by feed, {LAST_LOOK_FIRST}
            ),

            expected as (
                select
                    feed,
                    %(day)s::date as business_date,
                    ops.due_at(%(day)s, due_time_local) as due_at,
                    place
                from {_CALENDAR}
                where {_IS_DUE.format("%(day)s::date")}
            )

            select
                expected.feed,
                expected.due_at,
                case
                    when arrived.status in ('published', 'refused') then arrived.status
                    when arrived.status is not null then 'loading'
                    when {IS_STILL_EXPECTED.format("expected")} then 'expected'
                    else 'missing'
                end as state,
                arrived.reason,
                arrived.rows_published,
                arrived.rows_quarantined,
                arrived.built_in
            from expected
            left join arrived on expected.feed = arrived.feed
            order by expected.place
            """.encode(),
            {"day": business_date, **_columns(expected)},
        ).fetchall()
    is_daily = {each.feed: each.is_daily for each in expected}
    return [
        Due(row["feed"], business_date, row["due_at"], is_daily[row["feed"]], row["state"], _detail(row))
        for row in rows
    ]


def due_times(
    connection: Connection[Any], expected: Calendar, first: date, last: date
) -> dict[tuple[str, date], DueTime]:
    """By feed and business date, when what the calendar expects for these dates is due."""
    rows = connection.execute(
        f"""
        with due as (
            select
                calendar.feed,
                day::date as business_date,
                ops.due_at(day::date, calendar.due_time_local) as due_at
            from {_CALENDAR}
            cross join generate_series(%(first)s::date, %(last)s::date, interval '1 day') as day
            where {_IS_DUE.format("day::date")}
        )

        select feed, business_date, due_at, {IS_STILL_EXPECTED.format("due")} from due
        """.encode(),
        {"first": first, "last": last, **_columns(expected)},
    )
    return {(feed, day): DueTime(*times) for feed, day, *times in rows}


def missing(connection: Connection[Any], expected: Calendar) -> list[MissingDelivery]:
    """Deliveries that are due and have not arrived, by date within each feed, in calendar order; without
    those that are still expected. Refused deliveries did arrive.

    The warehouse has no calendar before the first build; until then, failed searches count as missing.
    """
    source = "ops.looked_for"
    if _exist(connection, "intermediate.int_missing_deliveries"):
        source = "intermediate.int_missing_deliveries"
    with connection.cursor(row_factory=class_row(MissingDelivery)) as cursor:
        return cursor.execute(
            f"""
            with missing as (
                select
                    calendar.feed,
                    absent.business_date,
                    ops.due_at(absent.business_date, calendar.due_time_local) as due_at,
                    calendar.place
                from {source} as absent
                inner join {_CALENDAR} on absent.feed = calendar.feed
                where {_IS_DUE.format("absent.business_date")}
            )

            select
                missing.feed,
                missing.business_date,
                missing.due_at,
                withdrawn.delivery_id as withdrawn_id,
                withdrawn.reason as withdrawal_reason,
                looked_for.looked_at
            from missing
            left join ops.looked_for
                on missing.feed = looked_for.feed and missing.business_date = looked_for.business_date
            left join lateral (
                select delivery_id, reason
                from ops.delivery
                where feed = missing.feed and business_date = missing.business_date and status = 'withdrawn'
                order by delivery_id desc
                limit 1
            ) as withdrawn on true
            where not {IS_STILL_EXPECTED.format("missing")} and not exists (
                select from ops.delivery
                where feed = missing.feed and business_date = missing.business_date
                    and {IS_NEITHER_REPLACED_NOR_WITHDRAWN}
            )
            order by missing.place, missing.business_date
            """.encode(),
            _columns(expected),
        ).fetchall()


def gaps_of_running_build(connection: Connection[Any]) -> list[Gap]:
    """Due deliveries that the running build does not contain, by date; `arriving` ones arrived after it
    began.

    Empty if dbt has not created the feed calendar's views yet.
    """
    if not _exist(connection, "intermediate.int_due_deliveries", "intermediate.int_built_deliveries"):
        return []
    rows = connection.execute(
        f"""
        select due.feed, due.business_date, due.due_at, newest.status
        from intermediate.int_due_deliveries as due
        left join intermediate.int_built_deliveries as built using (feed, business_date)
        left join lateral (
            select status
            from ops.delivery
            where feed = due.feed and business_date = due.business_date
                and {IS_NEITHER_REPLACED_NOR_WITHDRAWN}
            order by {LAST_LOOK_FIRST}
            limit 1
        ) as newest on true
        where built.delivery_id is null
        order by due.business_date, due.feed
        """.encode()
    )
    words: dict[str | None, Literal["missing", "refused"]] = {None: "missing", "refused": "refused"}
    return [
        Gap(
            feed=feed,
            business_date=str(business_date),
            due_at=due_at.isoformat(),
            status=words.get(status, "arriving"),
        )
        for feed, business_date, due_at, status in rows
    ]


def has_unreported_gaps(connection: Connection[Any]) -> bool:
    """Whether `marts.mart_feed_health` lacks a delivery that is missing or was refused."""
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


def _columns(expected: Calendar) -> dict[str, list[Any]]:
    return {
        "feeds": [each.feed for each in expected],
        "cadences": [each.cadence for each in expected],
        "due_times": [each.due_time_local for each in expected],
        "first_due_dates": [each.first_due_date for each in expected],
    }


def _detail(row: dict[str, Any]) -> str:
    if row["state"] == "refused":
        return str(row["reason"])
    if row["state"] != "published":
        return ""
    detail = counted(row["rows_published"], "row")
    if row["rows_quarantined"]:
        detail += f", {row['rows_quarantined']:,} in quarantine"
    return f"{detail}, not built yet" if row["built_in"] is None else detail


def _exist(connection: Connection[Any], *relations: str) -> bool:
    row = connection.execute(
        "select bool_and(to_regclass(name) is not null) from unnest(%s::text[]) as name", [list(relations)]
    ).fetchone()
    return bool(row and row[0])
