"""Schema changes: numbered SQL files, each applied once, in order, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.settings import Settings
from parc.warehouse import logins
from parc.warehouse.connections import connect
from parc.warehouse.partitions import ensure_tables

MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(settings: Settings) -> list[str]:
    """Bring the ledger's schemas and the feeds' tables (not dbt's) up to date; returns the files applied.

    Raises ConfigurationError if the server is older than 15, the database is not UTF-8, or an applied file
    has been changed since.
    """
    applied = []
    with connect(settings, "admin") as connection:
        if connection.info.server_version < 150000:
            raise ConfigurationError(
                f"PostgreSQL {connection.info.server_version // 10000} is too old; use 15 or newer"
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ConfigurationError(
                f"the database {connection.info.dbname} has the encoding {encoding} instead of UTF8",
                steps=(
                    Step(
                        "create it again in SQL",
                        f"create database {connection.info.dbname} encoding 'UTF8' template template0",
                    ),
                ),
            )
        _lock(connection)
        logins.ensure(connection, settings)
        logins.give_database(connection)
        known = dict(connection.execute("select name, sha256 from ops.schema_version").fetchall())
        for path in sorted(MIGRATIONS.glob("*.sql")):
            text = path.read_text()
            digest = hashlib.sha256(text.encode()).hexdigest()
            if path.name not in known:
                connection.execute(text.encode())
                connection.execute(
                    "insert into ops.schema_version (name, sha256) values (%s, %s)", [path.name, digest]
                )
                applied.append(path.name)
            elif known[path.name] != digest:
                raise ConfigurationError(
                    f"{path.name} was applied to this warehouse with different content; "
                    "put a schema change in a new file, and never edit an applied one"
                )
    ensure_tables(settings)
    return applied


def pending_migrations(settings: Settings) -> list[str]:
    """Schema files that are not yet applied to this warehouse."""
    names = [path.name for path in sorted(MIGRATIONS.glob("*.sql"))]
    with inspection(settings) as connection:
        row = connection.execute("select to_regclass('ops.schema_version') is not null").fetchone()
        if not (row and row[0]):
            return names
        known = {name for (name,) in connection.execute("select name from ops.schema_version").fetchall()}
    return [name for name in names if name not in known]


@contextmanager
def inspection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection for inspection: as the reader, or as the owner if the reader does not exist yet.

    Raises ConfigurationError if neither can connect.
    """
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(settings, "reader"))
        except ConfigurationError as as_reader:
            try:
                connection = stack.enter_context(connect(settings, "admin"))
            except ConfigurationError:
                raise as_reader from None
        yield connection


def _lock(connection: psycopg.Connection[Any]) -> None:
    """Create the list of applied files if it does not exist, and make other migrations wait."""
    try:
        connection.execute(
            "create schema if not exists ops;"
            "create table if not exists ops.schema_version "
            "(name text primary key, sha256 text not null, applied_at timestamptz not null default now())"
        )
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
        connection.rollback()  # another migration has just created it
    else:
        connection.commit()
    connection.execute("lock table ops.schema_version in exclusive mode")
