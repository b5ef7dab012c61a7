"""Unexpected errors in one delivery: reported in one line, with the details in a log."""

from __future__ import annotations

import traceback
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from psycopg.errors import DeadlockDetected, DiskFull, LockNotAvailable

from parc import storage
from parc.errors import Busy, ConfigurationError
from parc.numbers import masked_with_serials
from parc.printable import uncoloured
from parc.settings import Settings

OF_THE_ENVIRONMENT = (ConfigurationError, Busy, DeadlockDetected, DiskFull, LockNotAvailable)
LONGEST_REPORTED = 300


def is_of_delivery(error: BaseException) -> bool:
    """Whether the delivery caused an error: anything except errors of the environment and
    exceptions that end the process. A panic of a Rust library counts, although it is not an `Exception`."""
    if isinstance(error, OF_THE_ENVIRONMENT) or storage.is_disk_full(error):
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def keep(settings: Settings, feed: str, business_date: date, error: BaseException) -> str:
    """Write the error to the date's log; returns it in one line, with the log's path."""
    return record(log_file(settings, feed, business_date), error)


def record(log: Path, error: BaseException) -> str:
    """Write the error to a log; returns it in one line, with the log's path."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = masked_with_serials("".join(traceback.format_exception(error)))
    log.write_text(text, encoding="utf-8", errors="backslashreplace")
    return f"{one_line(error)} (log: {log})"


def log_file(settings: Settings, feed: str, business_date: date) -> Path:
    """The log of the newest incident of a feed and date."""
    return log_folder(settings) / f"{feed}_{business_date}.log"


def log_folder(settings: Settings) -> Path:
    """The folder of the logs of incidents."""
    return settings.home / "logs" / "deliveries"


def prune(settings: Settings, kept: timedelta, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete logs of dates more than `kept` before the newest with a log; returns their number and bytes."""
    logs = {log: day for log in log_folder(settings).glob("*.log") if (day := _date_of(log))}
    expired = [log for log, day in logs.items() if day < max(logs.values()) - kept]
    size = sum(log.stat().st_size for log in expired)
    if not dry_run:
        for log in expired:
            log.unlink()
    return len(expired), size


def _date_of(log: Path) -> date | None:
    """The business date in a log's name; None for other files, which are left alone."""
    with suppress(ValueError):
        return date.fromisoformat(log.stem[-10:]) if log.is_file() else None
    return None


def one_line(error: BaseException) -> str:
    """The error in one line: its type and text, truncated, with telephone numbers masked."""
    words = "".join(sign if sign.isprintable() else " " for sign in uncoloured(str(error)))
    words = masked_with_serials(" ".join(words.split()))
    if len(words) > LONGEST_REPORTED:
        words = f"{words[:LONGEST_REPORTED]}..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
