"""Finds deliveries that are new or have changed since the ledger's last look, and decides if they are
complete.

This takes one listing per feed and one per date; of the new deliveries only the control file is read.

A delivery is complete when

- its control file was written last (after every data file) and every file that it names is present, or
- nothing was written for QUIET, if there is no control file or data was written after it; and
- no upload under a temporary name is in progress.

A delivery still incomplete STALLED after its last write (its control file names a file that never arrives, or
an upload broke off) is processed as it is, and refused if invalid.

Times are the server's. If its clock is ahead of ours by less than STALLED, a delivery waits that much longer;
a clock that is behind by less than QUIET does no harm.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, TypeGuard

from parc import storage
from parc.feeds import FEEDS, IN_LOADING_ORDER
from parc.instants import time_shown
from parc.ledger import deliveries
from parc.ledger.deliveries import Delivery
from parc.loading.control import CONTROL, why_absent
from parc.loading.dates import AHEAD_OF_NIGHT, EARLIEST
from parc.loading.landing import Arrival, is_data, look, own_reason, read_control
from parc.loading.limits import named
from parc.loading.names import plain, reported
from parc.settings import Settings
from parc.storage import Entry, Folder
from parc.warehouse import connect

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=5)
"""A delivery without a control file may be incomplete if it was written to within this time."""

STALLED = timedelta(hours=1)
"""An upload that nothing was written to for this time has broken off."""


class Unfinished(NamedTuple):
    """Why a delivery seems to be still being written, and until when (UTC) it is left for that."""

    why: str
    until: datetime


MIN_SIMILARITY = 0.8
"""A folder whose name is this similar to a feed's (difflib's ratio) was meant for that feed."""

_HAS_DATE = re.compile(r"(?i)^date\b|\d\d")
_NOT_LOOKED_FOR = "is not where a night looks for deliveries: rename or remove it"
_NO_FOLDER = {
    "file": "is a file where a folder should be: rename or remove it",
    "special file": "is neither a file nor a folder: remove it",
    "dangling link": "is a link to something missing or out of reach: fix or remove it",
    "link out": "is a link to a place outside the landing zone, so not followed: deliver the folder itself",
}


@dataclass(frozen=True)
class Stray:
    """Something no load would read: its `place` in the landing zone, `why`, and the likeliest feed."""

    feed: str
    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place} {self.why}"


def unseen(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries for the dates `first` to `last` that are new or have changed since the last look: late,
    restated or sent again, references first. One that is still being written is left for the next look.

    A refused delivery is not returned again until its files change or are written again. A delivery whose
    load died is returned even if it is older or no longer exists, because loading it settles its ledger row.
    If a feed's folder cannot be listed, only such deliveries are returned; `strays` reports the folder.

    Raises ConfigurationError if the landing zone or the warehouse cannot be read.
    """
    with connect(settings, "loader") as connection:
        last_looks = deliveries.last_looks(connection, first, last)
    aborted = {key for key, delivery in last_looks.items() if delivery.is_loading}
    found = []
    with storage.opened(settings.landing) as zone:
        for feed in IN_LOADING_ORDER:
            entries, _ = _listed(zone, feed)
            days = {day for day in map(_date_of, entries) if day and first <= day <= last}
            for day in sorted(days | {day for of_feed, day in aborted if of_feed == feed}):
                arrival = look(zone, feed, day)
                is_present = bool(arrival.data or arrival.problem)
                if _is_seen(arrival, last_looks.get((feed, day))) or not (
                    is_present or (feed, day) in aborted
                ):
                    continue
                if is_present and (waits := unfinished(zone, feed, day, arrival)):
                    why = f"is still being written ({waits.why}); left for the next look"
                    log.info("%s %s %s", feed, day, why)
                else:
                    found.append((feed, day))
    return found


