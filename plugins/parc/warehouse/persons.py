"""Finds the pseudonyms in the warehouse, and replaces them.

Pseudonyms are in uuid columns named `<what>_key`; the identities derived from them are in columns named
`identity_key` or `<what>_identity`. They are looked up in the catalogue, so that columns added by a model or
a feed are not missed. (For the ledger's own, in columns of other names, see `parc.ledger.people`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from parc.ledger.people import identity_of
from parc.warehouse.partitions import Table

SCHEMAS = ("raw", "intermediate", "build", "marts", "ops", "routing")
_COLUMNS = """
    select
        relnamespace::regnamespace::text,
        relname::text,
        coalesce(array_agg(attname::text order by attnum) filter (where atttypid = 'uuid'::regtype), '{}'),
        coalesce(array_agg(attname::text order by attnum) filter (where atttypid = 'bigint'::regtype), '{}')
    from pg_class
    inner join pg_attribute on attrelid = pg_class.oid and not attisdropped
    where relkind = 'r' and relnamespace::regnamespace::text = any (%s)
        and (
            (atttypid = 'uuid'::regtype and attname ~ '_key$')
            or (atttypid = 'bigint'::regtype
                and attname in ('identity_key', 'customer_identity', 'caller_identity'))
        )
    group by relnamespace, relname
    having bool_or(atttypid = 'uuid'::regtype)
    order by 1, 2
"""
_RENEW = """
update {table} as held
set {changes}
from (
    select old.ctid as place, {values}
    from {table} as old
    {joins}
    where {is_renewed}
) as found
where held.ctid = found.place
"""


@dataclass(frozen=True)
class PersonTable:
    """A table that holds people: its columns of pseudonyms and of identities."""

    table: Table
    pseudonyms: tuple[str, ...]
    identities: tuple[str, ...]


def person_tables(connection: Connection[Any]) -> list[PersonTable]:
    """All tables that hold people; for a partitioned table, its partitions."""
    found = connection.execute(_COLUMNS, [list(SCHEMAS)]).fetchall()
    return [PersonTable(Table(*names), tuple(keys), tuple(identities)) for *names, keys, identities in found]


def renew(connection: Connection[Any], table: PersonTable, renewed: Table) -> int:
    """Replace old pseudonyms and their identities by new ones; returns the number of rows written.

    `renewed` has the columns `old` (unique) and `new`. An identity that is not derived from any of the row's
    pseudonyms is kept.
    """
    of = {name: sql.Identifier(f"of {name}") for name in table.pseudonyms}
    values: dict[str, sql.Composable] = {
        name: sql.SQL("coalesce({}.new, old.{})").format(of[name], sql.Identifier(name))
        for name in table.pseudonyms
    }
    cases = [
        sql.SQL("when {} then {}").format(identity_of(sql.Identifier("old", name)), identity_of(value))
        for name, value in values.items()
    ]
    values |= {
        name: sql.SQL("case old.{0} {1} else old.{0} end").format(
            sql.Identifier(name), sql.SQL(" ").join(cases)
        )
        for name in table.identities
    }
    changes = [sql.SQL("{0} = found.{0}").format(sql.Identifier(name)) for name in values]
    named = [sql.SQL("{} as {}").format(value, sql.Identifier(name)) for name, value in values.items()]
    joins = [
        sql.SQL("left join {0} as {1} on {1}.old = old.{2}").format(
            renewed.identifier, of[name], sql.Identifier(name)
        )
        for name in table.pseudonyms
    ]
    is_renewed = [sql.SQL("{}.new is not null").format(each) for each in of.values()]
    return connection.execute(
        sql.SQL(_RENEW).format(
            table=table.table.identifier,
            changes=sql.SQL(", ").join(changes),
            values=sql.SQL(", ").join(named),
            joins=sql.SQL(" ").join(joins),
            is_renewed=sql.SQL(" or ").join(is_renewed),
        )
    ).rowcount


def make_renewed(connection: Connection[Any], pseudonyms: Mapping[UUID, UUID]) -> Table:
    """Create a temporary table for `renew` with these pairs (old, new), in an open transaction."""
    table = Table("pg_temp", "renewed")
    connection.execute("create temp table renewed (old uuid primary key, new uuid not null) on commit drop")
    add_renewed(connection, pseudonyms.items())
    connection.execute("analyze renewed")
    return table


def add_renewed(connection: Connection[Any], pairs: Iterable[tuple[UUID, UUID]]) -> None:
    """Add pairs to that table."""
    with connection.cursor() as cursor, cursor.copy("copy renewed from stdin (format binary)") as copy:
        copy.set_types(["uuid", "uuid"])
        for pair in pairs:
            copy.write_row(pair)
