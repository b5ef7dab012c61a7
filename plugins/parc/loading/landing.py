"""What lies in the landing zone for a feed and a date: data files, their digests, the control file.

Nothing is written there, moved or deleted. Files of another machine are copied here to be read; one that was
written to meanwhile is told by listing the folder again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from parc import storage
from parc.settings import Settings
from parc.storage import Entry, Folder
from parc.warehouse import connect, partitions
from parc.warehouse.maintenance import Act

COPIES = "copies"
CONTROL = "_CONTROL.json"
SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class DeliveredFile:
    """A data file; `path` is where its bytes are on this machine.

    `is_torn`: it was written to while it was copied here.
    """

    name: str
    uri: str
    path: Path
    bytes: int
    sha256: str
    modified_ns: int
    is_torn: bool = False

    def has_changed(self) -> bool:
        """Whether someone wrote to the file since its digest was taken."""
        if self.is_torn:
            return True
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return True
        return (now.st_size, now.st_mtime_ns) != (self.bytes, self.modified_ns)


@dataclass(frozen=True)
class Delivery:
    """The files that were delivered for a feed and a date, by name; `control` is the control file's text."""

    url: str
    files: tuple[DeliveredFile, ...]
    ignored: tuple[str, ...]
    control: str | None

    @property
    def content_sha256(self) -> str:
        """Digest of the files' digests: the same bytes give the same one, whatever the files are called."""
        digests = sorted(file.sha256 for file in self.files)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def check_control(self) -> str | None:
        """What the control file says that the files are not, or None."""
        try:
            said = control_content(self.control)
        except ValueError as error:
            return f"{CONTROL} cannot be read: {error}"
        digests = {file.name: file.sha256 for file in self.files}
        for name, digest in said["sha256"].items():
            if name not in digests:
                return f"{CONTROL} names {name}, which is not there"
            if digests[name] != digest:
                return f"{CONTROL} gives {name} the sha256 {digest}, it is {digests[name]}"
        unnamed = sorted(digests.keys() - said["sha256"].keys()) if said["sha256"] else []
        return f"{CONTROL} does not name {', '.join(unnamed)}" if unnamed else None

    @property
    def control_rows(self) -> int | None:
        """Rows that the files hold according to a readable control file; None = it does not say."""
        rows: int | None = control_content(self.control)["rows"]
        return rows


def control_content(text: str | None) -> dict[str, Any]:
    """What a control file says: `rows` (None = nothing), and `sha256` by file name; of None, nothing.

    Raises ValueError where it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}.
    """
    said = json.loads(text) if text is not None else {}
    if not isinstance(said, dict):
        raise ValueError("it holds no JSON object")
    rows, digests = said.get("rows"), said.get("sha256", {})
    if said and not said.keys() & {"rows", "sha256"}:
        raise ValueError('it says neither "rows" nor "sha256"')
    if not isinstance(rows, int | None) or isinstance(rows, bool) or not isinstance(digests, dict):
        raise ValueError('it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}')
    return {"rows": rows, "sha256": digests}


@contextmanager
def collect(settings: Settings, feed: str, business_date: date) -> Iterator[Delivery]:
    """The delivery as it lies there now; without a folder, one without files.

    Files of another machine are copied to `home/copies` first and the copies removed in the end; the caller
    holds the lock of the feed and date, so copies that are there are those of a run that died, or lost its
    connection and does not know yet.

    Raises ConfigurationError when the landing zone cannot be read, or is not there at all.
    """
    of_feed = settings.home / COPIES / feed
    of_feed.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in of_feed.glob(f"{business_date}*"):
        shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: the run that lost its connection clears away only what it copied itself.
    copies = Path(tempfile.mkdtemp(prefix=f"{business_date}_", dir=of_feed))
    try:
        with storage.opened(settings.landing) as zone:
            delivery = _look(zone, place_of(feed, business_date), copies)
        yield delivery
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def clear_copies(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Delete the copies of deliveries that dead runs left and nobody loaded again: people's numbers."""
    count = size = 0
    with connect(settings, "loader", autocommit=True) as connection:
        for copies in sorted((settings.home / COPIES).glob("*/*")):
            feed, business_date = copies.parent.name, date.fromisoformat(copies.name[: len("2012-04-25")])
            with connection.transaction():
                if not partitions.try_date_lock(connection, feed, business_date):
                    continue
                count += 1
                size += sum(file.stat().st_size for file in copies.iterdir())
                if not dry_run:
                    shutil.rmtree(copies)
    return [Act("copies of deliveries that dead loads left deleted", count, size)] if count else []


def is_data(name: str) -> bool:
    """Whether a file of this name belongs to the data of a delivery."""
    return name.endswith(SUFFIXES) and not name.startswith((".", "_"))


def place_of(feed: str, business_date: date) -> str:
    """Where a delivery lies in the landing zone."""
    return f"{feed}/date={business_date}"


def read_control(zone: Folder, place: str) -> str:
    """The text of a delivery's control file, whatever its bytes are."""
    return zone.read(f"{place}/{CONTROL}").decode(errors="replace")


def _look(zone: Folder, place: str, copies: Path) -> Delivery:
    entries = [entry for entry in zone.entries(place) if entry.is_file]
    data = [entry for entry in entries if is_data(entry.name)]
    names = {entry.name for entry in entries}
    control = read_control(zone, place) if CONTROL in names else None
    url = f"{zone.url}/{place}"
    if zone.is_on_disk:
        files = [_delivered(Path(zone.path) / place / entry.name, url) for entry in data]
    else:
        for entry in data:
            zone.copy(f"{place}/{entry.name}", copies / entry.name)
        after = {entry.name: entry for entry in zone.entries(place)}
        files = [_copied(copies / entry.name, url, entry, after.get(entry.name)) for entry in data]
    ignored = sorted(names - {entry.name for entry in data} - {CONTROL})
    return Delivery(url, tuple(files), tuple(ignored), control)


def _copied(path: Path, url: str, before: Entry, after: Entry | None) -> DeliveredFile:
    file = _delivered(path, url)
    return replace(file, is_torn=before != after or before.bytes != file.bytes)


def _delivered(path: Path, url: str) -> DeliveredFile:
    with path.open("rb") as stream:
        before = path.stat()
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    uri = f"{url}/{path.name}"
    return DeliveredFile(path.name, uri, path, before.st_size, digest, before.st_mtime_ns)
