"""The folder of the backups (PARC_BACKUPS), as files: what there is, and what can be restored from it.

    forgotten.json, secrets/ ...    newest copies of what belongs to the warehouse and is not in it
    log-STAMP/                      one unbroken part of the server's log (its write-ahead log)
        segments/                   the log's files, written as the server writes them
        backup-STAMP/               a backup of the whole server, with `backup.json` once it is verified
            base.tar.gz             all databases
            backup_manifest         the digest of each file in it
            home/                   the same copies as above, of that time
            switch/                 the switch's table of that time; `database.dump` if the platform owns it

A moment can be restored from a backup that ended before it, and the segments from there on without a gap.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from parc.errors import Busy
from parc.settings import Settings

RECORD = "backup.json"
SEGMENT = re.compile(r"[0-9A-F]{24}")
SEGMENT_BYTES = 16 << 20
STAMP = "%Y-%m-%dT%H%M%S.%fZ"
SMALL_FILES = ("forgotten.json", "airflow_users.csv", "weekly_addresses.csv")
"""Files of the platform's home that belong to the warehouse; so do those in `secrets`."""


@dataclass(frozen=True)
class Backup:
    """A verified backup: when it was begun and complete (UTC), the bytes it takes, and the part of the log
    without which it cannot be used."""

    folder: Path
    started_at: datetime
    ended_at: datetime
    byte_count: int
    timeline: int
    start_lsn: str
    end_lsn: str

    @property
    def first_segment(self) -> str:
        """The segment at which its log starts."""
        return segment_of(self.timeline, self.start_lsn)

    @property
    def log(self) -> Path:
        """The folder of its part of the log."""
        return self.folder.parent

    def segments(self) -> list[Path]:
        """The log's files from its start on, without a gap."""
        found = segments(self.log)
        names = [self.first_segment]
        while names[-1] in found:
            names.append(following(names[-1]))
        return [found[name] for name in names[:-1]]

    def reaches(self) -> datetime:
        """The last moment that can be restored from it: when its log was last written."""
        files = self.segments()
        last = segment_of(self.timeline, self.end_lsn)
        if not files or name_of(files[-1]) < last:
            return datetime.min.replace(tzinfo=UTC)
        return max(self.ended_at, datetime.fromtimestamp(files[-1].stat().st_mtime, UTC))

    def write(self) -> None:
        """Write its record, which makes it a backup."""
        record = {
            **asdict(self),
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
        }
        del record["folder"]
        write(self.folder / RECORD, json.dumps(record, indent=1).encode())


def segment_of(timeline: int, lsn: str) -> str:
    """The name of the segment (of 16 MB) that holds a place in the log."""
    high, low = lsn.split("/")
    return f"{timeline:08X}{int(high, 16):08X}{int(low, 16) >> 24:08X}"


def following(segment: str) -> str:
    """The name of the next segment."""
    number = (int(segment[8:16], 16) << 8) + int(segment[16:], 16) + 1
    return f"{segment[:8]}{number >> 8:08X}{number & 0xFF:08X}"


def name_of(path: Path) -> str:
    """The segment that a file holds."""
    return path.name.partition(".")[0]


def segments(log: Path) -> dict[str, Path]:
    """The files of a log by the segment they hold; the one that is being written ends in `.partial`."""
    found = [each for each in (log / "segments").glob("*") if SEGMENT.fullmatch(name_of(each))]
    # If a segment is there twice, the complete one counts.
    return {
        name_of(each): each
        for each in sorted(found, key=lambda each: (name_of(each), each.suffix != ".partial"))
    }


def mend_partial(log: Path) -> None:
    """Empty a segment that was being made when its disk was full: nothing of the log is in it yet, and the
    receiver refuses it as it is, also when there is room again."""
    for path in (log / "segments").glob("*.partial"):
        if path.stat().st_size not in (0, SEGMENT_BYTES):
            os.truncate(path, 0)


def logs(root: Path) -> list[Path]:
    """The parts of the log, oldest first."""
    return sorted(each for each in root.glob("log-*") if each.is_dir())


def backups(root: Path) -> list[Backup]:
    """The verified backups, newest first. One whose record cannot be read is none."""
    found = []
    for path in root.glob(f"log-*/backup-*/{RECORD}"):
        try:
            given = json.loads(path.read_text())
            instants = {name: datetime.fromisoformat(given[name]) for name in ("started_at", "ended_at")}
            found.append(Backup(folder=path.parent, **{**given, **instants}))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda each: each.ended_at, reverse=True)


def reaching(root: Path, moment: datetime | None) -> list[Backup]:
    """The backups from which a moment can be restored (None: the newest of all), best first."""
    found = [each for each in backups(root) if each.reaches() >= each.ended_at]
    if moment is None:
        return found
    return [each for each in found if each.ended_at <= moment <= each.reaches()]


def ranges(found: list[Backup]) -> list[tuple[datetime, datetime]]:
    """From when to when moments can be restored from backups (newest first), oldest first."""
    spans: list[tuple[datetime, datetime]] = []
    for each in reversed(found):
        if spans and each.ended_at <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], each.reaches()))
        else:
            spans.append((each.ended_at, each.reaches()))
    return spans


def stamp(now: datetime) -> str:
    """An instant as part of a folder's name."""
    return now.astimezone(UTC).strftime(STAMP)


def keep_small_files(settings: Settings, target: Path | None = None) -> None:
    """Copy what belongs to the warehouse and is not in it: by default to the backups' folder, if there is
    one. No step leaves the folder without a complete copy."""
    target = target or settings.backups
    if target is None:
        return
    (target / "secrets").mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted((settings.home / "secrets").glob("[!.]*")):
        write(target / "secrets" / path.name, path.read_bytes())
    for name in SMALL_FILES:
        if (settings.home / name).exists():
            write(target / name, (settings.home / name).read_bytes())


def write(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, so that a cut leaves the former one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """One backup or restore at a time.

    Raises Busy.
    """
    with os.fdopen(os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy("a backup or a restore is running") from None
        yield


def remove(folder: Path) -> None:
    """Remove a backup so that a cut leaves none that counts."""
    (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder)