def strays(settings: Settings) -> list[Stray]:
    """Everything in the landing zone that no load would read: data files beside the date folders; folders
    whose date is invalid, out of range or spelled differently; non-folders named like a date or a feed;
    folders named almost like a feed; feeds whose folder cannot be listed.

    Folders without a date in their name, and those whose name starts with a dot or an underscore, are taken
    to be the supplier's own.

    Raises ConfigurationError if the landing zone cannot be read.
    """
    latest = datetime.now(UTC).date() + AHEAD_OF_NIGHT
    found = []
    with storage.opened(settings.landing) as zone:
        for entry in _root(zone):
            feed = difflib.get_close_matches(entry.name.casefold(), FEEDS, 1, 0)[0]
            if why := _why_no_feed(entry, feed):
                found.append(Stray(feed, reported(entry.name), why))
        for feed in FEEDS:
            entries, problem = _listed(zone, feed)
            if problem:
                found.append(
                    Stray(feed, feed, f"cannot be read: {problem}; its deliveries were not looked for")
                )
            for entry in entries:
                if why := _why_no_date(settings, feed, entry, latest):
                    found.append(Stray(feed, f"{feed}/{reported(entry.name)}", why))
    return found


def overlooked(settings: Settings, first: date) -> list[Stray]:
    """Deliveries of dates before `first` that no load has read, from the first date that the ledger has of
    their feed: they came too late for a night to look at them.

    Raises ConfigurationError if the landing zone or the warehouse cannot be read.
    """
    found = []
    with connect(settings, "loader") as connection, storage.opened(settings.landing) as zone:
        for feed in FEEDS:
            known = deliveries.known_dates(connection, feed)
            expired = deliveries.newest_expired_date(connection, feed)
            begin = max([min(known, default=first), *([expired + timedelta(days=1)] if expired else [])])
            entries, _ = _listed(zone, feed)
            for day in sorted(
                {day for day in map(_date_of, entries) if day and begin <= day < first} - known
            ):
                arrival = look(zone, feed, day)
                if arrival.data or arrival.problem:
                    why = (
                        f"lies there, not loaded: no night looks before {first}; load it with "
                        f"`parc ingest {feed} --date {day}`, or remove it"
                    )
                    found.append(Stray(feed, f"{feed}/date={day}", why))
    return found


