"""What lies in the landing zone that the ledger has not seen as it lies there now, and whether it is whole.

One listing per feed and one per date; of what is new, the control file is read, and no other.

A delivery is whole when

- its control file came last (no data file was written after it) and every file that it names is there, or
- there is none, or data came after it, and nothing was written for QUIET; and
- no upload under a temporary name is going on.

What never becomes whole (a control file that names a file which does not come, an upload that broke off) is
held back for STALLED after the last write; then it counts as delivered, for ingestion to say what is wrong.

The moments are the server's: where its clock runs ahead of ours by less than STALLED, a delivery waits for
that much longer; where it runs behind, by less than QUIET does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from parc import storage
from parc.feeds import FEEDS, Keeping
from parc.loading.control import CONTROL, whereabouts
from parc.loading.dates import AHEAD_OF_NIGHT, EARLIEST
from parc.loading.landing import Arrival, is_data, look, read_control
from parc.loading.limits import named
from parc.loading.names import plain, told
from parc.settings import Settings
from parc.storage import Entry, Folder
from parc.warehouse import connect

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=5)
"""A delivery without a control file that was written to within this time may still be on its way."""

STALLED = timedelta(hours=1)
"""An upload to which nothing was written for this time has broken off."""


def unseen(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries of the dates `first` to `last` that lie there otherwise than when they were looked at last:
    late, restated and sent again, references first. One still being written is left for the next look.

    A delivery that was refused stays seen until other files lie there, or the same were written again. One
    whose load died is found, also of an older date, even if nothing lies there any more: loading it settles
    it.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    seen = _seen(settings, first, last)
    dead = {delivery for delivery, look_at_it in seen.items() if not look_at_it.is_over}
    found = []
    with storage.opened(settings.landing) as zone:
        for feed in sorted(FEEDS, key=lambda name: FEEDS[name].keeping is Keeping.DAYS):
            days = set(_dates(zone, feed, first, last)) | {day for of_feed, day in dead if of_feed == feed}
            for day in sorted(days):
                arrival = look(zone, feed, day)
                lies_there = bool(arrival.data or arrival.problem)
                if _is_seen(arrival, seen.get((feed, day))) or not (lies_there or (feed, day) in dead):
                    continue
                if lies_there and (why := _still_coming(zone, feed, day, arrival)):
                    log.info("%s %s is still being written (%s); left for the next look", feed, day, why)
                else:
                    found.append((feed, day))
    return found


def strays(settings: Settings) -> list[tuple[str, str]]:
    """Feed and name of what lies beside the dates' folders where nobody looks: data files, folders whose date
    is none, and those of dates that no night will ever come to.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    latest = datetime.now(UTC).date() + AHEAD_OF_NIGHT
    found = []
    with storage.opened(settings.landing) as zone:
        for feed in FEEDS:
            for entry in zone.entries(feed):
                day = _date_of(entry)
                if day:
                    is_stray = not EARLIEST <= day <= latest and not _is_known(settings, feed, day)
                else:
                    is_stray = entry.name.startswith("date=") or is_data(entry.name)
                if is_stray:
                    found.append((feed, told(entry.name)))
    return found


