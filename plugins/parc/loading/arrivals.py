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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from parc import storage
from parc.feeds import FEEDS, Keeping
from parc.loading.landing import (
    CONTROL,
    SUFFIXES,
    control_content,
    is_data,
    place_of,
    read_control,
)
from parc.settings import Settings
from parc.storage import Entry, Folder
from parc.warehouse import connect

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=5)
"""A delivery without a control file that was written to within this time may still be on its way."""

STALLED = timedelta(hours=1)
"""An upload to which nothing was written for this time has broken off."""

TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".uploading")
"""How clients call a file until it has come whole; rsync puts a dot before it instead."""


@dataclass(frozen=True)
class Arrival:
    """What lies there for a feed and a date; `uploads` are files under temporary names."""

    data: tuple[Entry, ...]
    control: Entry | None
    uploads: tuple[Entry, ...]

    @property
    def files(self) -> frozenset[tuple[str, int]]:
        """Names and bytes of the data files."""
        return frozenset((entry.name, entry.bytes) for entry in self.data)

    @property
    def modified_at(self) -> datetime | None:
        """When the last of the data or the control file was written; None where the file system is silent."""
        return _newest(*self.data, *([self.control] if self.control else []))


def unseen(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries of the dates `first` to `last` that lie there otherwise than when they were looked at last:
    late, restated and sent again, references first. One still being written is left for the next look.

    A delivery that was refused stays seen until other files lie there, or the same were written again.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    seen = _seen(settings, first, last)
    found = []
    with storage.opened(settings.landing) as zone:
        for feed in sorted(FEEDS, key=lambda name: FEEDS[name].keeping is Keeping.DAYS):
            for day in _dates(zone, feed, first, last):
                arrival = _arrival(zone, feed, day)
                if not arrival.data or _is_seen(arrival, seen.get((feed, day))):
                    continue
                if why := _still_coming(zone, place_of(feed, day), arrival):
                    log.info("%s %s is still being written (%s); left for the next look", feed, day, why)
                else:
                    found.append((feed, day))
    return found


def has_come(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether a delivery of the feed and date lies there, whole.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        arrival = _arrival(zone, feed, business_date)
        return bool(arrival.data) and not _still_coming(zone, place_of(feed, business_date), arrival)


def still_coming(settings: Settings, feed: str, business_date: date) -> str | None:
    """By what a delivery shows that it is still being written; None for one that is whole, or not there.

    Raises ConfigurationError when the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        return _still_coming(zone, place_of(feed, business_date), _arrival(zone, feed, business_date))


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
        kind, _, text = entry.name.partition("=")
        try:
            day = date.fromisoformat(text)
        except ValueError:
            continue
        if kind == "date" and not entry.is_file and first <= day <= last:
            yield day


def _arrival(zone: Folder, feed: str, business_date: date) -> Arrival:
    entries = [entry for entry in zone.entries(place_of(feed, business_date)) if entry.is_file]
    return Arrival(
        data=tuple(entry for entry in entries if is_data(entry.name)),
        control=next((entry for entry in entries if entry.name == CONTROL), None),
        uploads=tuple(entry for entry in entries if _is_upload(entry.name)),
    )


def _is_upload(name: str) -> bool:
    """Whether a file of this name is one on its way."""
    return name.endswith(TEMPORARY) or (name.startswith(".") and any(each in name for each in SUFFIXES))


def _still_coming(zone: Folder, place: str, arrival: Arrival) -> str | None:
    now = datetime.now(UTC)

    def is_fresh(moment: datetime | None, span: timedelta) -> bool:
        """A moment in the future is a clock that runs ahead of ours, or no clock at all."""
        return moment is not None and -STALLED < now - moment < span

    for upload in arrival.uploads:
        if is_fresh(upload.modified_at, STALLED):
            return f"{upload.name} is on its way"
    modified_at = arrival.modified_at
    if arrival.control:
        problem = _control_problem(zone, place, arrival)
        if problem and is_fresh(modified_at, STALLED):
            return problem
        came_last = modified_at is None or modified_at == arrival.control.modified_at
        if problem or came_last:
            return None
    if is_fresh(modified_at, QUIET):
        return f"the last file was written at {modified_at:%H:%M:%S} UTC, and no control file after it"
    return None


def _control_problem(zone: Folder, place: str, arrival: Arrival) -> str | None:
    """Why the control file is not yet that of the files which are there."""
    try:
        named = control_content(read_control(zone, place))["sha256"]
    except (ValueError, FileNotFoundError) as error:
        return f"{CONTROL} cannot be read: {error}"
    missing = sorted(named.keys() - {entry.name for entry in arrival.data})
    return f"{CONTROL} names {', '.join(missing)}, not there yet" if missing else None


def _newest(*entries: Entry) -> datetime | None:
    return max((entry.modified_at for entry in entries if entry.modified_at), default=None)


@dataclass(frozen=True)
class _Seen:
    """The ledger's newest look at a delivery."""

    files: frozenset[tuple[str, int]]
    at: datetime
    is_over: bool


def _seen(settings: Settings, first: date, last: date) -> dict[tuple[str, date], _Seen]:
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            """
            select distinct on (feed, business_date)
                feed,
                business_date,
                files,
                coalesce(seen_at, landed_at),
                status not in ('landed', 'audited')
            from ops.delivery
            where business_date between %s and %s
            order by feed, business_date, coalesce(seen_at, landed_at) desc, delivery_id desc
            """,
            [first, last],
        ).fetchall()
    return {
        (feed, day): _Seen(frozenset((file["name"], file["bytes"]) for file in files), at, is_over)
        for feed, day, files, at, is_over in rows
    }


def _is_seen(arrival: Arrival, seen: _Seen | None) -> bool:
    """A load that died on its way (`landed`, `audited`) has not seen its files: the next goes on from it."""
    if seen is None or not seen.is_over or seen.files != arrival.files:
        return False
    return arrival.modified_at is None or arrival.modified_at <= seen.at