def has_arrived(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether a complete delivery of the feed and date has arrived.

    Raises ConfigurationError if the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        arrival = look(zone, feed, business_date)
        is_present = bool(arrival.data or arrival.problem)
        return is_present and not unfinished(zone, feed, business_date, arrival)


def why_incomplete(settings: Settings, feed: str, business_date: date) -> str | None:
    """Why a delivery seems to be still being written; None if it is complete or absent.

    Raises ConfigurationError if the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        waits = unfinished(zone, feed, business_date, look(zone, feed, business_date))
        return waits and waits.why


def not_built(settings: Settings, feed: str) -> set[date]:
    """Dates of the feed that are published but not yet in the marts."""
    with connect(settings, "loader") as connection:
        return {delivery.business_date for delivery in deliveries.not_built(connection, feed)}


def _listed(zone: Folder, feed: str) -> tuple[list[Entry], str | None]:
    """The entries of a feed's folder, or why it cannot be listed.

    Raises the error if the whole landing zone is the problem.
    """
    try:
        return zone.entries(feed), None
    except OSError as error:
        problem = own_reason(error, zone, feed)
    log.error("%s cannot be read: %s", feed, problem)
    return [], problem


def _root(zone: Folder) -> list[Entry]:
    """The entries beside the feeds' folders; none if this user may only list the feeds."""
    try:
        return zone.entries()
    except OSError as error:  # if the whole zone is out of reach, listing the feeds reports it
        log.info("%s cannot be listed: %s", zone.url, error)
        return []


def _why_no_feed(entry: Entry, feed: str) -> str | None:
    """Why an entry beside the feeds' folders is a stray; `feed` has the most similar name."""
    if entry.name in FEEDS:
        return _NO_FOLDER.get(entry.kind)
    similarity = difflib.SequenceMatcher(None, entry.name.casefold(), feed).ratio()
    if is_data(entry.name) or (entry.kind != "file" and similarity >= MIN_SIMILARITY):
        return f"is not the folder of a feed; does it belong to {feed}? Rename or remove it"
    return None


def _why_no_date(settings: Settings, feed: str, entry: Entry, latest: date) -> str | None:
    """Why an entry in a feed's folder is a stray."""
    if day := _date_of(entry):
        if not EARLIEST <= day <= latest and not _is_known(settings, feed, day):
            return _NOT_LOOKED_FOR
        return _NO_FOLDER.get(entry.kind)
    is_stray = is_data(entry.name) or entry.name.casefold().startswith("date=")
    if entry.kind != "file" and not entry.name.startswith((".", "_")):
        is_stray = is_stray or bool(_HAS_DATE.search(entry.name))
    return _NOT_LOOKED_FOR if is_stray else None


def _date_of(entry: Entry) -> date | None:
    """The business date of a date folder, or of a link in its place."""
    kind, _, text = entry.name.partition("=")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if kind == "date" and text == str(day) and entry.kind != "file" else None


def _is_known(settings: Settings, feed: str, business_date: date) -> bool:
    """Whether the date is published anyway."""
    with connect(settings, "loader") as connection:
        return deliveries.published(connection, feed, business_date) is not None


def unfinished(zone: Folder, feed: str, business_date: date, arrival: Arrival) -> Unfinished | None:
    """Why a delivery seems to be still being written; None if it is complete or absent."""
    now = datetime.now(UTC)

    def is_fresh(moment: datetime | None, span: timedelta) -> TypeGuard[datetime]:
        """Times in the future come from a clock ahead of ours; far in the future they mean nothing."""
        return moment is not None and -STALLED < now - moment < span

    for upload in arrival.uploads:
        if is_fresh(upload.modified_at, STALLED):
            return Unfinished(f"{reported(upload.name)} is on its way", upload.modified_at + STALLED)
    controlled_at = _newest(arrival.controls)
    modified_at = _newest((*arrival.data, *arrival.controls))
    problem = arrival.broken_link
    if any(entry.kind == "link out" for entry in (*arrival.data, *arrival.controls)):
        return None  # no further file would fix it
    if arrival.controls and not problem:
        problem = _control_problem(zone, feed, business_date, arrival)
    if problem and is_fresh(modified_at, STALLED):
        return Unfinished(problem, modified_at + STALLED)
    is_control_last = bool(arrival.controls) and controlled_at == modified_at
    if not (problem or is_control_last) and is_fresh(modified_at, QUIET):
        why = f"the last file was written at {time_shown(modified_at)}, and no control file after it"
        return Unfinished(why, modified_at + QUIET)
    return None


def _control_problem(zone: Folder, feed: str, business_date: date, arrival: Arrival) -> str | None:
    """Why the control file does not yet match the files present."""
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
        return f"{CONTROL} names {reported(others[0])}, {why_absent(others[0], arrival.others)}"
    return f"{CONTROL} names {named(list(map(reported, sorted(missing))))}, not there yet"


def _newest(entries: Iterable[Entry]) -> datetime | None:
    return max((entry.modified_at for entry in entries if entry.modified_at), default=None)


def _is_seen(arrival: Arrival, last_look: Delivery | None) -> bool:
    """Whether the files are unchanged since the last look. A load that died does not count as a look, because
    the next load takes it over. Without a listing, only names and sizes of the data files are known."""
    if last_look is None or last_look.is_loading:
        return False
    if last_look.listing is not None:
        return last_look.listing == arrival.listing
    modified_at = _newest((*arrival.data, *arrival.controls))
    seen_files = {(file["name"], file["bytes"]) for file in last_look.files}
    files = {(reported(entry.name), entry.bytes) for entry in arrival.data}
    return files == seen_files and (modified_at is None or modified_at <= last_look.looked_at)