def has_come(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether a delivery of the feed and date lies there, whole.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        arrival = look(zone, feed, business_date)
        lies_there = bool(arrival.data or arrival.problem)
        return lies_there and not _still_coming(zone, feed, business_date, arrival)


def still_coming(settings: Settings, feed: str, business_date: date) -> str | None:
    """By what a delivery shows that it is still being written; None for one that is whole, or not there.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        return _still_coming(zone, feed, business_date, look(zone, feed, business_date))


def not_built(settings: Settings, feed: str) -> set[date]:
    """Dates of the feed that are published and not yet in the marts."""
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            "select business_date from ops.delivery "
            "where feed = %s and status = 'published' and built_in is null",
            [feed],
        ).fetchall()
    return {day for (day,) in rows}


def _dates(zone: Folder, feed: str, first: date, last: date) -> Iterator[date]:
    """The dates from `first` to `last` that have a folder."""
    for entry in zone.entries(feed):
        day = _date_of(entry)
        if day and first <= day <= last:
            yield day


def _date_of(entry: Entry) -> date | None:
    """The business date of a date's folder, or of a link in its place."""
    kind, _, text = entry.name.partition("=")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if kind == "date" and text == str(day) and entry.kind != "file" else None


def _is_known(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether somebody loaded the date all the same."""
    with connect(settings, "loader") as connection:
        row = connection.execute(
            "select exists (select from ops.delivery where feed = %s and business_date = %s "
            "and status = 'published')",
            [feed, business_date],
        ).fetchone()
    return bool(row and row[0])


def _still_coming(zone: Folder, feed: str, business_date: date, arrival: Arrival) -> str | None:
    now = datetime.now(UTC)

    def is_fresh(moment: datetime | None, span: timedelta) -> bool:
        """A moment in the future is a clock that runs ahead of ours, or no clock at all."""
        return moment is not None and -STALLED < now - moment < span

    for upload in arrival.uploads:
        if is_fresh(upload.modified_at, STALLED):
            return f"{told(upload.name)} is on its way"
    controlled_at = _newest(arrival.controls)
    modified_at = _newest((*arrival.data, *arrival.controls))
    problem = arrival.broken_link
    if arrival.controls and not problem:
        problem = _control_problem(zone, feed, business_date, arrival)
    if problem and is_fresh(modified_at, STALLED):
        return problem
    came_last = bool(arrival.controls) and controlled_at == modified_at
    if not (problem or came_last) and is_fresh(modified_at, QUIET):
        return f"the last file was written at {modified_at:%H:%M:%S} UTC, and no control file after it"
    return None


def _control_problem(zone: Folder, feed: str, business_date: date, arrival: Arrival) -> str | None:
    """Why the control file is not yet that of the files which are there."""
    try:
        control = read_control(zone, feed, business_date, arrival.controls)
    except ValueError as error:
        return str(error)
    there = {plain(entry.name) for entry in arrival.data}
    missing = [name for name, _ in control.sha256 if name not in there]
    if not missing:
        return None
    others = [name for name in missing if name in arrival.others]
    if others:
        return f"{CONTROL} names {told(others[0])}, {whereabouts(others[0], arrival.others)}"
    return f"{CONTROL} names {named(list(map(told, sorted(missing))))}, not there yet"


def _newest(entries: Iterable[Entry]) -> datetime | None:
    return max((entry.modified_at for entry in entries if entry.modified_at), default=None)


@dataclass(frozen=True)
class _Seen:
    """The ledger's newest look at a delivery. `listing` is None where a version before this one looked: then
    only the data's names and bytes are known."""

    listing: list[list[Any]] | None
    files: frozenset[tuple[str, int]]
    at: datetime
    is_over: bool


def _seen(settings: Settings, first: date, last: date) -> dict[tuple[str, date], _Seen]:
    """The newest looks at the dates, and at older ones whose load died."""
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            """
            select distinct on (feed, business_date)
                feed,
                business_date,
                listing,
                files,
                coalesce(seen_at, landed_at),
                status not in ('landed', 'audited')
            from ops.delivery
            where business_date <= %s and (business_date >= %s or status in ('landed', 'audited'))
            order by feed, business_date, coalesce(seen_at, landed_at) desc, delivery_id desc
            """,
            [last, first],
        ).fetchall()
    return {
        (feed, day): _Seen(listing, frozenset((file["name"], file["bytes"]) for file in files), at, is_over)
        for feed, day, listing, files, at, is_over in rows
    }


def _is_seen(arrival: Arrival, seen: _Seen | None) -> bool:
    """A load that died on its way (`landed`, `audited`) has not seen its files: the next goes on from it."""
    if seen is None or not seen.is_over:
        return False
    if seen.listing is not None:
        return seen.listing == arrival.listing
    modified_at = _newest((*arrival.data, *arrival.controls))
    files = {(told(entry.name), entry.bytes) for entry in arrival.data}
    return files == seen.files and (modified_at is None or modified_at <= seen.at)
