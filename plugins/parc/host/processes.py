"""Programs that run on after the command that started them: Airflow's services, PostgreSQL, the switch."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.settings import Settings

POLL_SECONDS = 0.1
TAIL_BYTES = 1 << 16
END_SECONDS = 3


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
    _log_begins: int = field(default=0, init=False, repr=False)

    def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], **identity: Any
    ) -> None:
        """Start it, as `spawn` does, and record which process it is. What an earlier one left running when it
        died is ended first: it would keep the ports, and go on with work that is begun again."""
        end(self.left_behind())
        self._log_begins = self.log_path.stat().st_size if self.log_path.exists() else 0
        started = spawn(command, self.log_path, folder, environment, **identity)
        self._started = psutil.Process(started.pid)
        try:
            self._record(self._started)
        except OSError:  # unrecorded, it would be started twice
            end([self._started])
            raise

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
        return self.was_started and self.process is None

    @property
    def was_started(self) -> bool:
        """It was started and has not been stopped since; it may have ended by itself."""
        return self.pid_file.exists()

    def left_behind(self) -> list[psutil.Process]:
        """Processes that it started and that outlived it: those of its session."""
        with suppress(OSError, ValueError, KeyError):
            recorded = json.loads(self.pid_file.read_text())
            if self.process is None and not _is_another(recorded["pid"], recorded["created"]):
                return [each for each in psutil.process_iter() if _session(each.pid) == recorded["pid"]]
        return []

    def last_error(self) -> str:
        """The last line of the log, since it was started here, that says why it ended; the very last if none
        does, empty if there is none."""
        lines = self._lines()
        complaints = [line for line in lines if re.search(self.complaint, line)]
        return (complaints or lines or [""])[-1]

    def _lines(self) -> list[str]:
        """The last lines of the log since it was started here, without empty ones."""
        if not self.log_path.exists():
            return []
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_begins, self.log_path.stat().st_size - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()]

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


def read_log(program: Program) -> Step:
    """The first step where a program cannot be started."""
    return Step("mend what its log says", f"tail -n 20 {shlex.quote(str(program.log_path))}")


class StartFailed(ConfigurationError):
    """A program ended while it started."""

    def __init__(self, program: Program) -> None:
        super().__init__(
            f"{program.title} ended while starting: {program.last_error()} (log: {program.log_path})",
            steps=(read_log(program), Step("run this again")),
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
    """Stop those that run, with what dead ones left running; return their names. `how` is the signal that
    asks a program to end; its children get it too `with_children`. What is still there after so many seconds
    is killed.

    Raises ConfigurationError where it must not be killed.
    """
    running = [(program, process) for program in programs if (process := program.process)]
    processes = [process for _, process in running]
    if with_children:
        processes += [each for process in processes for each in _children(process)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    if alive and not may_kill:
        titles = ", ".join(f"{program.title} (log: {program.log_path})" for program, _ in running)
        raise ConfigurationError(f"not stopped within {seconds:g} s: {titles}")
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    end([each for program in programs for each in program.left_behind()])
    for program in programs:
        program.forget()
    return [program.name for program, _ in running]


def end(processes: Sequence[psutil.Process]) -> None:
    """End processes: they are asked to, and killed after END_SECONDS."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=END_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=END_SECONDS)


def _is_another(pid: int, created: float) -> bool:
    """Whether a process that was created at another time has this number now."""
    try:
        return abs(psutil.Process(pid).create_time() - created) >= 1
    except psutil.NoSuchProcess:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock of this file, and hold it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


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


def run_folder(settings: Settings) -> Path:
    """The folder of what is known of running processes; it is made if it is not there."""
    folder = settings.home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def owner_only(path: str, flags: int) -> int:
    """Opens a file that only its owner can read (for `open`)."""
    return os.open(path, flags, 0o600)
