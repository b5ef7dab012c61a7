"""The platform's own Kamailio: a process on loopback, with its database beside the warehouse.

An outside one is named by PARC_SWITCH=kamailio:<folder of its rpc.sock> and PARC_SWITCH_DSN.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket as sockets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import processes, programs
from parc.host.processes import owner_only, wait_until_ready
from parc.routing.switches import KAMAILIO
from parc.routing.switches.binrpc import CLIENT, Rpc
from parc.settings import OwnSwitch, Settings
from parc.warehouse import embedded

WRITER, READER = "switch", "kamailio"
DATABASE = embedded.SWITCH
FOLDER = "kamailio"
SOCKET = "rpc.sock"
CALLS_PORT = 5060
START_SECONDS = 30
STOP_SECONDS = 10
PRIVATE_MEMORY_MB = 16
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"}
LOG_BYTES = 1 << 20
DEATH = b" ALERT: "
"""Marks the log's lines about a process that died: the only lines that the switch writes while it runs."""
DEFINES = """#!KAMAILIO
#!define DB_URL "{db_url}"
#!define RPC_SOCKET "unixd:{socket}"
#!define CALLS_SOCKET udp:127.0.0.1:{calls_port}
#!define PROBES_SOCKET udp:127.0.0.1:{probes_port}
#!define PROBES_PORT {probes_port}
#!define LAST_RESORT "{last_resort}"
#!define CHILDREN {workers}
#!define PING_SECONDS {ping_seconds}
#!define PEERS "{peers}"
#!define PEER_CALLS {peer_calls}
#!define SECRET "{secret}"
#!define SIMULATED_CLOCK
include_file "{configuration}"
"""


def socket(settings: Settings) -> str:
    """Path of the switch's RPC socket."""
    folder = settings.switch.removeprefix(KAMAILIO)
    return str((Path(folder) if folder else settings.home / FOLDER) / SOCKET)


def database(settings: Settings) -> str:
    """The switch's database, as the role that writes.

    Raises ConfigurationError when it is on the embedded server and that does not run, or when nobody named an
    outside switch's database.
    """
    if settings.switch_dsn:
        return settings.switch_dsn
    if not settings.has_own_switch:
        raise ConfigurationError(f"the switch {settings.switch} needs its database: set PARC_SWITCH_DSN")
    host, port = embedded.address(settings)
    return psycopg.conninfo.make_conninfo(
        host=host, port=port, dbname=DATABASE, user=WRITER, password=settings.secret(f"{WRITER}_password")
    )


def secret(settings: Settings) -> str:
    """The secret that only the platform and the switch know.

    Raises ConfigurationError when the switch's configuration cannot hold it.
    """
    given = settings.secret("switch_secret")
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{16,}", given):
        raise ConfigurationError("PARC_SWITCH_SECRET must have 16 or more letters, digits and _ . ~ - alone")
    return given


def peers(switch: OwnSwitch) -> str:
    """Who may place calls on the platform's own switch: networks, separated by commas.

    Raises ConfigurationError when one is not a network.
    """
    given = re.split(r"[\s,]+", switch.peers.strip(" ,"))
    try:
        return ",".join(str(ipaddress.ip_network(each)) for each in given)
    except ValueError as error:
        raise ConfigurationError(
            f"PARC_SWITCH_PEERS: {error}; name addresses and networks, as 192.0.2.7,198.51.100.0/28"
        ) from None


def shorten_log(settings: Settings, longer_than: int = 0, *, dry_run: bool = False) -> int:
    """Cut a log of more bytes than `longer_than` down to the lines about a process that died, LOG_BYTES of
    them at most; returns the bytes removed. A running switch keeps writing to the same file."""
    path = programs.kamailio(settings).log_path
    before = path.read_bytes() if path.exists() else b""
    if len(before) <= longer_than:
        return 0
    kept = b"".join(line for line in before.splitlines(keepends=True) if DEATH in line)[-LOG_BYTES:]
    if not dry_run:
        os.truncate(path, 0)
        with open(path, "ab", opener=owner_only) as file:
            file.write(kept)
    return len(before) - len(kept)


