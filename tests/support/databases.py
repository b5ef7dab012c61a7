"""Test databases on the embedded server."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from parc.settings import Settings
from parc.warehouse import connect, connections, embedded, logins

NAMES_IN_USE: set[str] = set()


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
            with_database(server, server, name),
            landing=str(folder / "landing"),
            switch=str(folder / "switch"),
        )
        # As superuser: an autovacuum worker may be running in it, which nobody else may end.
        as_superuser(server, sql.SQL("drop database {database} with (force)").format(**names))


def with_database(settings: Settings, server: Settings, name: str) -> Settings:
    """These settings with a newly created database of the server, open only to the platform's logins."""
    made = replace(settings, warehouse_dsn=connections.dsn(replace_database(server, name), "admin"))
    with connect(made, "admin") as connection:
        logins.give_database(connection)
    return made


@contextmanager
def free_name() -> Iterator[str]:
    """The first unused database name. dbt parses the project again whenever the name differs from the last
    one, which takes longer than many builds."""
    name = next(each for each in map("test_{}".format, count(1)) if each not in NAMES_IN_USE)
    NAMES_IN_USE.add(name)
    try:
        yield name
    finally:
        NAMES_IN_USE.remove(name)


def hasten_logins(server: Settings) -> None:
    """Store passwords with one iteration: a login is then proved in a third of the processor time, and tests
    connect 25,000 times. The passwords are random, so that more iterations protect nothing."""
    with superuser(server, "postgres") as connection:
        connection.execute("alter system set scram_iterations = 1")
        connection.execute("select pg_reload_conf()")
        connection.execute("set scram_iterations = 1")
        for name in ("postgres", embedded.LOGIN):
            kept = logins.verifier(connection, name, server.secret(f"{name}_password"))
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(name), kept))


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
