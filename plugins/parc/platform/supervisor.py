"""The process that `parc up` leaves running: it starts again what ends by itself, and has it reported.

`python -m parc.platform.supervisor` is that process; `parc stop` ends it first. It imports little:
what takes more is left to processes that end (`parc.platform.restart`, `parc.platform.outages`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from parc.errors import ParcError
from parc.host import processes, programs, supervision
from parc.host.processes import locked, run_folder
from parc.host.supervision import Part, Watchdog
from parc.settings import Settings, environment_without

POLL_SECONDS = 1
LOOK_EVERY = timedelta(minutes=2)
"""How often what is wrong is reported, and what ended; at once where a program is in trouble or out of it."""
LONGEST_LOOK = timedelta(minutes=5)
STOP_SECONDS = 20


def start(settings: Settings) -> None:
    """Start it if there is anything for it to watch."""
    if any(program.was_started for program in programs.watched(settings)):
        environment = environment_without() | {
            "PARC_HOME": str(settings.home),
            "PARC_LANDING": settings.landing,
            "PARC_SWITCH": settings.switch,
        }
        programs.supervisor(settings).start(_python("supervisor"), settings.home, environment)


def stop(settings: Settings) -> bool:
    """End it, not what it started; returns whether it ran."""
    return bool(processes.stop([programs.supervisor(settings)], seconds=STOP_SECONDS))


def lock_file(settings: Settings) -> Path:
    """Who holds the lock of this file may start and stop the platform's processes."""
    return run_folder(settings) / "lock"


def parts(settings: Settings) -> list[Part]:
    """What it watches, in the order in which it starts."""
    return [
        Part(program, partial(_restart, program.name), is_needed_by_others=program.name == "postgresql")
        for program in programs.watched(settings)
    ]


def run(settings: Settings, is_ending: threading.Event) -> None:
    """Watchdog until the event is set."""
    watch = Watchdog(parts(settings), supervision.record_file(settings))
    reporter = Reporter()
    while not is_ending.wait(POLL_SECONDS):
        with locked(lock_file(settings)):
            if is_ending.is_set():  # meanwhile
                return
            now = datetime.now(UTC)
            watch.look(now)
        reporter.look(watch.trouble(now), now)


@dataclass
class Reporter:
    """Has a process of its own report it to people, one at a time."""

    _process: subprocess.Popen[bytes] | None = None
    _began_at: datetime | None = None
    _trouble: frozenset[str] = frozenset()

    def look(self, trouble: frozenset[str], now: datetime) -> None:
        """Start it if it is due: `trouble` names programs of which people should know."""
        took = now - self._began_at if self._began_at else LOOK_EVERY
        if self._process and self._process.poll() is None:
            if took > LONGEST_LOOK:
                self._process.kill()
            return
        if trouble == self._trouble and took < LOOK_EVERY:
            return
        self._trouble, self._began_at = trouble, now
        self._process = subprocess.Popen(_python("outages"), stdin=subprocess.DEVNULL)


def _restart(name: str) -> None:
    done = subprocess.run(
        _python("restart", name), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ParcError(done.stderr)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"parc.platform.{module}", *arguments]


if __name__ == "__main__":
    os.umask(0o077)
    is_ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_ending.set())
    run(Settings.from_env(), is_ending)
