"""Takes a backup of the embedded server, and removes what is too old.

A backup counts once it is verified: each file by its digest, and the log that it needs by reading it.
docs/how-to/back-up-and-restore.md says what is kept where; `parc.host.backups` knows the files.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from parc.backup.reading import MANIFEST, root, run, verify
from parc.errors import ConfigurationError, ParcError, parts_of
from parc.findings import Step
from parc.host import backups
from parc.host.backups import Backup
from parc.routing.switches import Release, open_switch
from parc.routing.switches.file import FileSwitch
from parc.settings import Settings
from parc.warehouse import archiving, embedded

ROOM_BYTES = 1 << 30
"""With less free on the backups' disk, no backup is begun."""
LOG_SECONDS = 60
AT_ONCE = 1 << 20


def take(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Backup:
    """Take a backup, verify it, then remove what is older than the settings say.

    Raises ConfigurationError if no backups are kept, the log is not, or there is too little room; Busy;
    BackupFailed if the backup is not what it should be.
    """
    folder = root(settings)
    _, port = embedded.address(settings)
    with backups.exclusive(folder):
        for left in folder.glob("log-*/.backup-*"):  # of a run that was killed
            shutil.rmtree(left)
        free = shutil.disk_usage(folder).free
        needed = max([ROOM_BYTES, *(each.byte_count for each in backups.backups(folder)[:1])])
        if free < needed:
            raise ConfigurationError(
                f"{free / 1024**3:.1f} GiB free at {folder}, a backup needs {needed / 1024**3:.1f} GiB",
                steps=(Step("make room"), Step("set PARC_BACKUP_DAYS to keep fewer", is_alternative=True)),
            )
        log = _unbroken_log(settings)
        started_at = datetime.now(UTC)
        draft = log / f".backup-{backups.stamp(started_at)}"
        progress("copying the server")
        call = partial(run, settings, PGPASSWORD=settings.secret("postgres_password"))
        login = ("--host=127.0.0.1", f"--port={port}", "--username=postgres", "--no-password")
        how = ["--format=tar", "--compress=client-gzip:1", "--manifest-checksums=SHA256"]
        how += ["--wal-method=none", "--checkpoint=fast"]
        call("pg_basebackup", f"--pgdata={draft}", *how, *login)
        ended_at = datetime.now(UTC)
        progress("copying what belongs to it")
        backups.keep_small_files(settings, draft / "home")
        _keep_switch(settings, draft / "switch", partial(call, "pg_dump", *login))
        progress("verifying")
        ranges = json.loads((draft / MANIFEST).read_text())["WAL-Ranges"]
        found = Backup(
            draft,
            started_at,
            ended_at,
            byte_count=sum(each.stat().st_size for each in draft.rglob("*") if each.is_file()),
            timeline=ranges[-1]["Timeline"],
            start_lsn=ranges[-1]["Start-LSN"],
            end_lsn=ranges[-1]["End-LSN"],
        )
        _wait_for_log(settings, found)
        verify(settings, found)
        found.write()
        kept = draft.with_name(draft.name.removeprefix("."))
        draft.rename(kept)
        backups.keep_small_files(settings)
        progress("packing the log, and removing what is too old")
        pack(log)
        expire(folder, ended_at - timedelta(days=settings.backup_days), log)
    return Backup(**{**vars(found), "folder": kept})


def pack(log: Path) -> None:
    """Compress the complete segments of a log, except the last, at which the receiver goes on."""
    complete = [path for path in backups.segments(log).values() if path.suffix != ".partial"]
    for path in complete[:-1]:
        if path.suffix != ".gz":
            packing = zlib.compressobj(level=1, wbits=31)
            target = path.with_name(f"{path.name}.gz")
            backups.write(target, packing.compress(path.read_bytes()) + packing.flush())
            seen = path.stat()
            os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
            path.unlink()


def expire(folder: Path, oldest: datetime, current: Path) -> None:
    """Remove the backups that are not needed to restore a moment since `oldest`, and the log before those
    that stay. The newest is always kept."""
    found = backups.backups(folder)
    needed = next((number for number, each in enumerate(found) if each.ended_at <= oldest), len(found))
    for each in found[needed + 1 :]:
        backups.remove(each.folder)
    for log in backups.logs(folder):
        firsts = [each.first_segment for each in found[: needed + 1] if each.log == log]
        if not firsts and log != current:
            shutil.rmtree(log)
            continue
        for name, path in backups.segments(log).items() if firsts else ():
            if name < min(firsts):
                path.unlink()


def _unbroken_log(settings: Settings) -> Path:
    """The log that is being kept; a new one if the server no longer has what is missing in it.

    Raises ConfigurationError if none is being kept.
    """
    superuser = partial(embedded.superuser, settings)
    for is_last in (False, True):
        log = embedded.current_log(settings)
        if log and archiving.is_received(superuser):
            return log
        if is_last:
            break
        embedded.keep_log_anew(settings)
    raise archiving.not_received(settings)


def _wait_for_log(settings: Settings, backup: Backup) -> None:
    last = backups.segment_of(backup.timeline, backup.end_lsn)
    deadline = time.monotonic() + LOG_SECONDS
    while not (path := backups.segments(backup.log).get(last)) or path.suffix == ".partial":
        if time.monotonic() > deadline:
            raise archiving.not_received(settings)
        time.sleep(0.1)


def _keep_switch(settings: Settings, folder: Path, dump: Callable[..., None]) -> None:
    """Write the switch's table as a file switch would hold it, and the own switch's database. A switch that
    cannot be read keeps no backup from being taken."""
    folder.mkdir(mode=0o700)
    try:
        switch = open_switch(settings)
        live = switch.read_live()
        if live and live.content:
            kept = FileSwitch(str(folder))
            kept.stage(Release(live.version, live.content, {}))
            kept.activate(live.version, live.fence)
    except (ParcError, OSError, psycopg.Error) as error:
        backups.write(folder / "unread.txt", parts_of(error)[0].encode())
    if settings.has_own_switch:
        dump("--format=custom", f"--file={folder / embedded.SWITCH_DUMP}", embedded.SWITCH)
