"""Programs that run on after the command that started them: Airflow's services, PostgreSQL, the switch."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from parc.errors import ConfigurationError

POLL_SECONDS = 0.1
TAIL_BYTES = 1 << 16


@dataclass
class Program:
    """Such a program. Lists show its `name`, sentences its `title`; everything it writes goes to `log_path`,
    and the last line there that matches `complaint` (a regular expression) says why it ended."""

    name: str
    title: str
    pid_file: Path
    log_path: Path
    complaint: str = r"\S"
    _started: psutil.Process | None = field(default=None, init=False, repr=False)

    def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], **identity: Any
    ) -> None:
        """Start it, as `spawn` does, and record which process it is."""
        started = spawn(command, self.log_path, folder, environment, **identity)
        self._started = psutil.Process(started.pid)
        self._record(self._started)

    @property
    def process(self) -> psutil.Process | None:
        """The process, None if it does not run."""
        process = self._started or self._recorded()
        with suppress(psutil.NoSuchProcess):
            if process and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    @property
    def pid(self) -> int | None:
        """The number of the process, None if it does not run."""
        process = self.process
        return int(process.pid) if process else None

    @property
    def has_crashed(self) -> bool:
        """It was started, and has ended without being stopped."""
        return self.process is None and self.pid_file.exists()

    def last_error(self) -> str:
        """The last line of the log that says why it ended; empty if there is none."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if re.search(self.complaint, line)), "")

    def forget(self) -> None:
        """Keep no record of it: it is being stopped."""
        self.pid_file.unlink(missing_ok=True)

    def _record(self, process: psutil.Process) -> None:
        self.pid_file.write_text(json.dumps({"pid": process.pid, "created": process.create_time()}))

    def _recorded(self) -> psutil.Process | None:
        """The process that was started last, if it still lives: its number alone may have been given to
        another since."""
        try:
            recorded = json.loads(self.pid_file.read_text())
            process = psutil.Process(recorded["pid"])
            return process if abs(process.create_time() - recorded["created"]) < 1 else None
        except (OSError, ValueError, KeyError, psutil.Error):
            return None


def spawn(
    command: Sequence[str], log_path: Path, folder: Path, environment: Mapping[str, str], **identity: Any
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, working in `folder`. What it writes is appended to `log_path`,
    which only its owner can read. `identity` is the user to run it as, as `subprocess.Popen` takes it."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "ab", opener=owner_only) as output:
        os.fchmod(output.fileno(), 0o600)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
            **identity,
        )


class StartFailed(ConfigurationError):
    """A program ended while it started."""

    def __init__(self, program: Program) -> None:
        super().__init__(
            f"{program.title} ended while starting: {program.last_error()} (log: {program.log_path})"
        )
        self.program = program


def wait_until_ready(programs: Sequence[Program], is_ready: Callable[[], bool], seconds: float) -> None:
    """Wait until programs that were started are ready.

    Raises StartFailed for the first that ends meanwhile, ConfigurationError when they are not ready in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        for program in programs:
            if program.process is None:
                raise StartFailed(program)
        if is_ready():
            return
        if time.monotonic() > deadline:
            titles = ", ".join(program.title for program in programs)
            logs = ", ".join(str(program.log_path) for program in programs)
            raise ConfigurationError(f"not ready within {seconds:g} s: {titles} (log: {logs})")
        time.sleep(POLL_SECONDS)


def stop(
    programs: Sequence[Program],
    *,
    seconds: float,
    how: signal.Signals = signal.SIGTERM,
    with_children: bool = False,
    may_kill: bool = True,
) -> list[str]:
    """Stop those that run, and return their names. `how` is the signal that asks a program to end; its
    children get it too `with_children`. What is still there after so many seconds is killed.

    Raises ConfigurationError where it must not be killed.
    """
    running = [(program, process) for program in programs if (process := program.process)]
    processes = [process for _, process in running]
    families = [each for process in processes for each in (process, *_children(process))]
    for process in families if with_children else processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)
    _, alive = psutil.wait_procs(families, timeout=seconds)
    if alive and not may_kill:
        titles = ", ".join(f"{program.title} (log: {program.log_path})" for program, _ in running)
        raise ConfigurationError(f"not stopped within {seconds:g} s: {titles}")
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for program in programs:
        program.forget()
    return [program.name for program, _ in running]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def free_port(preferred: int = 0) -> int:
    """A free TCP port on 127.0.0.1: the preferred one if it is free.

    Raises ConfigurationError when there is none.
    """
    for candidate in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError("no free TCP port on 127.0.0.1")


def owner_only(path: str, flags: int) -> int:
    """Opens a file that only its owner can read (for `open`)."""
    return os.open(path, flags, 0o600)
