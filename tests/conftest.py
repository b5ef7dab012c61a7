"""Shared fixtures: one embedded PostgreSQL for the session, a fresh migrated database per test."""

from __future__ import annotations

import lzma
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from parc import routing
from parc.settings import PROJECT, Settings
from parc.warehouse import connections, embedded, migrate
from routing_world import QUIET

RELEASED = Path(__file__).parent / "fixtures" / "warehouse_0.1.0"
SHARED = PROJECT.parent / "shared" / "data"
NAMES_IN_USE: set[str] = set()


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """A running embedded PostgreSQL with a migrated template database."""
    with folder_for_everyone() as home:
        settings = Settings(home=home, landing=str(home / "landing"), switch=str(home / "switch"))
        embedded.start(settings)
        migrate(settings)
        yield settings
        embedded.stop(settings)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are private."""
    with folder_for_everyone() as folder:
        yield folder


@contextmanager
def folder_for_everyone() -> Iterator[Path]:
    """A temporary folder with mode 0755."""
    with tempfile.TemporaryDirectory(prefix="parc-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def warehouse(server: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A platform of the test's own: an empty, migrated database and empty folders."""
    with empty_platform(server, tmp_path) as settings:
        yield settings


@pytest.fixture(scope="module")
def module_warehouse(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same for all tests of a module, which go on from each other."""
    with empty_platform(server, tmp_path_factory.mktemp("platform")) as settings:
        yield settings


@pytest.fixture(scope="module")
def released(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A platform whose warehouse is as version 0.1.0 left it, before any later schema change."""
    folder = tmp_path_factory.mktemp("released")
    with (
        pytest.MonkeyPatch.context() as patch,
        empty_platform(server, folder, template="template0") as settings,
    ):
        patch.setenv("PARC_PSEUDONYM_SECRET", (RELEASED / "pseudonym_secret").read_text())
        restore(settings, RELEASED / "warehouse.sql.xz")
        yield settings


@pytest.fixture(scope="module")
def copy_of(server: Settings) -> Iterator[Callable[[Settings], Settings]]:
    """Makes a copy of a platform's database as it is now; landing zone and home are the original's."""
    copies = []
    stack = ExitStack()

    def copied(settings: Settings) -> Settings:
        name = stack.enter_context(free_name())
        original = str(psycopg.conninfo.conninfo_to_dict(settings.warehouse_dsn or "")["dbname"])
        names = [sql.Identifier(each) for each in (name, original, embedded.LOGIN)]
        as_superuser(server, sql.SQL("create database {} template {} owner {}").format(*names))
        copies.append(name)
        return replace(settings, warehouse_dsn=connections.dsn(replace_database(server, name), "admin"))

    yield copied
    for name in copies:
        as_superuser(server, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    stack.close()


@contextmanager
def empty_platform(server: Settings, folder: Path, template: str = embedded.DATABASE) -> Iterator[Settings]:
    """A fresh copy of the template database, dropped afterwards, and an empty landing zone."""
    (folder / "landing").mkdir()
    with free_name() as name:
        names = {
            "database": sql.Identifier(name),
            "template": sql.Identifier(template),
            "login": sql.Identifier(embedded.LOGIN),
        }
        as_superuser(
            server, sql.SQL("create database {database} template {template} owner {login}").format(**names)
        )
        yield replace(
            server,
            warehouse_dsn=connections.dsn(replace_database(server, name), "admin"),
            landing=str(folder / "landing"),
            switch=str(folder / "switch"),
        )
        # As superuser: an autovacuum worker may be at work in it, which nobody else may end.
        as_superuser(server, sql.SQL("drop database {database} with (force)").format(**names))


@contextmanager
def free_name() -> Iterator[str]:
    """The first database name that is not in use: dbt parses the project anew for each name it has not seen
    last, which takes longer than many a build."""
    name = next(each for each in map("test_{}".format, count(1)) if each not in NAMES_IN_USE)
    NAMES_IN_USE.add(name)
    try:
        yield name
    finally:
        NAMES_IN_USE.remove(name)


def as_superuser(server: Settings, command: sql.Composed) -> None:
    """One command on the server as its superuser."""
    with superuser(server, "postgres") as connection:
        connection.execute(command)


def superuser(server: Settings, database: str) -> psycopg.Connection[Any]:
    """A session of the server's superuser in a database."""
    given = connections.parameters(server, "admin") | {
        "dbname": database,
        "user": "postgres",
        "password": server.secret("postgres_password"),
    }
    return psycopg.connect(**given, autocommit=True)  # type: ignore[arg-type]


def restore(settings: Settings, dump: Path) -> None:
    """Run a plain dump in the empty database of `settings`, as psql would."""
    database = str(psycopg.conninfo.conninfo_to_dict(settings.warehouse_dsn or "")["dbname"])
    commands: list[bytes] = []
    with lzma.open(dump) as lines, superuser(settings, database) as connection, connection.transaction():
        for line in lines:
            if line.startswith(b"COPY "):
                connection.execute(b"".join(commands))
                commands = []
                with connection.cursor() as cursor, cursor.copy(line) as copy:
                    for row in iter(lines.readline, b"\\.\n"):
                        copy.write(row)
            elif not line.startswith(
                (b"\\", b"SET transaction_timeout")
            ):  # psql's own; of servers from 17 on
                commands.append(line)
        connection.execute(b"".join(commands))


def replace_database(settings: Settings, name: str) -> Settings:
    """The same server, another database."""
    given = connections.parameters(settings, "admin") | {"dbname": name}
    return settings.with_warehouse(psycopg.conninfo.make_conninfo(**given))


@pytest.fixture
def live(world: Settings) -> Settings:
    """The table of a quiet day is live on the switch of `world`."""
    routing.apply(world, QUIET, requested_by="night", reason="first table", bootstrap=True)
    return world


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data kept beside the project; tests that need it are skipped by name where it is absent."""
    if not SHARED.exists():
        pytest.skip("../shared/data (real call log, real numbering plan) is not here")
    return SHARED
