"""Primary and foreign keys of the tables in `marts`, so that tools find joins by themselves (ADR 39).

A mart's primary key is the `key` of its meta. A column that is named like the key of a dimension, `home_`
before it or not, is a foreign key to it, but for `loose_codes` of the mart's meta: columns with codes that
the dimension does not know. Foreign keys are not enforced, so they cost nothing; servers before
version 18 and those that distribute tables have none. Facts have no primary key: dbt tests theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from parc.errors import BuildFailed

Keys = dict[tuple[str, str], str]
"""The definition of each constraint as PostgreSQL words it, by table and name."""


def drop_changed(connection: psycopg.Connection[Any], metas: Mapping[str, Mapping[str, Any]]) -> None:
    """Drop the keys that the metas of the published tables do not want, before the tables change."""
    wanted = _wanted(connection, metas)
    for (table, name), definition in _existing(connection, metas).items():
        if wanted.get((table, name)) != definition:
            _alter(connection, table, sql.SQL("drop constraint {}").format(sql.Identifier(name)))


def create_missing(connection: psycopg.Connection[Any], metas: Mapping[str, Mapping[str, Any]]) -> None:
    """Create missing keys, once all tables have their new rows.

    Raises BuildFailed if rows that earlier builds have published break a primary key.
    """
    existing = _existing(connection, metas)
    for (table, name), definition in _wanted(connection, metas).items():
        if (table, name) not in existing:
            add = sql.SQL("add constraint {} {}").format(sql.Identifier(name), sql.SQL(definition))
            try:
                _alter(connection, table, add)
            except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
                raise BuildFailed(
                    f"marts.{table}: rows of earlier builds break its key: "
                    f"{error.diag.message_detail or error.diag.message_primary}"
                ) from None


def _wanted(connection: psycopg.Connection[Any], metas: Mapping[str, Mapping[str, Any]]) -> Keys:
    """The primary keys, then the foreign keys that lead to them."""
    keys = {table: meta["key"] for table, meta in metas.items() if "key" in meta}
    wanted = {(table, f"{table}_pkey"): f"PRIMARY KEY ({', '.join(key)})" for table, key in keys.items()}
    dimensions = {key[0]: table for table, key in keys.items() if table.startswith("dim_") and len(key) == 1}
    if _has_unenforced_keys(connection):
        for table, column in _columns(connection):
            key = column.removeprefix("home_")
            is_loose = column in metas.get(table, {}).get("loose_codes", [])
            if key in dimensions and table != dimensions[key] and not is_loose:
                wanted[table, f"{column}_fkey"] = (
                    f"FOREIGN KEY ({column}) REFERENCES marts.{dimensions[key]}({key}) NOT ENFORCED"
                )
    return wanted


def _has_unenforced_keys(connection: psycopg.Connection[Any]) -> bool:
    is_distributed = connection.execute(
        "select to_regproc('create_distributed_table') is not null"
    ).fetchone()
    return connection.info.server_version >= 180000 and is_distributed == (False,)


def _columns(connection: psycopg.Connection[Any]) -> Iterable[tuple[str, str]]:
    """The columns of what BI analyses: the marts named `routing_` feed the switch."""
    return connection.execute(
        "select relname::text, attname::text from pg_class "
        "inner join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped "
        "where relnamespace = 'marts'::regnamespace and relkind = 'r' and relname !~ '^routing_' "
        "order by relname, attnum"
    ).fetchall()


def _existing(connection: psycopg.Connection[Any], metas: Mapping[str, Mapping[str, Any]]) -> Keys:
    """The foreign keys between marts, then the primary keys of the published ones."""
    rows = connection.execute(
        """
        select pg_class.relname::text, conname::text, pg_get_constraintdef(pg_constraint.oid)
        from pg_constraint
        inner join pg_class on conrelid = pg_class.oid and relnamespace = 'marts'::regnamespace
        left join pg_class as dimension on confrelid = dimension.oid
        where contype = 'f' and dimension.relnamespace = pg_class.relnamespace
            or contype = 'p' and pg_class.relname = any (%s)
        order by contype
        """,
        [list(metas)],
    )
    return {(table, name): definition for table, name, definition in rows.fetchall()}


def _alter(connection: psycopg.Connection[Any], table: str, change: sql.Composable) -> None:
    connection.execute(sql.SQL("alter table {} {}").format(sql.Identifier("marts", table), change))
