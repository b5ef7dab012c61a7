"""Reads backups: verifies them, and unpacks them for a restore."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from parc.errors import ConfigurationError, ParcError
from parc.findings import Step
from parc.host import backups
from parc.host.backups import Backup
from parc.settings import Settings
from parc.warehouse import embedded

BASE, MANIFEST = "base.tar.gz", "backup_manifest"
AT_ONCE = 1 << 20
SET = Step("set PARC_BACKUPS to a folder, on another disk if there is one, and start the platform again")
OUTSIDE = (
    "the warehouse is on a PostgreSQL that others run, so its backups are theirs to take; what belongs to "
    "them, docs/how-to/back-up-and-restore.md says"
)


class BackupFailed(ParcError):
    """A backup could not be taken, or one that is kept is damaged."""


def root(settings: Settings) -> Path:
    """The folder of the backups.

    Raises ConfigurationError if none are kept.
    """
    if settings.warehouse_dsn:
        raise ConfigurationError(OUTSIDE)
    if settings.backups is None:
        raise ConfigurationError("no backups are kept: PARC_BACKUPS is not set", steps=(SET,))
    return settings.backups


def verify(settings: Settings, backup: Backup) -> None:
    """Read a backup and the log that it needs.

    Raises BackupFailed.
    """
    extract(backup, None)
    last = backups.segment_of(backup.timeline, backup.end_lsn)
    needed = [each for each in backup.segments() if backups.name_of(each) <= last]
    if not needed or backups.name_of(needed[-1]) != last:
        raise BackupFailed(f"{backup.folder} cannot be used: its log has a gap")
    with tempfile.TemporaryDirectory(prefix=".log-", dir=backup.log) as unpacked:
        for each in needed:
            unpack(each, Path(unpacked) / backups.name_of(each))
        lines = (f"--start={backup.start_lsn}", f"--end={backup.end_lsn}", f"--timeline={backup.timeline}")
        run(settings, "pg_waldump", "--quiet", f"--path={unpacked}", *lines)


def extract(backup: Backup, target: Path | None) -> None:
    """Read all files of a backup, check each by its digest, and write them to a folder if one is given.

    Raises BackupFailed at the first that is damaged or missing.
    """
    expected = _manifest(backup)
    try:
        with tarfile.open(backup.folder / BASE, "r|gz") as files:
            for each in files:
                path = each.name.removeprefix("./")
                stream = files.extractfile(each)
                if target and each.isdir():
                    (target / path).mkdir(parents=True, exist_ok=True, mode=0o700)
                if stream is not None:
                    digest = _copy(stream, target / path if target else None)
                    if path in expected and expected.pop(path) != (each.size, digest):
                        raise BackupFailed(
                            f"{backup.folder / BASE} is damaged: {path} is not what was copied"
                        )
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BackupFailed(f"{backup.folder / BASE} cannot be read: {error}") from None
    if missing := [path for path, (size, _) in expected.items() if size]:
        raise BackupFailed(f"{backup.folder / BASE} is not whole: {missing[0]} is missing")


def _manifest(backup: Backup) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of each file, as the server wrote them; the list has a digest of itself."""
    path = backup.folder / MANIFEST
    try:
        text = path.read_bytes()
        listed = json.loads(text)
        own = text[: text.rindex(b'"Manifest-Checksum"')]
        if hashlib.sha256(own).hexdigest() != listed["Manifest-Checksum"]:
            raise ValueError("its digest is another")
        return {each["Path"]: (each["Size"], each["Checksum"]) for each in listed["Files"]}
    except (OSError, ValueError, KeyError) as error:
        raise BackupFailed(f"{path} is damaged: {error}") from None


def _copy(source: IO[bytes], target: Path | None) -> str:
    digest = hashlib.sha256()
    with ExitStack() as stack:
        output = stack.enter_context(target.open("wb")) if target else None
        while part := source.read(AT_ONCE):
            digest.update(part)
            if output:
                output.write(part)
    return digest.hexdigest()


def check(settings: Settings) -> Iterator[tuple[Backup, str]]:
    """Verify all backups that are kept, newest first; yields each with what is wrong with it, if anything."""
    for backup in backups.backups(root(settings)):
        try:
            verify(settings, backup)
            for each in backup.segments():
                unpack(each, None)
            yield backup, ""
        except BackupFailed as error:
            yield backup, error.text


def unpack(segment: Path, target: Path | None) -> None:
    """Write a segment of the log to a file, or only read it.

    Raises BackupFailed if it is damaged.
    """
    packed = zlib.decompressobj(wbits=31) if segment.suffix == ".gz" else None
    data = segment.read_bytes()
    try:
        content = packed.decompress(data) + packed.flush() if packed else data
        if (packed and not packed.eof) or len(content) != backups.SEGMENT_BYTES:
            raise zlib.error("incomplete")
    except zlib.error as error:
        raise BackupFailed(f"{segment} is damaged: {error}") from None
    if target:
        target.write_bytes(content)


def run(settings: Settings, program: str, *arguments: str, **variables: str) -> None:
    """Run one of PostgreSQL's programs, with these variables in its environment.

    Raises BackupFailed.
    """
    done = subprocess.run(
        [str(embedded.binaries(settings) / program), *arguments],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        causes = [line for line in said if "error" in line.lower()] or said or [str(done.returncode)]
        raise BackupFailed(f"{program} failed: {causes[-1]}")


def described(backup: Backup) -> dict[str, Any]:
    """A backup as JSON values."""
    return {
        "folder": str(backup.folder),
        "started_at": backup.started_at.isoformat(timespec="seconds"),
        "ended_at": backup.ended_at.isoformat(timespec="seconds"),
        "reaches": backup.reaches().isoformat(timespec="seconds"),
        "byte_count": backup.byte_count,
    }


def size(backup: Backup) -> int:
    """The bytes that a backup takes once it is unpacked.

    Raises BackupFailed.
    """
    return sum(byte_count for byte_count, _ in _manifest(backup).values())
