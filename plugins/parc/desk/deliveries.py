"""What is due of a night, and the deliveries that did not become what they should."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from parc.desk.matter import Matter
from parc.feeds import FEEDS, Keeping
from parc.instants import PARIS, shown
from parc.ledger import locks
from parc.settings import Settings
from parc.warehouse import connect

QUARANTINE_NIGHTS = 7
QUARANTINE_SHARE = 0.5
"""Share of a feed's reject limit from which rejected rows are worth a look."""

State = Literal["due", "loading", "published", "refused", "missing"]
Without = Mapping[tuple[str, date], int]
"""The build that BI sees, by each delivery that it went on without."""


@dataclass(frozen=True)
class Due:
    """A delivery that the calendar expects of a night, and what became of it. `due_at` is UTC; `detail` says
    how many rows, or why it was refused. Where a snapshot (not `is_daily`) has not come, the one before it
    stays in force."""

    feed: str
    business_date: date
    due_at: datetime
    is_daily: bool
    state: State
    detail: str


def due(settings: Settings, business_date: date) -> list[Due]:
    """What the feed calendar expects of a night, references first, and what has become of it.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    with connect(settings, "reader") as connection:
        return _due(settings, connection, business_date)


def missing(settings: Settings) -> list[dict[str, Any]]:
    """Deliveries that are due by the calendar and have not come: feed, business_date, due_at (UTC).

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    calendar = _calendar(settings)
    with connect(settings, "reader") as connection:
        return [
            {"feed": feed, "business_date": day, "due_at": calendar[feed].due_at(day)}
            for feed, days in _gaps(connection, calendar).items()
            for day in days
        ]


def newest_night(settings: Settings) -> date | None:
    """The last business date of which anything came or was looked for; None before the first."""
    with connect(settings, "reader") as connection:
        row = connection.execute(
            "select greatest((select max(business_date) from ops.delivery "
            "where status <> 'withdrawn' and not is_misdated), "
            "(select max(business_date) from ops.looked_for))"
        ).fetchone()
    return row[0] if row else None


def matters(settings: Settings, connection: psycopg.Connection[Any]) -> list[Matter]:
    """Deliveries that were refused, are missing, were interrupted, or have many rows in quarantine."""
    row = connection.execute("select build_id, missing from marts.published_build").fetchone()
    without = {}
    if row:
        without = {(each["feed"], date.fromisoformat(each["business_date"])): row[0] for each in row[1]}
    return [
        *_refused(connection, without),
        *_missing(settings, connection, without),
        *_misdated(connection),
        *_interrupted(connection),
        *_quarantined(connection),
    ]


@dataclass(frozen=True)
class _Expected:
    """A row of the feed calendar, the seed in git: also known before the first build."""

    feed: str
    cadence: str
    due_time_local: time
    first_due_date: date

    def is_due(self, day: date) -> bool:
        on_its_day = {"daily": True, "weekly": day.weekday() == 0, "monthly": day.day == 1}
        return day >= self.first_due_date and on_its_day[self.cadence]

    def due_at(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), self.due_time_local, PARIS).astimezone(UTC)


def _calendar(settings: Settings) -> dict[str, _Expected]:
    """By feed, references first: the facts are checked against them."""
    path = settings.project / "dbt_project" / "seeds" / "feed_calendar.csv"
    with path.open(newline="") as file:
        expected = [
            _Expected(
                row["feed"],
                row["cadence"],
                time.fromisoformat(row["due_time_local"]),
                date.fromisoformat(row["first_due_date"]),
            )
            for row in csv.DictReader(file)
        ]
    expected.sort(key=lambda each: FEEDS[each.feed].keeping is Keeping.DAYS)
    return {each.feed: each for each in expected}


def _due(settings: Settings, connection: psycopg.Connection[Any], business_date: date) -> list[Due]:
    with connection.cursor(row_factory=dict_row) as cursor:
        come = {
            row["feed"]: row
            for row in cursor.execute(
                """
                select distinct on (feed)
                    feed,
                    status,
                    reason,
                    rows_published,
                    rows_quarantined,
                    built_in
                from ops.delivery
                where business_date = %s and status not in ('superseded', 'withdrawn')
                order by feed, coalesce(seen_at, landed_at) desc, delivery_id desc
                """,
                [business_date],
            )
        }
        looked_for = {
            row["feed"]
            for row in cursor.execute(
                "select feed from ops.looked_for where business_date = %s", [business_date]
            )
        }
    rows = []
    for feed, expected in _calendar(settings).items():
        if not expected.is_due(business_date):
            continue
        due_at = expected.due_at(business_date)
        delivery = come.get(feed)
        state: State
        detail = ""
        if delivery is None:
            state = "missing" if feed in looked_for or due_at <= datetime.now(UTC) else "due"
        elif delivery["status"] == "published":
            state = "published"
            detail = f"{delivery['rows_published']:,} rows"
            if delivery["rows_quarantined"]:
                detail += f", {delivery['rows_quarantined']:,} in quarantine"
            if delivery["built_in"] is None:
                detail += ", not built yet"
        elif delivery["status"] == "refused":
            state, detail = "refused", delivery["reason"]
        else:
            state = "loading"
        is_daily = FEEDS[feed].keeping is Keeping.DAYS
        rows.append(Due(feed, business_date, due_at, is_daily, state, detail))
    return rows


