"""Shared fixtures: one embedded PostgreSQL for the session, a fresh migrated database per test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from parc import routing
from parc.settings import PROJECT, Settings
from parc.warehouse import connections, embedded, migrate
from routing_world import QUIET

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
def empty_platform(server: Settings, folder: Path) -> Iterator[Settings]:
    """A fresh copy of the template database, dropped afterwards, and an empty landing zone."""
    (folder / "landing").mkdir()
    with free_name() as name:
        names = {"database": sql.Identifier(name), "login": sql.Identifier(embedded.LOGIN)}
        as_superuser(
            server, sql.SQL("create database {database} template parc owner {login}").format(**names)
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
    given = connections.parameters(server, "admin") | {
        "dbname": "postgres",
        "user": "postgres",
        "password": server.secret("postgres_password"),
    }
    with psycopg.connect(**given, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(command)


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
