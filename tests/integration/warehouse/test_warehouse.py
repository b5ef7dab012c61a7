"""The warehouse's roles, schema changes and embedded server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import parc
from parc.errors import ConfigurationError
from parc.ledger import write_builds
from parc.settings import Settings
from parc.warehouse import connect, connections, embedded, migrate, schema


def test_migrating_again_applies_nothing(warehouse: Settings) -> None:
    assert migrate(warehouse) == []


def test_altered_migration_is_refused(warehouse: Settings, tmp_path, monkeypatch) -> None:
    (tmp_path / "0001_ledger.sql").write_text("select 1")
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path)
    with pytest.raises(ConfigurationError, match="0001_ledger.sql was applied"):
        migrate(warehouse)


def test_a_database_of_another_encoding_is_refused(server: Settings) -> None:
    with connect(server, "admin", autocommit=True) as connection:
        connection.execute("create database in_ascii encoding 'SQL_ASCII' locale 'C' template template0")
        try:
            dsn = connections.dsn(server, "admin").replace("/parc?", "/in_ascii?")
            with pytest.raises(
                ConfigurationError, match="encoding SQL_ASCII instead of UTF8(.|\n)*create database"
            ):
                migrate(replace(server, warehouse_dsn=dsn))
        finally:
            connection.execute("drop database in_ascii")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("bi_reader", "select * from ops.delivery"),
        ("bi_reader", "create table marts.mine (i int)"),
        ("reader", "insert into ops.delivery default values"),
        ("reader", "create table routing.peek (i int)"),
        ("transformer", "create table routing.peek (i int)"),
        ("transformer", "update ops.delivery set status = 'refused'"),
        ("exporter", "create table raw.mine (i int)"),
        ("loader", "create table marts.mine (i int)"),
    ],
)
def test_each_role_is_limited_to_its_work(warehouse: Settings, role, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(warehouse, role) as connection:
        connection.execute("set transaction read write")
        connection.execute(statement)


def test_raw_numbers_are_for_the_export_alone(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        connection.execute("create table routing.numbers (number text)")
    with connect(warehouse, "exporter") as connection:
        connection.execute("select * from routing.numbers")
    for role in ("reader", "transformer", "bi_reader"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(warehouse, role) as connection:  # type: ignore[arg-type]
            connection.execute("select * from routing.numbers")


def test_two_homes_side_by_side_and_restart(server: Settings, open_folder: Path) -> None:
    other = Settings(home=open_folder / "home", landing="", switch="")
    embedded.start(other)
    try:
        assert embedded.address(other) != embedded.address(server)
        with connect(other, "admin") as connection:
            connection.execute("create table kept (i int)")
        assert embedded.stop(other)
        with pytest.raises(ConfigurationError, match="parc up"):
            embedded.address(other)
        embedded.start(other)
        with connect(other, "admin") as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)
    finally:
        embedded.stop(other)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can have a home that others cannot reach")
def test_home_and_environment_that_others_cannot_reach(tmp_path, monkeypatch) -> None:
    """A checkout below root's home: the server's files and programs are kept outside."""
    monkeypatch.setattr(embedded, "_reachable", lambda path: False)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    settings = Settings(home=closed / "home", landing="", switch="")
    embedded.start(settings)
    try:
        assert (closed / "home" / "postgres").resolve().is_relative_to("/var/lib/parc")
        assert migrate(settings)
    finally:
        embedded.stop(settings)
        shutil.rmtree((closed / "home" / "postgres").resolve())


def interpreter_for_everyone() -> str:
    """A Python like this one that a plain user can run (this one may live below root's home)."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        path = Path(candidate).resolve()
        if path.exists() and all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents)):
            return candidate
    pytest.skip("no Python that a plain user can run")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_starts_as_a_plain_user(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, embedded.NOBODY, embedded.NOBODY)
    program = (
        "from parc.settings import Settings; from parc.warehouse import embedded, migrate; "
        "s = Settings.from_env(); embedded.start(s); print(migrate(s)); embedded.stop(s)"
    )
    packages = [str(Path(parc.__file__).parents[1]), sysconfig.get_path("purelib")]
    done = subprocess.run(
        [interpreter_for_everyone(), "-c", program],
        env={"PARC_HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(packages)},
        user=embedded.NOBODY,
        group=embedded.NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "0001_ledger.sql" in done.stdout, done.stderr


def test_builds_are_numbered_one_after_the_other_after_a_crash(warehouse: Settings) -> None:
    """A crash of PostgreSQL makes its sequences skip up to 32 numbers."""

    def begin() -> int:
        with connect(warehouse, "transformer") as connection:
            write_builds.abandon_running(connection)
            return write_builds.begin(
                connection,
                is_full_refresh=False,
                resumed_build_id=None,
                project_sha256="",
                delivery_ids=[],
                dates={},
            )

    assert begin() == 1
    with connect(warehouse, "admin") as connection:
        connection.execute("select setval('ops.build_build_id_seq', 33)")
    assert begin() == 2
