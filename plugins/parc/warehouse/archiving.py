"""Keeps the embedded server's log in the folder of the backups (PARC_BACKUPS), as the server writes it.

A process of its own receives the log over a connection (`pg_receivewal`). If it stops, or the folder's disk
is full, the server goes on and keeps KEPT_IN_SERVER of log for it. After a longer break the log has a gap,
and `parc backup` begins a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from psycopg import Connection

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import backups, processes, programs
from parc.settings import Settings

OPTIONS = ("-c", "wal_level=replica", "-c", "max_wal_senders=4")
"""How the server is started if its log is kept; otherwise bulk loads write less log."""
KEPT_IN_SERVER = "4GB"
STOP_SECONDS = 20
CONNECT_SECONDS = 15
ANEW = Step("start the platform again, which starts to keep the log", "parc stop && parc up")

Superuser = Callable[[], Connection[tuple[object, ...]]]


def options(settings: Settings, folder: Path) -> tuple[str, ...]:
    """The server's options. A server that runs without them leaves a gap in the log."""
    if settings.backups:
        return OPTIONS
    (folder / "log").unlink(missing_ok=True)
    return ()


def start(settings: Settings, folder: Path, port: int, program: Path, superuser: Superuser) -> None:
    """Have the running server's log kept, or not, as the settings say. `folder` is the server's.

    Nothing raises: the platform works without backups, and a finding says that there are none.
    """
    receiver = programs.log_receiver(settings)
    with superuser() as connection:
        level = connection.execute("show wal_level").fetchone()
        if settings.backups is None or level != ("replica",):
            connection.execute("alter system reset wal_keep_size")
        else:
            connection.execute(f"alter system set wal_keep_size = '{KEPT_IN_SERVER}'")
        connection.execute("select pg_reload_conf()")
    if settings.backups is None or level != ("replica",):
        processes.stop([receiver], seconds=STOP_SECONDS)
        return
    log = current(settings, folder)
    try:
        if log is None:
            processes.stop([receiver], seconds=STOP_SECONDS)
            log = settings.backups / f"log-{backups.stamp(datetime.now(UTC))}"
            (log / "segments").mkdir(parents=True, mode=0o700)
            (folder / "log").write_text(str(log))
        if receiver.process:
            return
        backups.mend_partial(log)
        receiver.log_path.unlink(missing_ok=True)  # what an earlier one complained of is over
        command = [program, f"--directory={log / 'segments'}", "--host=127.0.0.1", f"--port={port}"]
        environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "TZ": "UTC",
            "PGPASSWORD": settings.secret("postgres_password"),
        }
        receiver.start(
            [*map(str, command), "--username=postgres", "--no-password"], settings.home, environment
        )
    except OSError as error:
        with open(receiver.log_path, "a", opener=processes.owner_only) as file:
            file.write(f"error: {error}\n")


def stop(settings: Settings) -> None:
    """Stop keeping the log, after the server: it waits until its last change is kept."""
    processes.stop([programs.log_receiver(settings)], seconds=STOP_SECONDS)


def current(settings: Settings, folder: Path) -> Path | None:
    """The part of the log that the server's changes go to; None if there is none in PARC_BACKUPS."""
    try:
        log = Path((folder / "log").read_text())
    except FileNotFoundError:
        return None
    return log if log.parent == settings.backups and (log / "segments").is_dir() else None


def is_received(superuser: Superuser, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether the log is being received, or is so within some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        with superuser() as connection:
            row = connection.execute(
                "select 1 from pg_stat_replication "
                "where application_name = 'pg_receivewal' and state = 'streaming'"
            ).fetchone()
        if row or time.monotonic() > deadline:
            return row is not None
        time.sleep(0.2)


def not_received(settings: Settings) -> ConfigurationError:
    """Why the log is not being kept."""
    receiver = programs.log_receiver(settings)
    why = receiver.last_error() or "its process does not run"
    return ConfigurationError(
        f"the server's log is not being kept in {settings.backups}: {why}",
        steps=(processes.read_log(receiver), ANEW),
    )
