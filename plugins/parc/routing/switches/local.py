"""The platform's own Kamailio: a child process on loopback, with its database beside the warehouse.

An outside one is named by PARC_SWITCH=kamailio:<folder of its rpc.sock> and PARC_SWITCH_DSN.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import socket as sockets
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from parc.errors import ConfigurationError
from parc.routing.switches import KAMAILIO
from parc.routing.switches.binrpc import CLIENT, Rpc
from parc.settings import Settings
from parc.warehouse import embedded

WRITER, READER = "switch", "kamailio"
DATABASE = "switch"
FOLDER = "kamailio"
SOCKET = "rpc.sock"
CALLS_PORT = 5060
START_SECONDS = 30
STOP_SECONDS = 10
PRIVATE_MEMORY_MB = 16
PEERS = "127.0.0.0/8"
PEER_CALLS = 400
"""New calls of one peer in a second."""
LOG_BYTES = 1 << 20
DEATH = b" ALERT: "
"""What a line of the log has that tells of a process that died: all that the switch says while it runs."""
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


def is_own(settings: Settings) -> bool:
    """Whether the settings ask for the platform's own Kamailio."""
    return settings.switch == KAMAILIO


def socket(settings: Settings) -> str:
    """Path of the switch's RPC socket."""
    folder = settings.switch.removeprefix(KAMAILIO)
    return str((Path(folder) if folder else settings.home / FOLDER) / SOCKET)


def database(settings: Settings) -> str:
    """The switch's database, as the role that writes.

    Raises ConfigurationError when it is the embedded server's and that does not run, or an outside switch's
    and not named.
    """
    if settings.switch_dsn:
        return settings.switch_dsn
    if not is_own(settings):
        raise ConfigurationError(f"the switch {settings.switch} needs its database: set PARC_SWITCH_DSN")
    host, port = embedded.address(settings)
    return psycopg.conninfo.make_conninfo(
        host=host, port=port, dbname=DATABASE, user=WRITER, password=settings.secret(f"{WRITER}_password")
    )


def secret(settings: Settings) -> str:
    """What the platform and the switch alone know.

    Raises ConfigurationError where it cannot stand in the switch's configuration.
    """
    given = settings.secret("switch_secret")
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{16,}", given):
        raise ConfigurationError("PARC_SWITCH_SECRET must have 16 or more letters, digits and _ . ~ - alone")
    return given


def peers() -> str:
    """Who may place calls on the platform's own switch: networks, separated by commas.

    Raises ConfigurationError when PARC_SWITCH_PEERS names something else.
    """
    given = os.environ.get("PARC_SWITCH_PEERS") or PEERS
    try:
        return ",".join(str(ipaddress.ip_network(each)) for each in re.split(r"[\s,]+", given.strip(" ,")))
    except ValueError as error:
        raise ConfigurationError(
            f"PARC_SWITCH_PEERS: {error}; name addresses and networks, as 192.0.2.7,198.51.100.0/28"
        ) from None


def pid(settings: Settings) -> int | None:
    """The running switch's process, None where it does not run."""
    process = _process(settings)
    return int(process.pid) if process else None


def log(settings: Settings) -> Path:
    """What the switch writes."""
    return settings.home / FOLDER / "kamailio.log"


def shorten_log(settings: Settings, longer_than: int = 0, *, dry_run: bool = False) -> int:
    """Keep of a log of more bytes only what tells of a process that died, at most LOG_BYTES; returns the
    bytes that went. A running switch writes on in the same file."""
    path = log(settings)
    before = path.read_bytes() if path.exists() else b""
    if len(before) <= longer_than:
        return 0
    kept = b"".join(line for line in before.splitlines(keepends=True) if DEATH in line)[-LOG_BYTES:]
    if not dry_run:
        os.truncate(path, 0)
        with open(path, "ab", opener=_private) as file:
            file.write(kept)
    return len(before) - len(kept)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def was_started(settings: Settings) -> bool:
    """It was started and not stopped since."""
    return _pid_file(settings).exists()


