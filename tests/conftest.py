"""Shared fixtures: one embedded PostgreSQL for the session, a fresh migrated database per test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from parc import routing
from parc.settings import PROJECT, Settings
from parc.warehouse import embedded, migrate
from support import judged, preloaded
from support.databases import as_superuser, empty_platform, free_name, hasten_logins, restore, with_database
from support.routing_world import QUIET

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("parc", deadline=None)
hypothesis.settings.load_profile("parc")

MEMORY, NEEDED_BYTES = Path("/dev/shm"), 6 << 30


def use_memory() -> None:
    """Keep temporary files in memory if there is room: it makes and drops a database three times as fast.

    The files hold programs too (the embedded server's), so they must be allowed to run there.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    disk = os.statvfs(MEMORY)
    if disk.f_bavail * disk.f_frsize > NEEDED_BYTES and not disk.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


use_memory()

RELEASED = Path(__file__).parent / "fixtures" / "warehouse_0.1.0"
SHARED = PROJECT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """A running embedded PostgreSQL with a migrated template database."""
    with folder_for_everyone() as home:
        settings = Settings(home=home, landing=str(home / "landing"), switch=str(home / "switch"))
        embedded.start(settings)
        hasten_logins(settings)
        migrate(settings)
        yield settings
        embedded.stop(settings)


@pytest.fixture(scope="session", autouse=True)
def _preloaded() -> Iterator[None]:
    """Loads and dbt start with their libraries already imported; the same measures are judged once."""
    with pytest.MonkeyPatch.context() as patch:
        preloaded.patch(patch)
        judged.patch(patch)
        yield


@pytest.fixture
def as_deployed() -> Iterator[None]:
    """Loads and dbt start as they do on a deployed platform."""
    with pytest.MonkeyPatch.context() as patch:
        preloaded.restore(patch)
        yield


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
    """A platform for one test: an empty, migrated database and empty folders."""
    with empty_platform(server, tmp_path) as settings:
        yield settings


@pytest.fixture(scope="module")
def module_warehouse(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same for all tests of a module, which build on each other."""
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
        return with_database(settings, server, name)

    yield copied
    for name in copies:
        as_superuser(server, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    stack.close()


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
