"""The server that recovers data from a backup. Only this process reaches it: it listens on no address, and on
a socket in a folder that is closed to other users."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import processes, programs
from parc.host.processes import StartFailed, wait_until_ready
from parc.settings import Settings
from parc.warehouse import embedded

RECOVERY_SECONDS = 4 * 3600
STOP_SECONDS = 300
PORT = 5432
ENDED_BEFORE = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True)
class Restored:
    """A server whose data were recovered; `data` becomes the platform's once it has stopped."""

    data: Path
    socket: str

    def open(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A session of the superuser."""
        return psycopg.connect(host=self.socket, port=PORT, user="postgres", dbname=database, autocommit=True)

    @property
    def warehouse(self) -> str:
        """The DSN of the warehouse, as its owner."""
        return psycopg.conninfo.make_conninfo(
            host=self.socket, port=PORT, user=embedded.LOGIN, dbname=embedded.DATABASE
        )


def folder(settings: Settings) -> Path:
    """Where data are recovered, empty: what an earlier run left is stopped and removed."""
    processes.stop([programs.restoring(settings)], seconds=STOP_SECONDS, how=signal.SIGQUIT)
    server = embedded.server_folder(settings)
    if not has_warehouse(settings):
        (server / embedded.UNFINISHED).touch()  # until it is restored, no empty one is made
    owner = embedded.identity()
    if owner:
        os.chown(server, owner["user"], owner["group"])
    restoring = server / "restoring"
    shutil.rmtree(restoring, ignore_errors=True)
    restoring.mkdir(mode=0o700)
    data = restoring / "data"
    data.mkdir(mode=0o700)
    return data


@contextmanager
def recovered(settings: Settings, data: Path, moment: datetime | None) -> Iterator[Restored]:
    """The server of data whose log is in their `pg_wal`, recovered to a moment (None: to the log's end) and
    stopped at the end of the block.

    Raises ConfigurationError if that fails.
    """
    (data / "recovery.signal").touch()
    with tempfile.TemporaryDirectory(prefix="parc-restore-") as socket:
        Path(socket, "hba.conf").write_text("local all all trust\n")
        _give(settings, data.parent, Path(socket))
        try:
            _recover(settings, data, socket, moment)
        except StartFailed as failed:
            # No change was made between the last one in the log and the moment: all of the log is right.
            if moment is None or ENDED_BEFORE not in failed.program.last_error():
                raise
            _recover(settings, data, socket, None)
        try:
            yield Restored(data, socket)
        finally:
            stop(settings)


def stop(settings: Settings) -> None:
    """Stop the server, with everything on disk."""
    server = programs.restoring(settings)
    processes.stop([server], seconds=STOP_SECONDS, how=signal.SIGINT, may_kill=False)


def _recover(settings: Settings, data: Path, socket: str, moment: datetime | None) -> None:
    given = {
        "listen_addresses": "",
        "unix_socket_directories": socket,
        "hba_file": f"{socket}/hba.conf",
        "hot_standby": "off",  # nobody is let in before it is recovered
        "restore_command": "false",  # the whole log is there
        "recovery_target_time": moment.isoformat(sep=" ") if moment else "",
        "recovery_target_action": "promote",
    }
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    program = embedded.binaries(settings) / "postgres"
    server = programs.restoring(settings)
    command = [str(program), "-D", str(data), "-p", str(PORT), *options]
    server.start(command, data.parent, embedded.ENVIRONMENT, **embedded.identity())

    def is_ready() -> bool:
        try:
            with Restored(data, socket).open() as connection:
                return connection.execute("select not pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.OperationalError:
            time.sleep(0.1)
            return False

    wait_until_ready([server], is_ready, RECOVERY_SECONDS)


def _give(settings: Settings, *folders: Path) -> None:
    """Make folders and all in them the server's user's, and closed to others."""
    owner = embedded.identity().get("user", os.getuid())
    for each in folders:
        for path in (each, *each.rglob("*")):
            os.chown(path, owner, embedded.identity().get("group", -1))
            path.chmod(0o700 if path.is_dir() else 0o600)


def require_room(settings: Settings, byte_count: int) -> None:
    """Raises ConfigurationError when the server's disk cannot take so many bytes."""
    server = embedded.server_folder(settings)
    if (free := shutil.disk_usage(server).free) < byte_count:
        raise ConfigurationError(
            f"{free / 1024**3:.1f} GiB free at {server}, the data that are restored need "
            f"{byte_count / 1024**3:.1f} GiB beside what is there",
            steps=(Step("make room"), Step("set PARC_HOME to a larger disk", is_alternative=True)),
        )


def put_in_place(settings: Settings, data: Path, put_others: Callable[[], None]) -> None:
    """Make recovered data the platform's own, and put what belongs to them in place. If this is cut short,
    the platform does not start until a restore is complete."""
    server = embedded.server_folder(settings)
    mark, replaced = server / embedded.UNFINISHED, server / "replaced"
    mark.touch()
    shutil.rmtree(replaced, ignore_errors=True)
    if (server / "data").exists():
        (server / "data").rename(replaced)
    data.rename(server / "data")
    put_others()
    (server / "log").unlink(missing_ok=True)  # its log is another from here on
    mark.unlink()
    for left in (replaced, data.parent):
        shutil.rmtree(left, ignore_errors=True)


def has_warehouse(settings: Settings) -> bool:
    """Whether the platform has a warehouse that a restore would replace."""
    server = settings.home / "postgres"
    return (server / "data" / "PG_VERSION").exists() and not (server / embedded.UNFINISHED).exists()