def start(settings: Settings) -> int:
    """Start the switch where it does not run, its database and tables made first; returns the port for calls.

    Raises ConfigurationError when it is not installed, or ends while it starts.
    """
    folder = settings.home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _process(settings):
        return calls_port(settings)
    program = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")
    if program is None:
        raise ConfigurationError(
            "kamailio is not installed; on Debian: apt-get install kamailio kamailio-postgres-modules "
            "kamailio-extra-modules, or name another switch with PARC_SWITCH"
        )
    make_database(settings)
    make_tables(settings)
    port = free_port(calls_port(settings) if (folder / "port").exists() else CALLS_PORT)
    (folder / "port").write_text(str(port))
    configuration = folder / "kamailio.cfg"
    configuration.touch(mode=0o600)
    configuration.write_text(_defines(settings, port))
    for left in [folder / SOCKET, *folder.glob(f"{CLIENT}*")]:
        left.unlink(missing_ok=True)
    memory = os.environ.get("PARC_SWITCH_MEMORY_MB") or "256"
    shorten_log(settings)
    with open(log(settings), "ab", opener=_private) as output:
        os.fchmod(output.fileno(), 0o600)
        process = subprocess.Popen(
            [
                program,
                "-DD",
                "-E",
                "-x",
                "tlsf",
                "-X",
                "tlsf",
                "-m",
                memory,
                "-M",
                str(PRIVATE_MEMORY_MB),
                "-f",
                str(configuration),
                "-Y",
                str(folder),
                "-P",
                str(folder / "kamailio.pid"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"},
        )
    created = psutil.Process(process.pid).create_time()
    _pid_file(settings).write_text(json.dumps({"pid": process.pid, "created": created}))
    _wait(settings, process)
    _apply_clock(settings)
    return port


def stop(settings: Settings) -> bool:
    """Stop the switch; returns whether it ran."""
    process = _process(settings)
    _pid_file(settings).unlink(missing_ok=True)
    if process is None:
        return False
    processes = [process, *process.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for each in alive:
        each.kill()
    return True


def set_clock(settings: Settings, now: datetime) -> None:
    """Tell the platform's own switch what time it is, and every later start of it: for simulated days."""
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
    """Make the embedded server's database for the switch and its two logins; harmless where they exist."""
    embedded.ensure_database(settings, WRITER, DATABASE)
    with embedded.superuser(settings) as connection:
        embedded.ensure_login(settings, connection, READER)
        reader, name = sql.Identifier(READER), sql.Identifier(DATABASE)
        connection.execute(sql.SQL("grant connect on database {} to {}").format(name, reader))
        connection.execute(
            sql.SQL("alter role {} in database {} set search_path = switch").format(reader, name)
        )


def make_tables(settings: Settings) -> None:
    """Make the switch's tables in its database, the embedded server's or an outside one; harmless again."""
    tables = (settings.project / "deploy/kamailio/tables.sql").read_text()
    with psycopg.connect(database(settings), autocommit=True) as connection:
        connection.execute(tables.encode())


def free_port(preferred: int) -> int:
    """A UDP port on loopback that is free together with the one after it: the preferred one if it is."""
    candidates: list[int] = [preferred, *range(25_060, 26_060, 2)]
    for candidate in candidates:
        try:
            for port in (candidate, candidate + 1):
                with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return candidate
    raise ConfigurationError("no two free UDP ports on 127.0.0.1 between 25060 and 26060")


def _defines(settings: Settings, port: int) -> str:
    host, database_port = embedded.address(settings)
    password = settings.secret(f"{READER}_password")
    return DEFINES.format(
        db_url=f"postgres://{READER}:{password}@{host}:{database_port}/{DATABASE}",
        socket=socket(settings),
        calls_port=port,
        probes_port=port + 1,
        last_resort=os.environ.get("PARC_SWITCH_LAST_RESORT") or "sip:partner@127.0.0.1:5199",
        workers=os.environ.get("PARC_SWITCH_WORKERS") or "4",
        ping_seconds=os.environ.get("PARC_SWITCH_PING_SECONDS") or "10",
        peers=peers(),
        peer_calls=os.environ.get("PARC_SWITCH_PEER_CALLS") or PEER_CALLS,
        secret=secret(settings),
        configuration=settings.project / "deploy/kamailio/kamailio.cfg",
    )


def _wait(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if Path(socket(settings)).exists():
            try:
                Rpc(socket(settings)).call("core.uptime", seconds=1)
                return
            except ConfigurationError:
                pass
        time.sleep(0.05)
    stop(settings)
    lines = log(settings).read_text(errors="replace").splitlines()[-200:]
    errors = [line for line in lines if "ERROR" in line or "CRITICAL" in line]
    raise ConfigurationError(
        f"the switch did not start; see {log(settings)}" + (f": {errors[-1]}" if errors else "")
    )


def _pid_file(settings: Settings) -> Path:
    return settings.home / FOLDER / "process.json"


def _process(settings: Settings) -> psutil.Process | None:
    try:
        known: dict[str, Any] = json.loads(_pid_file(settings).read_text())
        process = psutil.Process(int(known["pid"]))
        is_it = process.create_time() == known["created"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process if is_it else None
