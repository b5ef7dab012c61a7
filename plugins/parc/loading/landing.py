"""Reads a delivery from the landing zone: its data files, their digests, the control file.

Nothing is written, moved or deleted there. Files on another machine are copied here to be read; listing the
folder again shows if one was written to in the meantime. Links are followed within the landing zone.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from parc import storage
from parc.ledger import locks
from parc.ledger.deliveries import File
from parc.loading.control import NO_CONTROL_FILE, Control, is_control, parse
from parc.loading.limits import MOST_BYTES, MOST_CONTROL_BYTES, MOST_FILES
from parc.loading.names import plain, reported
from parc.loading.packed import why_not_whole
from parc.settings import Settings
from parc.storage import OF_ONE_FILE, Entry, Folder
from parc.warehouse import connect
from parc.warehouse.maintenance import MaintenanceResult

COPIES = "copies"
SUFFIXES = (".csv", ".csv.gz", ".parquet")
TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".uploading")
"""Suffixes that upload clients give a file until it is complete; rsync puts a dot in front instead."""

COMPANIONS = ("_success", ".ds_store", "thumbs.db", "desktop.ini")
COMPANION_PREFIXES = ("._", "~$", ".~lock.")
"""Files that systems leave beside those they write: macOS, Office, LibreOffice; also `*.crc` (Hadoop)."""

MOST_IGNORED_REPORTED = 10


@dataclass(frozen=True)
class Arrival:
    """The folder of a feed and a date.

    `data` are the data files and `controls` the files named like the control file, including dangling links;
    `uploads` are files under temporary names; `others` the plain names of everything else, `ignored` what to
    say about it. `problem` says why the folder cannot be read or followed.
    """

    data: tuple[Entry, ...] = ()
    controls: tuple[Entry, ...] = ()
    uploads: tuple[Entry, ...] = ()
    others: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def listing(self) -> list[list[Any]]:
        """Name, bytes and time of the last write (ISO 8601, UTC) of all files that are read, sorted."""
        return sorted(
            [reported(entry.name), entry.bytes, entry.modified_at and entry.modified_at.isoformat()]
            for entry in (*self.data, *self.controls)
        )

    @property
    def broken_link(self) -> str | None:
        """The first file whose link cannot be followed, and why; None if there is none."""
        ends = {
            "dangling link": "is a link to a file that is missing or out of reach; deliver the file",
            "link out": "is a link to a place outside the landing zone and is not followed; "
            "deliver the file itself",
        }
        broken = (entry for entry in (*self.data, *self.controls) if entry.kind in ends)
        return next((f"{reported(entry.name)} {ends[entry.kind]}" for entry in broken), None)

    @property
    def excess(self) -> str | None:
        """Which limit the delivery exceeds, or None."""
        if len(self.data) > MOST_FILES:
            return f"it has {len(self.data):,} files, at most {MOST_FILES:,} are read; merge some"
        size = sum(entry.bytes for entry in self.data)
        if size > MOST_BYTES:
            return (
                f"its files have {size:,} bytes, at most {MOST_BYTES:,} are read; deliver each day separately"
            )
        return None


@dataclass(frozen=True)
class DeliveredFile:
    """A data file; `name` is safe to show, `path` is the file or its copy on this machine.

    `was_written_to`: it was written to while it was being copied.
    """

    name: str
    uri: str
    path: Path
    bytes: int
    sha256: str
    modified_ns: int
    was_written_to: bool = False

    def has_changed(self) -> bool:
        """Whether the file was written to after its digest was taken."""
        if self.was_written_to:
            return True
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return True
        return (now.st_size, now.st_mtime_ns) != (self.bytes, self.modified_ns)


@dataclass(frozen=True)
class CollectedDelivery:
    """The files delivered for a feed and a date, ordered by name, and what the control file says.

    `problem` says why the delivery cannot be accepted: `files` are then empty, or contradict the control
    file. `listing` is the arrival's; `ignored` describes everything else in the folder.
    """

    url: str
    listing: list[list[Any]]
    ignored: tuple[str, ...]
    files: tuple[DeliveredFile, ...] = ()
    control: Control = NO_CONTROL_FILE
    problem: str | None = None

    @property
    def content_sha256(self) -> str:
        """Digest of the files' digests: the same bytes give the same digest, whatever the file names."""
        digests = sorted(file.sha256 for file in self.files)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @property
    def recorded_files(self) -> list[File]:
        """The files as the ledger keeps them."""
        return [
            File(name=file.name, uri=file.uri, bytes=file.bytes, sha256=file.sha256) for file in self.files
        ]


