"""The processes that a platform may have, and the files that know of them."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from parc.host.processes import Program, run_folder
from parc.settings import Settings

COMMANDS = {
    "api-server": ["api-server"],
    # Logs are read from the common folder; the processes' own log servers would listen on every interface.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
"""Airflow's four processes, and how its command line starts each."""


CAUSE = re.compile(
    r"(FATAL|PANIC|ERROR|DETAIL|HINT|CONTEXT): (?!.*the database system is)"
    r"|(LOG|WARNING): .*(could not|cannot|invalid|unrecognized|in file \".*\" line \d)"
)
"""Lines in which PostgreSQL says why it does not start: often the last one only names the file, and those
before it the line."""
LINES_QUOTED = 6


class _Server(Program):
    """PostgreSQL, which writes its own pid file, in its data folder. Another file says that it was started
    and not stopped since."""

    def forget(self) -> None:
        """It is being stopped. Its pid file is its own to remove."""
        self._mark.unlink(missing_ok=True)

    @property
    def was_started(self) -> bool:
        """It was started and has not been stopped since; it may have ended by itself."""
        return self._mark.exists()

    def last_error(self) -> str:
        """All lines that say why it ended, without their times, which are in UTC."""
        lines = [re.sub(r"^.*?\[\d+\]\s*(\w+):\s+", r"\1: ", line) for line in self._lines()]
        causes = [line for line in lines if CAUSE.search(line) or not re.match("[A-Z]+: ", line)]
        return "; ".join(causes[-LINES_QUOTED:] or lines[-1:])

    def left_behind(self) -> list[psutil.Process]:
        """Sessions that outlive a server that was killed; each has made a session of processes of its own."""
        if self.process is not None:
            return []
        return [each for each in psutil.process_iter() if self._is_of_this_server(each)]

    @property
    def _mark(self) -> Path:
        return self.pid_file.parents[1] / "started"

    def _record(self, process: psutil.Process) -> None:
        self._mark.touch()

    def _recorded(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int(self.pid_file.read_text().partition("\n")[0]))
            return process if self._is_of_this_server(process) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _is_of_this_server(self, process: psutil.Process) -> bool:
        try:
            return process.name() == "postgres" and process.cwd() == str(self.pid_file.parent.resolve())
        except psutil.Error:
            return False


def postgresql(settings: Settings) -> Program:
    """The embedded server; this makes no folder."""
    folder = (settings.home / "postgres").resolve()
    pid_file, log_path = folder / "data" / "postmaster.pid", folder / "postgresql.log"
    return _Server("postgresql", "PostgreSQL", pid_file, log_path)


def restoring(settings: Settings) -> Program:
    """The server that recovers data from a backup, before the platform gets it."""
    folder = (settings.home / "postgres").resolve() / "restoring"
    pid_file, log_path = folder / "data" / "postmaster.pid", folder / "postgresql.log"
    return _Server("restoring", "PostgreSQL", pid_file, log_path)


def log_receiver(settings: Settings) -> Program:
    """What keeps the embedded server's log among the backups (PostgreSQL's `pg_receivewal`)."""
    return Program(
        "log receiver",
        "the receiver of PostgreSQL's log",
        pid_file=run_folder(settings) / "log-receiver.json",
        log_path=settings.home / "logs" / "log-receiver.log",
        complaint="error:",
    )


def kamailio(settings: Settings) -> Program:
    """The platform's own switch."""
    folder = settings.home / "kamailio"
    return Program(
        "kamailio",
        "the switch",
        pid_file=folder / "process.json",
        log_path=folder / "kamailio.log",
        complaint="ERROR|CRITICAL",
    )


def airflow(settings: Settings) -> list[Program]:
    """Airflow's processes, running or not."""
    return [
        Program(
            name,
            f"Airflow's {name}",
            pid_file=run_folder(settings) / f"{name}.json",
            log_path=settings.home / "logs" / f"airflow-{name}.log",
        )
        for name in COMMANDS
    ]


def supervisor(settings: Settings) -> Program:
    """The process that watches the others."""
    return Program(
        "supervisor",
        "the supervisor",
        pid_file=run_folder(settings) / "supervisor.json",
        log_path=settings.home / "logs" / "supervisor.log",
    )


def watched(settings: Settings) -> list[Program]:
    """What the supervisor watches, in the order in which it starts."""
    receiver = [log_receiver(settings)] if settings.backups else []
    switch = [kamailio(settings)] if settings.has_own_switch else []
    return [postgresql(settings), *receiver, *switch, *airflow(settings)]