def _gaps(connection: psycopg.Connection[Any], calendar: Mapping[str, _Expected]) -> dict[str, list[date]]:
    """Days that are due and have not come, by feed; those refused are none."""
    built = connection.execute("select to_regclass('intermediate.int_missing_deliveries')").fetchone()
    # Before the first build the warehouse knows no calendar: then what was looked for in vain is missing.
    source = "intermediate.int_missing_deliveries" if built and built[0] else "ops.looked_for"
    rows = connection.execute(
        f"select feed, business_date from {source} as missing where not exists ("
        "select from ops.delivery where delivery.feed = missing.feed "
        "and delivery.business_date = missing.business_date "
        "and status not in ('superseded', 'withdrawn')) order by 1, 2"
    ).fetchall()
    days: dict[str, list[date]] = {feed: [] for feed in calendar}
    for feed, day in rows:
        if feed in calendar and calendar[feed].is_due(day):
            days[feed].append(day)
    return days


def _missing(settings: Settings, connection: psycopg.Connection[Any], without: Without) -> list[Matter]:
    """Runs of days of a feed that are due and have not come."""
    calendar = _calendar(settings)
    days = _gaps(connection, calendar)
    withdrawn = {
        (feed, day): f"delivery {delivery_id} was withdrawn ({reason})"
        for feed, day, delivery_id, reason in connection.execute(
            "select feed, business_date, delivery_id, reason from ops.delivery where status = 'withdrawn' "
            "order by delivery_id"
        )
    }
    found = []
    for feed, expected in calendar.items():
        is_daily = FEEDS[feed].keeping is Keeping.DAYS
        taken_back = [(day, day) for day in days[feed] if (feed, day) in withdrawn]
        not_come = [day for day in days[feed] if (feed, day) not in withdrawn]
        for first, last in taken_back + _stretches(not_come):
            text = f"due since {shown(expected.due_at(first))}, "
            text += withdrawn.get((feed, first), "has not come")
            if not is_daily:
                text += "; the snapshot before it stays in force"
            elif (feed, last) in without:
                text += f"; build {without[feed, last]} went on without it"
            found.append(
                Matter(
                    "missing",
                    is_daily,
                    _named(feed, first, last),
                    text,
                    f"have it sent, then {_ingest(feed, first, last)}",
                )
            )
    return found


def _misdated(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Published deliveries of dates far away, from before these were refused."""
    rows = connection.execute(
        "select delivery_id, feed, business_date from ops.delivery "
        "where status = 'published' and is_misdated order by delivery_id"
    )
    return [
        Matter(
            "misdated",
            True,
            f"{feed} {day}",
            "is published, and its date cannot be right",
            f"parc withdraw {delivery_id} --reason misdated",
        )
        for delivery_id, feed, day in rows
    ]


def _refused(connection: psycopg.Connection[Any], without: Without) -> list[Matter]:
    """Deliveries refused as a whole, until a later one of their date is published, or the published one is
    there again."""
    rows = connection.execute(
        """
        select latest.feed, latest.business_date, latest.reason, current.delivery_id
        from (
            select distinct on (feed, business_date) feed, business_date, status, reason, is_misdated
            from ops.delivery
            order by feed, business_date, coalesce(seen_at, landed_at) desc, delivery_id desc
        ) as latest
        left join ops.delivery as current
            on latest.feed = current.feed
            and latest.business_date = current.business_date
            and current.status = 'published'
        where latest.status = 'refused' and not latest.is_misdated
        order by latest.business_date, latest.feed
        """
    )
    found = []
    for feed, day, reason, current in rows:
        text = f"refused: {reason}"
        if current:
            text += f" (delivery {current} of that day stays published)"
        elif (feed, day) in without:
            text += f"; build {without[feed, day]} went on without it"
        command = f"have it sent again, then {_ingest(feed, day, day)}"
        found.append(Matter("refused", current is None, f"{feed} {day}", text, command))
    return found


def _interrupted(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Deliveries being loaded by a process that lives no more: its lock is free."""
    rows = connection.execute(
        """
        select feed, business_date
        from ops.delivery
        where status in ('landed', 'audited')
        order by business_date, feed
        """
    ).fetchall()
    return [
        Matter("interrupted", True, f"{feed} {day}", "its load was interrupted", _ingest(feed, day, day))
        for feed, day in rows
        if not locks.is_held(connection, locks.of_load(feed, day))
    ]


def _quarantined(connection: psycopg.Connection[Any]) -> list[Matter]:
    """Published deliveries of the last nights of which nearly as many rows were rejected as are allowed."""
    rows = connection.execute(
        """
        select feed, business_date, rows_rejected, rows_read
        from ops.delivery
        where status = 'published' and rows_rejected > 0
            and business_date > (
                select max(business_date) from ops.delivery where status <> 'withdrawn' and not is_misdated
            ) - %s::integer
        order by business_date, feed
        """,
        [QUARANTINE_NIGHTS],
    )
    found = []
    for feed, day, rejected, read in rows:
        limit = FEEDS[feed].reject_limit
        if rejected < QUARANTINE_SHARE * limit * read:
            continue
        text = (
            f"{rejected:,} of {read:,} rows in quarantine ({rejected / read:.2%}, the limit is {limit:.0%})"
        )
        command = f"parc quarantine list {feed} --date {day}"
        found.append(Matter("quarantine", False, f"{feed} {day}", text, command))
    return found


def _stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as (first, last) of each run of days that follow one another."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _named(feed: str, first: date, last: date) -> str:
    return f"{feed} {first}" + (f" to {last}" if last != first else "")


def _ingest(feed: str, first: date, last: date) -> str:
    days = f"--date {first}" if first == last else f"--from {first} --to {last}"
    return f"parc ingest {feed} {days}"
