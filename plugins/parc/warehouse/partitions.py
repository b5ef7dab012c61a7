"""The raw tables and all partition DDL: parents with comments, the table of one delivery, its swap-in.

A delivery is loaded into its own table, shaped like the parent, and published by attaching that table as the
partition of its date. The table is created from the declaration and not with `LIKE`, which would lock the
parent for the whole load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from parc.errors import ConfigurationError
from parc.feeds import FEEDS, Feed, Keeping, Stored
from parc.ledger import locks
from parc.settings import Settings
from parc.warehouse.connections import connect

LOCK_PATIENCE = "2s"
PATIENCE_SECONDS = 300
"""A lock request that waits for a reader blocks all readers behind it, so it waits briefly and retries."""


@dataclass(frozen=True)
class Table:
    """A table, identified by schema and name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(self.schema, self.name)


def ensure_tables(settings: Settings) -> None:
    """Create the raw tables of all feeds if they do not exist."""
    with connect(settings, "loader") as connection:
        for feed in FEEDS.values():
            ensure_table(connection, feed)


def ensure_table(connection: Connection[Any], feed: Feed) -> None:
    """Create the feed's raw table, and its number table if it has one, if they do not exist.

    Raises ConfigurationError if an existing table's columns differ from the declaration.
    """
    for table, columns in _tables(feed).items():
        found = _columns_of(connection, table)
        if not found:
            locks.keep(connection, locks.RAW_TABLES)
            found = _columns_of(connection, table)  # another run may have created it in the meantime
        if not found:
            _create(connection, feed, table, columns)
            continue
        declared = {column.name: column.type.sql for column in columns}
        if found != declared:
            differences = sorted(dict(found.items() ^ declared.items()))
            raise ConfigurationError(
                f"{table} differs from the declaration of feed {feed.name} in {', '.join(differences)}; "
                "bring the table up to date with a schema change (plugins/parc/warehouse/migrations)"
            )


def parent(feed: Feed) -> Table:
    """The table from which the feed's published rows are read."""
    return Table("raw", feed.name)


def number_table(feed: Feed) -> Table:
    """The table that holds the raw numbers of a feed of ranges."""
    assert feed.number_table
    return Table("routing", feed.number_table)


def delivery_table(feed: Feed, business_date: date, delivery_id: int) -> Table:
    """The table that one delivery is loaded into; for a feed of ranges it holds raw numbers."""
    schema = "routing" if feed.keeping is Keeping.RANGES else "raw"
    return Table(schema, f"{_name_of_date(feed, business_date)}{delivery_id}")


def create_delivery_table(connection: Connection[Any], feed: Feed, table: Table, business_date: date) -> None:
    """Create the table of a delivery, with the check constraint that lets it be attached without a scan."""
    connection.execute(
        sql.SQL("create table {} ({}, check (business_date = {}))").format(
            table.identifier, _definitions(feed.loaded_columns), sql.Literal(business_date)
        )
    )


def attach(connection: Connection[Any], feed: Feed, table: Table, business_date: date) -> None:
    """Make `table` the partition of its date; the previous one is detached and left for `drop_leftovers`.

    If it replaces a partition, it locks everyone else out of the parent for the rest of the transaction.
    """
    names = {"parent": parent(feed).identifier, "date": sql.Literal(business_date)}
    for old, is_attached in _delivery_tables(connection, feed, business_date):
        if is_attached:
            command = sql.SQL("alter table {parent} detach partition {old}")
            connection.execute(command.format(**names, old=old.identifier))
    command = sql.SQL("alter table {parent} attach partition {table} for values in ({date})")
    connection.execute(command.format(**names, table=table.identifier))


def attempts() -> Retrying:
    """Retries for a transaction that locks readers out of a parent; each attempt waits for
    `LOCK_PATIENCE`."""
    return Retrying(
        retry=retry_if_exception_type((LockNotAvailable, DeadlockDetected)),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        stop=stop_after_delay(PATIENCE_SECONDS),
        reraise=True,
    )


def drop_leftovers(connection: Connection[Any], feed: Feed, business_date: date) -> None:
    """Drop the tables of unpublished deliveries of this date."""
    for table in leftovers(connection, feed, business_date):
        connection.execute(sql.SQL("drop table {}").format(table.identifier))


def leftovers(connection: Connection[Any], feed: Feed, business_date: date) -> list[Table]:
    """The tables of unpublished deliveries of this date."""
    tables = _delivery_tables(connection, feed, business_date)
    return [table for table, is_attached in tables if not is_attached]


def _delivery_tables(
    connection: Connection[Any], feed: Feed, business_date: date
) -> list[tuple[Table, bool]]:
    """The date's delivery tables, and whether each is attached."""
    found = connection.execute(
        "select relnamespace::regnamespace::text, relname, relispartition from pg_class "
        "where relkind = 'r' and relnamespace in ('raw'::regnamespace, 'routing'::regnamespace) "
        "and starts_with(relname, %s)",
        [_name_of_date(feed, business_date)],
    )
    return [(Table(schema, name), is_attached) for schema, name, is_attached in found]


def _name_of_date(feed: Feed, business_date: date) -> str:
    return f"{feed.name}__{business_date:%Y%m%d}_"


def _tables(feed: Feed) -> dict[Table, Sequence[Stored]]:
    tables: dict[Table, Sequence[Stored]] = {parent(feed): feed.stored_columns}
    if feed.number_table:
        tables[number_table(feed)] = feed.number_table_columns
    return tables


def _columns_of(connection: Connection[Any], table: Table) -> dict[str, str]:
    found = connection.execute(
        "select attname, case format_type(atttypid, null) when 'timestamp with time zone' then 'timestamptz' "
        "else format_type(atttypid, null) end "
        "from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped "
        "order by attnum",
        [table.identifier.as_string(connection)],
    )
    return dict(found.fetchall())


def _create(connection: Connection[Any], feed: Feed, table: Table, columns: Sequence[Stored]) -> None:
    if feed.keeping is Keeping.RANGES:
        key = feed.stored_key if table == parent(feed) else feed.key
        names = sql.SQL(", ").join(map(sql.Identifier, (*key, "valid_from")))
        command = sql.SQL("create table {} ({}, primary key ({}))").format(
            table.identifier, _definitions(columns), names
        )
    else:
        command = sql.SQL("create table {} ({}) partition by list (business_date)").format(
            table.identifier, _definitions(columns)
        )
    connection.execute(command)
    comment = f"{feed.grain} Kept as {feed.keeping.value}."
    connection.execute(sql.SQL("comment on table {} is {}").format(table.identifier, sql.Literal(comment)))
    for column in columns:
        place = sql.Identifier(table.schema, table.name, column.name)
        text = sql.Literal(column.description)
        connection.execute(sql.SQL("comment on column {} is {}").format(place, text))


def _definitions(columns: Sequence[Stored]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type.sql),
            sql.SQL("" if column.nullable else " not null"),
        )
        for column in columns
    )