def start(settings: Settings) -> int:
    """Start the switch unless it runs, after making its database and tables; returns the port for calls.

    Raises ConfigurationError when it is not installed or does not start.
    """
    folder = settings.home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    switch = programs.kamailio(settings)
    if switch.process:
        return calls_port(settings)
    executable = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
    if executable is None:
        raise ConfigurationError(
            "kamailio is not installed",
            steps=(
                Step(
                    "install it on Debian",
                    "apt-get install kamailio kamailio-postgres-modules kamailio-extra-modules",
                ),
                Step("name another switch with PARC_SWITCH", is_alternative=True),
            ),
        )
    make_database(settings)
    make_tables(settings)
    with reserved_port(calls_port(settings) if (folder / "port").exists() else CALLS_PORT) as port:
        (folder / "port").write_text(str(port))
        configuration = folder / "kamailio.cfg"
        configuration.touch(mode=0o600)
        configuration.write_text(_defines(settings, port))
        for left in [folder / SOCKET, *folder.glob(f"{CLIENT}*")]:
            left.unlink(missing_ok=True)
        shorten_log(settings)
        command = [executable, "-DD", "-E", "-x", "tlsf", "-X", "tlsf"]
        command += ["-m", settings.own_switch.memory_mb, "-M", str(PRIVATE_MEMORY_MB)]
        command += ["-f", str(configuration), "-Y", str(folder), "-P", str(folder / "kamailio.pid")]
        switch.start(command, folder, ENVIRONMENT)
        try:
            wait_until_ready([switch], lambda: _answers(settings), START_SECONDS)
        except ConfigurationError:
            stop(settings)
            raise
    _apply_clock(settings)
    return port


def stop(settings: Settings) -> bool:
    """Stop the switch; returns whether it ran."""
    return bool(processes.stop([programs.kamailio(settings)], seconds=STOP_SECONDS))


def set_clock(settings: Settings, now: datetime) -> None:
    """Set the clock of the platform's own switch, for later starts too: for simulated days."""
    offset = int(now.timestamp() - time.time())
    (settings.home / FOLDER / "clock").write_text(str(offset))
    _apply_clock(settings)


def _apply_clock(settings: Settings) -> None:
    path = settings.home / FOLDER / "clock"
    if path.exists():
        Rpc(socket(settings)).call("htable.sets", "ctl", "clock_offset", path.read_text())


def calls_port(settings: Settings) -> int:
    """The UDP port on which calls come in."""
    return int((settings.home / FOLDER / "port").read_text())


def make_database(settings: Settings) -> None:
    """Make the switch's database on the embedded server, and its two logins, unless they exist."""
    embedded.ensure_database(settings, WRITER, DATABASE)
    with embedded.superuser(settings) as connection:
        embedded.ensure_login(settings, connection, READER)
        let_in(connection)


def let_in(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Let the switch read its database. A dump of the database does not have this."""
    reader, name = sql.Identifier(READER), sql.Identifier(DATABASE)
    connection.execute(sql.SQL("grant connect on database {} to {}").format(name, reader))
    connection.execute(sql.SQL("alter role {} in database {} set search_path = switch").format(reader, name))


def make_tables(settings: Settings) -> None:
    """Make the switch's tables in its database, on the embedded server or elsewhere, unless they exist."""
    tables = (settings.project / "deploy/kamailio/tables.sql").read_text()
    with psycopg.connect(database(settings), autocommit=True) as connection:
        connection.execute(tables.encode())


@contextmanager
def reserved_port(preferred: int) -> Iterator[int]:
    """A UDP port on 127.0.0.1 that is free, as the next one is: the preferred one if it is.

    Until the block ends, no other platform gets it: two Kamailios that start at once can bind the same port,
    and one of them takes the calls of both.

    Raises ConfigurationError when there is none.
    """
    candidates: list[int] = [preferred, *range(25_060, 26_060, 2)]
    for candidate in candidates:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as reservation:
            try:
                reservation.bind(f"\0parc-switch-{candidate}")
                for port in (candidate, candidate + 1):
                    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as probe:
                        probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield candidate
            return
    raise ConfigurationError("no two free UDP ports on 127.0.0.1 between 25060 and 26060")


def _defines(settings: Settings, port: int) -> str:
    host, database_port = embedded.address(settings)
    password = settings.secret(f"{READER}_password")
    own = settings.own_switch
    return DEFINES.format(
        db_url=f"postgres://{READER}:{password}@{host}:{database_port}/{DATABASE}",
        socket=socket(settings),
        calls_port=port,
        probes_port=port + 1,
        last_resort=own.last_resort,
        workers=own.workers,
        ping_seconds=own.ping_seconds,
        peers=peers(own),
        peer_calls=own.peer_calls,
        secret=secret(settings),
        configuration=settings.project / "deploy/kamailio/kamailio.cfg",
    )


def _answers(settings: Settings) -> bool:
    if not Path(socket(settings)).exists():
        return False
    try:
        Rpc(socket(settings)).call("core.uptime", seconds=1)
    except ConfigurationError:
        return False
    return True
