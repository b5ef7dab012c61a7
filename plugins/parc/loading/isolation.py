"""Loads deliveries in a separate process, so that one that kills or hangs the process affects no other.

The process (`parc.loading.worker`) serves one delivery after another, because starting it takes a second. It
ends as soon as its parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import parc
from parc.loading.ingestion import Outcome, refuse
from parc.loading.limits import LONGEST_LOAD
from parc.settings import Settings, environment_without

NOT_FOR_LOADS = ("AIRFLOW_", "PARC_AIRFLOW_", "PARC_NOTICE_", "PARC_SWITCH_")
"""Environment variables that a process reading untrusted files does not need; some are secrets."""


@contextmanager
def loads(settings: Settings, longest: timedelta = LONGEST_LOAD) -> Iterator[Loads]:
    """A loader of deliveries, until the end of the block."""
    running = Loads(settings, longest)
    try:
        yield running
    finally:
        running.stop()


class Loads:
    """Loads deliveries in a separate process; created by `loads`."""

    def __init__(self, settings: Settings, longest: timedelta) -> None:
        """Start nothing until there is something to load."""
        self._settings = settings
        self._longest = longest
        self._worker: _Worker | None = None

    def ingest(self, feed: str, business_date: date, **options: Any) -> Outcome:
        """Like `parc.loading.ingest`, but refuses a delivery that kills the process or takes too long.

        Raises what `ingest` raises.
        """
        worker = self._worker = self._worker or _Worker.start()
        try:
            worker.line.send((self._settings, feed, business_date, options))
            if not worker.line.poll(self._longest.total_seconds()):
                reason = f"its load had not ended after {self._longest.total_seconds() / 60:g} minutes"
                return self._give_up(feed, business_date, reason)
            answer: Outcome | Exception | str = worker.line.recv()
        except (EOFError, OSError):
            return self._give_up(feed, business_date, f"its load {worker.end}")
        if isinstance(answer, Exception):
            raise answer
        return refuse(self._settings, feed, business_date, answer) if isinstance(answer, str) else answer

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if worker := self._worker:
            self._worker = None
            worker.line.close()
            worker.process.kill()
            worker.process.wait()

    def _give_up(self, feed: str, business_date: date, reason: str) -> Outcome:
        self.stop()
        return refuse(self._settings, feed, business_date, reason)


@dataclass(frozen=True)
class _Worker:
    """The process and the connection to it."""

    process: subprocess.Popen[bytes]
    line: Connection

    @classmethod
    def start(cls) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            return cls(_process(theirs, environment_without(*NOT_FOR_LOADS)), ours)

    @property
    def end(self) -> str:
        """How the process ended, as a phrase."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        code = self.process.returncode
        if code is None or code >= 0:
            return f"ended without an answer (exit code {code})"
        name = signal.Signals(-code).name
        return f"was ended by {name}: it ran out of memory, or a library crashed while reading the delivery"


def _process(line: Connection, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    package = str(Path(parc.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, variables.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "parc.loading.worker", str(line.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**variables, "PYTHONPATH": path},
        pass_fds=[line.fileno()],
        start_new_session=True,  # an interrupt at the terminal reaches only the parent, which ends it
    )
