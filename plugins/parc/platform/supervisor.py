"""The process that `parc up` leaves running: it starts again what ends by itself.

`python -m parc.platform.supervisor` is that process; `parc stop` ends it first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from parc.host import processes, services, supervision
from parc.host.processes import locked, run_folder
from parc.host.supervision import Part, Watchdog
from parc.routing.switches import local
from parc.settings import Settings, environment_without
from parc.warehouse import embedded

POLL_SECONDS = 1
STOP_SECONDS = 20


def start(settings: Settings) -> None:
    """Start it if there is anything for it to watch."""
    if any(part.program.was_started for part in parts(settings)):
        environment = environment_without() | {
            "PARC_HOME": str(settings.home),
            "PARC_LANDING": settings.landing,
            "PARC_SWITCH": settings.switch,
        }
        command = [sys.executable, "-m", "parc.platform.supervisor"]
        supervision.program(settings).start(command, settings.home, environment)


def stop(settings: Settings) -> bool:
    """End it, not what it started; returns whether it ran."""
    return bool(processes.stop([supervision.program(settings)], seconds=STOP_SECONDS))


def lock_file(settings: Settings) -> Path:
    """Who holds the lock of this file may start and stop the platform's processes."""
    return run_folder(settings) / "lock"


def parts(settings: Settings) -> list[Part]:
    """What it watches, in the order in which it starts."""
    found = [Part(embedded.program(settings), partial(embedded.start, settings), is_needed_by_others=True)]
    if local.is_own(settings):
        found.append(Part(local.program(settings), partial(local.start, settings)))
    for program in services.programs(settings):
        found.append(Part(program, partial(_restart_service, settings, program.name)))
    return found


def _restart_service(settings: Settings, name: str) -> None:
    services.restart(settings, name, embedded.airflow_url(settings))


def run(settings: Settings, is_ending: threading.Event) -> None:
    """Watchdog until the event is set."""
    watch = Watchdog(parts(settings), supervision.record_file(settings))
    while not is_ending.wait(POLL_SECONDS):
        _bury()
        with locked(lock_file(settings)):
            if is_ending.is_set():  # meanwhile
                return
            watch.look(datetime.now(UTC))


def _bury() -> None:
    """Let go of children that ended: they would seem to be there still."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    os.umask(0o077)
    is_ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_ending.set())
    run(Settings.from_env(), is_ending)