@contextmanager
def collect(settings: Settings, feed: str, business_date: date) -> Iterator[CollectedDelivery]:
    """The delivery in its current state; without a folder it has no files.

    Files on another machine are first copied to `home/copies`, and the copies are removed at the end. The
    caller holds the lock of the feed and date, so any existing copies belong to a run that died, or that has
    lost its connection without knowing it yet.

    Raises ConfigurationError if the landing zone does not exist or cannot be read.
    """
    of_feed = settings.home / COPIES / feed
    of_feed.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in of_feed.glob(f"{business_date}*"):
        shutil.rmtree(left, ignore_errors=True)
    # In a separate folder, so that a run that lost its connection only removes its own copies.
    copies = Path(tempfile.mkdtemp(prefix=f"{business_date}_", dir=of_feed))
    try:
        with storage.opened(settings.landing) as zone:
            delivery = _read(zone, feed, business_date, copies)
        yield delivery
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def unreadable(settings: Settings, feed: str, business_date: date, problem: str) -> CollectedDelivery:
    """A delivery that could not be read at all, with the reason.

    Raises ConfigurationError if the landing zone cannot be read.
    """
    with storage.opened(settings.landing) as zone:
        url = f"{zone.url}/{place_of(feed, business_date)}"
        return CollectedDelivery(url, look(zone, feed, business_date).listing, (), problem=problem)


def clear_copies(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    """Delete copies left by dead runs that were never repeated, because they hold people's numbers."""
    count = size = 0
    with connect(settings, "loader", autocommit=True) as connection:
        for copies in sorted((settings.home / COPIES).glob("*/*")):
            try:
                business_date = date.fromisoformat(copies.name[: len("2012-04-25")])
            except ValueError:
                continue  # not a copy of ours
            with connection.transaction():
                if not locks.try_keep(connection, locks.of_load(copies.parent.name, business_date)):
                    continue
                count += 1
                size += sum(file.stat().st_size for file in copies.rglob("*") if file.is_file())
                if not dry_run:
                    shutil.rmtree(copies, ignore_errors=True)
    return (
        [MaintenanceResult("copies of deliveries that dead loads left deleted", count, size)] if count else []
    )


def look(zone: Folder, feed: str, business_date: date) -> Arrival:
    """List the folder of a feed and a date, without reading any file."""
    place = place_of(feed, business_date)
    try:
        entries = zone.entries(place)
        if entries and not zone.holds(place):
            return Arrival(
                problem=f"{place} is a link to a place outside the landing zone and is not followed"
            )
    except OSError as error:
        return Arrival(problem=f"{place} cannot be read: {own_reason(error, zone, feed)}")
    data, controls, uploads, others = [], [], [], []
    for entry in entries:
        if entry.kind in ("folder", "special file"):
            others.append(entry)
        elif is_data(entry.name):
            data.append(entry)
        elif is_control(entry.name):
            controls.append(entry)
        elif entry.is_file and is_upload(entry.name):
            uploads.append(entry)
        else:
            others.append(entry)
    ignored = [each for each in (*uploads, *others) if not (each.is_file and is_companion(each.name))]
    names = tuple(plain(entry.name) for entry in (*uploads, *others))
    return Arrival(tuple(data), tuple(controls), tuple(uploads), names, _ignored(ignored))


def read_control(zone: Folder, feed: str, business_date: date, controls: Sequence[Entry]) -> Control:
    """Read a delivery's control file; without one, an empty Control.

    Raises ValueError if it cannot be read, or if there are several that disagree.
    """
    found = set()
    for entry in controls:
        if entry.bytes > MOST_CONTROL_BYTES:
            raise ValueError(f"{reported(entry.name)} cannot be read: it holds {entry.bytes:,} bytes")
        try:
            found.add(parse(zone.read(f"{place_of(feed, business_date)}/{entry.name}")))
        except OSError as error:
            reason = own_reason(error, zone, feed)
            raise ValueError(f"{reported(entry.name)} cannot be read: {reason}") from None
        except ValueError as error:
            raise ValueError(f"{reported(entry.name)} cannot be read: {error}") from None
    if len(found) > 1:
        names = " and ".join(reported(entry.name) for entry in controls)
        raise ValueError(f"there is more than one control file, and they differ: {names}; keep one")
    return found.pop() if found else NO_CONTROL_FILE


def is_data(name: str) -> bool:
    """Whether a file of this name belongs to the data of a delivery."""
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "_", *COMPANION_PREFIXES))


