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

import difflib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from parc import storage
from parc.feeds import FEEDS, IN_LOADING_ORDER
from parc.ledger import deliveries
from parc.ledger.deliveries import Delivery
from parc.loading.control import CONTROL, whereabouts
from parc.loading.dates import AHEAD_OF_NIGHT, EARLIEST
from parc.loading.landing import Arrival, is_data, look, own_reason, read_control
from parc.loading.limits import named
from parc.loading.names import plain, reported
from parc.settings import Settings
from parc.storage import Entry, Folder
from parc.warehouse import connect

log = logging.getLogger(__name__)

QUIET = timedelta(minutes=5)
"""A delivery without a control file that was written to within this time may still be on its way."""

STALLED = timedelta(hours=1)
"""An upload to which nothing was written for this time has broken off."""

HOW_ALIKE = 0.8
"""A folder whose name is this like a feed's (difflib's ratio) was meant for it."""

_HAS_DATE = re.compile(r"(?i)^date\b|\d\d")
_UNLOOKED = "lies where no night looks for a business date: rename it, or take it away"
_NO_FOLDER = {
    "file": "is a file where a folder should be: rename it, or take it away",
    "special file": "is neither a file nor a folder: take it away",
    "dangling link": "is a link to what is not there or cannot be reached: mend it, or take it away",
    "link out": "is a link to a place outside the landing zone, never followed: deliver the folder itself",
}


@dataclass(frozen=True)
class Stray:
    """What nobody looks at: `place` in the landing zone, `why`, and the feed it was most likely meant for."""

    feed: str
    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place} {self.why}"


def unseen(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries of the dates `first` to `last` that lie there otherwise than when they were looked at last:
    late, restated and sent again, references first. One still being written is left for the next look.

    A delivery that was refused stays seen until other files lie there, or the same were written again. One
    whose load died is found, also of an older date, even if nothing lies there any more: loading it settles
    it. Of a feed whose folder cannot be listed only such are found; `strays` tells it.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    with connect(settings, "loader") as connection:
        last_looks = deliveries.last_looks(connection, first, last)
    dead = {key for key, delivery in last_looks.items() if delivery.is_loading}
    found = []
    with storage.opened(settings.landing) as zone:
        for feed in IN_LOADING_ORDER:
            entries, _ = _listed(zone, feed)
            days = {day for day in map(_date_of, entries) if day and first <= day <= last}
            for day in sorted(days | {day for of_feed, day in dead if of_feed == feed}):
                arrival = look(zone, feed, day)
                lies_there = bool(arrival.data or arrival.problem)
                if _is_seen(arrival, last_looks.get((feed, day))) or not (lies_there or (feed, day) in dead):
                    continue
                if lies_there and (why := _still_coming(zone, feed, day, arrival)):
                    log.info("%s %s is still being written (%s); left for the next look", feed, day, why)
                else:
                    found.append((feed, day))
    return found


def strays(settings: Settings) -> list[Stray]:
    """What lies where nobody looks: data files beside the folders of the dates; folders whose date is none,
    never comes, or is spelt in another manner; what is called like a date or a feed, and is no folder;
    folders called almost like a feed; feeds whose folder cannot be listed.

    Folders without a date in their names are taken for the supplier's own, as are those whose name begins
    with a dot or an underscore.

    Raises ConfigurationError when the landing zone cannot be read.
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
                found.append(Stray(feed, feed, f"cannot be read: {problem}; nothing of it was looked for"))
            for entry in entries:
                if why := _why_no_date(settings, feed, entry, latest):
                    found.append(Stray(feed, f"{feed}/{reported(entry.name)}", why))
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
        return {delivery.business_date for delivery in deliveries.not_built(connection, feed)}


def _listed(zone: Folder, feed: str) -> tuple[list[Entry], str | None]:
    """What lies in a feed's folder, or why that is not known.

    Raises the error where it is the landing zone's.
    """
    try:
        return zone.entries(feed), None
    except OSError as error:
        problem = own_reason(error, zone, feed)
    log.error("%s cannot be read: %s", feed, problem)
    return [], problem


def _root(zone: Folder) -> list[Entry]:
    """What lies beside the feeds' folders; nothing where this user may list the feeds alone."""
    try:
        return zone.entries()
    except OSError as error:  # if the zone is away, the listing of the feeds says so
        log.info("%s cannot be listed: %s", zone.url, error)
        return []


def _why_no_feed(entry: Entry, feed: str) -> str | None:
    """Why nobody looks at something beside the feeds' folders; `feed` is the one called most like it."""
    if entry.name in FEEDS:
        return _NO_FOLDER.get(entry.kind)
    likeness = difflib.SequenceMatcher(None, entry.name.casefold(), feed).ratio()
    if is_data(entry.name) or (entry.kind != "file" and likeness >= HOW_ALIKE):
        return f"lies where no feed is looked for, is it of {feed}? Rename it, or take it away"
    return None


def _why_no_date(settings: Settings, feed: str, entry: Entry, latest: date) -> str | None:
    """Why nobody looks at something in the folder of a feed."""
    if day := _date_of(entry):
        if not EARLIEST <= day <= latest and not _is_known(settings, feed, day):
            return _UNLOOKED
        return _NO_FOLDER.get(entry.kind)
    is_stray = is_data(entry.name) or entry.name.casefold().startswith("date=")
    if entry.kind != "file" and not entry.name.startswith((".", "_")):
        is_stray = is_stray or bool(_HAS_DATE.search(entry.name))
    return _UNLOOKED if is_stray else None


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
        return deliveries.published(connection, feed, business_date) is not None


def _still_coming(zone: Folder, feed: str, business_date: date, arrival: Arrival) -> str | None:
    now = datetime.now(UTC)

    def is_fresh(moment: datetime | None, span: timedelta) -> bool:
        """A moment in the future is a clock that runs ahead of ours, or no clock at all."""
        return moment is not None and -STALLED < now - moment < span

    for upload in arrival.uploads:
        if is_fresh(upload.modified_at, STALLED):
            return f"{reported(upload.name)} is on its way"
    controlled_at = _newest(arrival.controls)
    modified_at = _newest((*arrival.data, *arrival.controls))
    problem = arrival.broken_link
    if any(entry.kind == "link out" for entry in (*arrival.data, *arrival.controls)):
        return None  # nothing that may still come mends it
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
        return f"{CONTROL} names {reported(others[0])}, {whereabouts(others[0], arrival.others)}"
    return f"{CONTROL} names {named(list(map(reported, sorted(missing))))}, not there yet"


def _newest(entries: Iterable[Entry]) -> datetime | None:
    return max((entry.modified_at for entry in entries if entry.modified_at), default=None)


def _is_seen(arrival: Arrival, last_look: Delivery | None) -> bool:
    """Whether the files lie there as they did at the last look. A load that died half-way does not count as a
    look: the next load goes on from it. Without a listing only the names and sizes of the data are known."""
    if last_look is None or last_look.is_loading:
        return False
    if last_look.listing is not None:
        return last_look.listing == arrival.listing
    modified_at = _newest((*arrival.data, *arrival.controls))
    seen_files = {(file["name"], file["bytes"]) for file in last_look.files}
    files = {(reported(entry.name), entry.bytes) for entry in arrival.data}
    return files == seen_files and (modified_at is None or modified_at <= last_look.looked_at)
