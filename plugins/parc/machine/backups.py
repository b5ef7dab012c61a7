"""The backups on disk: whether the last is good and recent, and the server's log is being kept."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import backups, programs
from parc.host.processes import Program, read_log
from parc.instants import shown
from parc.settings import Settings

LONGEST = timedelta(hours=36)
"""A nightly backup that failed once is older than this by noon."""
NEEDED_BYTES = 1 << 30
RECENT_SECONDS = 12
"""The receiver tries again every 5 seconds, and says each time what is wrong."""
BACK_UP = Step("take one", "parc backup")
ROOM = Step("make room, or keep fewer days (PARC_BACKUP_DAYS)")
ANEW = Step("start the platform again with PARC_BACKUPS set", "parc stop && parc up")


def findings(settings: Settings) -> list[Finding]:
    """The first thing that is wrong with the backups, if they are kept at all."""
    root = settings.backups
    if root is None or settings.warehouse_dsn:
        return []
    try:
        return [found] if (found := _finding(settings, root)) else []
    except OSError as error:
        return [_wrong(f"{root} cannot be read: {error.strerror}", Step("mount it, or name another folder"))]


def mend(settings: Settings) -> None:
    """Let the log's receiver go on after its disk was full."""
    if settings.backups and (log := _current(settings)) and log.parent == settings.backups:
        backups.mend_partial(log)


def summary(settings: Settings) -> str:
    """The age of the last backup, and which moments can be restored."""
    found = backups.reaching(settings.backups, None) if settings.backups else []
    if not found:
        return "no moment can be restored"
    hours = (datetime.now(UTC) - found[0].ended_at) / timedelta(hours=1)
    spans = ", ".join(f"{shown(first)} to {shown(last)}" for first, last in backups.ranges(found))
    return f"the last one is {hours:.0f} h old; what can be restored: {spans}"


def _finding(settings: Settings, root: Path) -> Finding | None:
    receiver, server = programs.log_receiver(settings), programs.postgresql(settings)
    free = shutil.disk_usage(root).free
    room = f"{free / 1024**3:.1f} GiB free at {root}"
    if server.process and not receiver.was_started:
        return _wrong("the server's log is not being kept: it was started without PARC_BACKUPS", ANEW)
    if error := _recent_error(receiver):
        return _wrong(f"the server's log is not being kept ({room}): {error}", read_log(receiver), ROOM)
    if free < NEEDED_BYTES:
        return _wrong(room, ROOM)
    found = backups.backups(root)
    if not found:
        return _wrong(f"there is no backup at {root} yet", BACK_UP, severity=Severity.NOTE)
    log = _current(settings)
    if log and log != found[0].log:
        return _wrong("the server's log began anew, and there is no backup since", BACK_UP)
    age = datetime.now(UTC) - found[0].ended_at
    if age > LONGEST:
        hours = age / timedelta(hours=1)
        return _wrong(f"the last good backup is {hours:.0f} h old ({shown(found[0].ended_at)})", BACK_UP)
    return None


def _recent_error(receiver: Program) -> str:
    """Why it cannot keep the log; empty if it can."""
    try:
        seen = datetime.fromtimestamp(receiver.log_path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return ""
    if datetime.now(UTC) - seen > timedelta(seconds=RECENT_SECONDS):
        return ""
    return receiver.last_error() if receiver.process else ""


def _current(settings: Settings) -> Path | None:
    try:
        return Path((settings.home / "postgres" / "log").read_text())
    except FileNotFoundError:
        return None


def _wrong(text: str, *steps: Step, severity: Severity = Severity.WRONG) -> Finding:
    return Finding(FindingKind.BACKUP, severity, Subject("backups"), text, steps)