def is_upload(name: str) -> bool:
    """Whether a file of this name is an upload in progress."""
    of_rsync = name.startswith(".") and not is_companion(name) and any(each in name for each in SUFFIXES)
    return name.endswith(TEMPORARY) or of_rsync


def is_companion(name: str) -> bool:
    """Whether a file of this name is a by-product of some system, which is neither read nor reported."""
    lower = name.lower()
    return lower in COMPANIONS or lower.startswith(COMPANION_PREFIXES) or lower.endswith(".crc")


def place_of(feed: str, business_date: date) -> str:
    """The folder of a delivery in the landing zone."""
    return f"{feed}/date={business_date}"


def _ignored(entries: Sequence[Entry]) -> tuple[str, ...]:
    are = {
        "folder": "/ is a folder",
        "special file": " is not a file",
        "dangling link": " is a link to nothing",
        "link out": " is a link to a place outside the landing zone",
        "file": " is not a data file",
    }
    lines = [
        f"{reported(entry.name)}{are[entry.kind]} and was ignored"
        for entry in entries[:MOST_IGNORED_REPORTED]
    ]
    more = len(entries) - MOST_IGNORED_REPORTED
    return (*lines, *([f"so were {more:,} more"] if more > 0 else []))


def own_reason(error: OSError, zone: Folder, feed: str) -> str:
    """Why part of a feed cannot be read. Raises the error instead if the landing zone is the problem: then
    neither the feed's folder nor the zone can be listed."""
    if error.errno not in OF_ONE_FILE:
        raise error
    try:
        zone.entries(feed)
    except OSError as of_feed:
        if of_feed.errno not in OF_ONE_FILE or zone.has_file(""):
            raise
        zone.entries()
    reasons = {
        errno.EACCES: "permission denied; let this user read it",
        errno.EPERM: "permission denied; let this user read it",
        errno.ENOENT: "it was removed while it was being read; run this again",
    }
    return reasons.get(error.errno, str(error.strerror))


def _read(zone: Folder, feed: str, business_date: date, copies: Path) -> CollectedDelivery:
    arrival, place = look(zone, feed, business_date), place_of(feed, business_date)
    delivery = CollectedDelivery(
        f"{zone.url}/{place}", arrival.listing, arrival.ignored, problem=arrival.problem
    )
    if not arrival.data:
        if not (arrival.others or arrival.problem) and zone.has_file(place):
            return replace(delivery, ignored=(f"{place} is a file where a folder should be",))
        return delivery
    if problem := arrival.problem or arrival.broken_link or arrival.excess:
        return replace(delivery, problem=problem)
    files = []
    try:
        for number, entry in enumerate(arrival.data):
            name = entry.name
            if zone.is_on_disk:
                files.append(_delivered(entry, Path(zone.path) / place / entry.name, delivery.url))
            else:
                zone.copy(f"{place}/{entry.name}", copies / str(number))
                files.append(_delivered(entry, copies / str(number), delivery.url))
        name = place
        after = {} if zone.is_on_disk else {entry.name: entry for entry in zone.entries(place)}
    except OSError as error:
        return replace(delivery, problem=f"{reported(name)} cannot be read: {own_reason(error, zone, feed)}")
    if not zone.is_on_disk:
        files = [
            replace(file, was_written_to=entry != after.get(entry.name) or entry.bytes != file.bytes)
            for entry, file in zip(arrival.data, files, strict=True)
        ]
    delivery = replace(delivery, files=tuple(files))
    try:
        control = read_control(zone, feed, business_date, arrival.controls)
    except ValueError as error:
        return replace(delivery, problem=str(error))
    digests = [(plain(entry.name), file.sha256) for entry, file in zip(arrival.data, files, strict=True)]
    problem = control.contradiction(digests, arrival.others)
    if problem:
        given = [digest for _, digest in control.sha256]
        others = [file for file in files if file.sha256 not in given]
        causes = [f"{file.name}: {why}" for file in others if (why := why_not_whole(file.name, file.path))]
        problem = "; ".join([problem, *causes])
    return replace(delivery, control=control, problem=problem)


def _delivered(entry: Entry, path: Path, url: str) -> DeliveredFile:
    with path.open("rb") as stream:
        before = path.stat()
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = reported(entry.name)
    return DeliveredFile(name, f"{url}/{name}", path, before.st_size, digest, before.st_mtime_ns)
