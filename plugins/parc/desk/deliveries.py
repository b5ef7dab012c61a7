"""What is due for a night, and the deliveries that need attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import psycopg

from parc.feeds import FEEDS
from parc.findings import BUILD, Finding, FindingKind, Severity, Step, Subject
from parc.instants import shown
from parc.ledger import builds, deliveries, locks
from parc.ledger import due as ledger
from parc.ledger.due import Due
from parc.loading import lying
from parc.settings import Settings
from parc.warehouse import connect
from parc.wording import counted

QUARANTINE_NIGHTS = timedelta(days=7)
QUARANTINE_SHARE = 0.5
"""Share of a feed's reject limit from which rejected rows are worth a look."""

Without = Mapping[tuple[str, date], int]
"""For each due delivery that the build that BI sees does not contain: that build."""


def due(settings: Settings, business_date: date) -> list[Due]:
    """What the feed calendar expects for a night, references first, and the state of each.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    with connect(settings, "reader") as connection:
        found = ledger.due(connection, ledger.calendar(settings.project), business_date)
    there = lying(settings, [(each.feed, business_date) for each in found if each.state == "missing"])
    return [
        replace(each, detail=str(there[each.feed, business_date]))
        if (each.feed, business_date) in there
        else each
        for each in found
    ]


def missing(settings: Settings) -> list[dict[str, Any]]:
    """Deliveries that are due by the calendar and have not arrived: feed, business_date, due_at (UTC).

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    with connect(settings, "reader") as connection:
        return [
            {"feed": each.feed, "business_date": each.business_date, "due_at": each.due_at}
            for each in ledger.missing(connection, ledger.calendar(settings.project))
        ]


def newest_night(settings: Settings) -> date | None:
    """The last business date for which anything arrived or was looked for; None before the first."""
    with connect(settings, "reader") as connection:
        return ledger.newest_night(connection)


def findings(settings: Settings, connection: psycopg.Connection[Any]) -> list[Finding]:
    """Deliveries that were refused, are missing, were interrupted, or have many rows in quarantine."""
    published = builds.published(connection)
    without = {}
    if published:
        gaps = [(each["feed"], date.fromisoformat(each["business_date"])) for each in published.missing]
        without = dict.fromkeys(gaps, published.build_id)
    return [
        *_refused(connection, without),
        *_missing(settings, connection, without),
        *_misdated(connection),
        *_interrupted(connection),
        *_quarantined(connection),
    ]


def _missing(settings: Settings, connection: psycopg.Connection[Any], without: Without) -> list[Finding]:
    """Runs of days of a feed that are due and have not arrived; each by itself that lies in the landing zone,
    not loaded yet."""
    calendar = ledger.calendar(settings.project)
    is_daily = {each.feed: each.is_daily for each in calendar}
    missing = ledger.missing(connection, calendar)
    there = lying(settings, [(each.feed, each.business_date) for each in missing if not each.withdrawn_id])
    found = []
    for feed, of_feed in groupby(missing, lambda each: each.feed):
        by_date = {each.business_date: each for each in of_feed}
        alone = [day for day, each in by_date.items() if each.withdrawn_id or (feed, day) in there]
        others = [day for day in by_date if day not in alone]
        for first, last in [(day, day) for day in alone] + _runs_of_days(others):
            one, waits = by_date[first], there.get((feed, first))
            text = f"due since {shown(one.due_at)}, "
            if one.withdrawn_id:
                text += f"delivery {one.withdrawn_id} was withdrawn ({one.withdrawal_reason})"
            elif waits:
                text += str(waits)
            elif settings.is_landing_on_disk:
                text += "has not arrived"
            else:
                at = f" (the last time on {shown(one.looked_at)})" if one.looked_at else ""
                text += f"was not there, or not whole, when a night looked{at}"
            if not is_daily[feed]:
                text += "; the snapshot before it stays in force"
            elif (feed, last) in without:
                text += f"; build {without[feed, last]} was published without it"
            severity = Severity.WRONG if is_daily[feed] else Severity.NOTE
            subject = Subject.deliveries(feed, first, last)
            steps: tuple[Step, ...] = (_ingest(feed, first, last), BUILD)
            if waits is None:
                steps = (Step("have it sent"), *steps)
            elif waits.unfinished:
                steps = (Step("wait for the rest, or have it sent whole"), *steps)
            found.append(Finding(FindingKind.MISSING, severity, subject, text, steps))
    return found


def _misdated(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Published deliveries with impossible dates, loaded before such dates were refused."""
    return [
        Finding(
            FindingKind.MISDATED,
            Severity.WRONG,
            Subject.deliveries(each.feed, each.business_date),
            "is published, and its date cannot be right",
            (Step("withdraw it", f"parc withdraw {each.delivery_id} --reason misdated"), BUILD),
        )
        for each in deliveries.misdated(connection)
    ]


def _refused(connection: psycopg.Connection[Any], without: Without) -> list[Finding]:
    """Deliveries refused as a whole, until a later one of their date is published, or the published one is
    there again."""
    found = []
    for each in deliveries.refused(connection):
        feed, day = each.feed, each.business_date
        text = f"refused: {each.reason}"
        if each.published_id:
            text += f" (delivery {each.published_id} of that day stays published)"
        elif (feed, day) in without:
            text += f"; build {without[feed, day]} was published without it"
        severity = Severity.NOTE if each.published_id else Severity.WRONG
        steps = (Step("have it sent again"), _ingest(feed, day, day), BUILD)
        found.append(Finding(FindingKind.REFUSED, severity, Subject.deliveries(feed, day), text, steps))
    return found


def _interrupted(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Deliveries whose loading process has died: its lock is free."""
    return [
        Finding(
            FindingKind.INTERRUPTED,
            Severity.WRONG,
            Subject.deliveries(each.feed, each.business_date),
            "its load was interrupted",
            (_ingest(each.feed, each.business_date, each.business_date), BUILD),
        )
        for each in deliveries.loading(connection)
        if not locks.is_held(connection, locks.of_load(each.feed, each.business_date))
    ]


def _quarantined(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Published deliveries of the last nights with nearly as many rejected rows as are allowed."""
    newest = ledger.newest_night(connection)
    if newest is None:
        return []
    found = []
    for each in deliveries.with_rejected_rows(connection, newest - QUARANTINE_NIGHTS):
        feed, day, rejected, read = each.feed, each.business_date, each.rows_rejected, each.rows_read
        limit = FEEDS[feed].reject_limit
        if rejected < QUARANTINE_SHARE * limit * read:
            continue
        share = f"{rejected / read:.2%}, the limit is {limit:.0%}"
        text = f"{rejected:,} of {counted(read, 'row')} in quarantine ({share})"
        step = Step("look at the rows", f"parc quarantine list {feed} --date {day}")
        subject = Subject.deliveries(feed, day)
        found.append(Finding(FindingKind.QUARANTINE, Severity.NOTE, subject, text, (step,)))
    return found


def _runs_of_days(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as (first, last) of each run of days that follow one another."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _ingest(feed: str, first: date, last: date) -> Step:
    days = f"--date {first}" if first == last else f"--from {first} --to {last}"
    return Step("load it", f"parc ingest {feed} {days}")
