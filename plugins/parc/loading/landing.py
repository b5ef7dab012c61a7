"""What lies in the landing zone for a feed and a date: data files, their digests, the control file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from parc.errors import ConfigurationError
from parc.settings import Settings
from parc.warehouse import connect, partitions
from parc.warehouse.maintenance import Act

COPIES = "copies"
CONTROL = "_CONTROL.json"
SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class DeliveredFile:
    """A data file; `path` is where its bytes are on this machine."""

    name: str
    uri: str
    path: Path
    bytes: int
    sha256: str
    modified_ns: int

    def has_changed(self) -> bool:
        """Whether someone wrote to the file since its digest was taken."""
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
            said = self._said()
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
        rows: int | None = self._said()["rows"]
        return rows

    def _said(self) -> dict[str, Any]:
        """The control file's content.

        Raises ValueError where it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}.
        """
        said = json.loads(self.control) if self.control is not None else {}
        if not isinstance(said, dict):
            raise ValueError("it holds no JSON object")
        rows, digests = said.get("rows"), said.get("sha256", {})
        if not isinstance(rows, int | None) or isinstance(rows, bool) or not isinstance(digests, dict):
            raise ValueError('it is not of the shape {"rows": N, "sha256": {"<file>": "..."}}')
        return {"rows": rows, "sha256": digests}


@contextmanager
def collect(settings: Settings, feed: str, business_date: date) -> Iterator[Delivery]:
    """The delivery as it lies there now; without a folder, one without files.

    Files of another machine are copied to `home/copies` first and the copies removed in the end; the caller
    holds the lock of the feed and date, so copies that are there are a dead run's.

    Raises ConfigurationError when the landing zone cannot be read, or is not there at all.
    """
    check_root(settings.landing)
    url = f"{settings.landing.rstrip('/')}/{feed}/date={business_date}"
    copies = settings.home / COPIES / feed / str(business_date)
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(parents=True, mode=0o700)
    try:
        try:
            delivery = _look(url, copies)
        except (OSError, ImportError, ValueError) as error:
            raise ConfigurationError(f"{url} cannot be read: {error}; is PARC_LANDING right?") from error
        yield delivery
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def clear_copies(settings: Settings, *, dry_run: bool = False) -> list[Act]:
    """Delete the copies of deliveries that dead runs left and nobody loaded again: people's numbers."""
    count = size = 0
    with connect(settings, "loader", autocommit=True) as connection:
        for copies in sorted((settings.home / COPIES).glob("*/*")):
            feed, business_date = copies.parent.name, date.fromisoformat(copies.name)
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


def check_root(landing: str) -> None:
    """An object store has no folders: a zone that is not there differs from an empty one on disk alone.

    Raises ConfigurationError.
    """
    is_on_disk = fsspec.utils.get_protocol(landing) in LocalFileSystem.protocol
    if is_on_disk and not LocalFileSystem().exists(landing):
        raise ConfigurationError(
            f"the landing zone {landing} does not exist: nothing was looked for; "
            "set PARC_LANDING to where deliveries arrive, or make the folder"
        )


def _look(url: str, copies: Path) -> Delivery:
    filesystem, folder = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    try:
        entries = filesystem.ls(folder, detail=True)
    except FileNotFoundError:
        entries = []
    names = sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "file")
    data = [name for name in names if is_data(name)]
    control = None
    if CONTROL in names:
        control = filesystem.cat_file(f"{folder}/{CONTROL}").decode(errors="replace")
    files = []
    for name in data:
        path = Path(folder) / name
        if not isinstance(filesystem, LocalFileSystem):
            path = copies / name
            filesystem.get_file(f"{folder}/{name}", str(path))
        files.append(_delivered(path, f"{url}/{name}"))
    return Delivery(url, tuple(files), tuple(name for name in names if name not in (*data, CONTROL)), control)


def _delivered(path: Path, uri: str) -> DeliveredFile:
    with path.open("rb") as stream:
        before = path.stat()
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return DeliveredFile(path.name, uri, path, before.st_size, digest, before.st_mtime_ns)
