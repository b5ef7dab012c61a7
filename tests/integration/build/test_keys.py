"""Keys of published tables, on tables of a few columns: which are wanted, made, changed and left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from parc.build import keys
from parc.errors import BuildFailed
from parc.settings import Settings
from parc.warehouse import connect

METAS: dict[str, dict[str, Any]] = {
    "dim_small_place": {"key": ["small_place_code"]},
    "mart_small_daily": {"key": ["business_date", "home_small_place_code"]},
    "mart_small_boutiques": {"key": ["boutique_code"], "loose_codes": ["small_place_code"]},
    "fct_smalls": {},
    "routing_smalls": {"key": ["rank"]},
}
TABLES = """
create table marts.dim_small_place (small_place_code text not null, name text);
create table marts.mart_small_daily (business_date date not null, home_small_place_code text not null, n int);
create table marts.mart_small_boutiques (boutique_code text not null, small_place_code text);
create table marts.fct_smalls (small_id text, small_place_code text, home_small_place_code text);
create table marts.routing_smalls (rank int not null, small_place_code text);
create table marts.mart_of_others (small_place_code text primary key);
create table public.notes (
    small_place_code text references marts.mart_of_others, primary key (small_place_code)
);
insert into marts.fct_smalls values ('1', 'NOWHERE', 'NOWHERE');
"""
PRIMARY = {
    ("dim_small_place", "PRIMARY KEY (small_place_code)"),
    ("mart_small_daily", "PRIMARY KEY (business_date, home_small_place_code)"),
    ("mart_small_boutiques", "PRIMARY KEY (boutique_code)"),
    ("routing_smalls", "PRIMARY KEY (rank)"),
    ("mart_of_others", "PRIMARY KEY (small_place_code)"),
}
REFERENCE = "FOREIGN KEY ({}) REFERENCES marts.dim_small_place(small_place_code) NOT ENFORCED"
FOREIGN = {
    ("mart_small_daily", REFERENCE.format("home_small_place_code")),
    ("fct_smalls", REFERENCE.format("small_place_code")),
    ("fct_smalls", REFERENCE.format("home_small_place_code")),
    ("mart_of_others", REFERENCE.format("small_place_code")),
}


@pytest.fixture
def connection(warehouse: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(warehouse, "admin") as opened:
        opened.execute(TABLES.encode())
        yield opened


def found(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], int]:
    """The keys of these tables, each with the number that it got when it was made."""
    rows = connection.execute(
        "select relname::text, pg_get_constraintdef(pg_constraint.oid), pg_constraint.oid::int "
        "from pg_constraint inner join pg_class on conrelid = pg_class.oid "
        "where relnamespace = 'marts'::regnamespace and relname ~ 'small|of_others' and contype in ('p', 'f')"
    ).fetchall()
    return {(table, definition): number for table, definition, number in rows}


def publish(connection: psycopg.Connection[Any], metas: dict[str, dict[str, Any]] | None = None) -> None:
    keys.drop_changed(connection, metas or METAS)
    keys.create_missing(connection, metas or METAS)


def test_keys_are_those_of_the_metas_and_of_names_of_dimensions(
    connection: psycopg.Connection[Any],
) -> None:
    """No foreign key leads from a dimension to itself, from codes that it may not know, or from what feeds
    the switch; none is enforced, as the fact names a place that no dimension has."""
    publish(connection)
    assert set(found(connection)) == PRIMARY | FOREIGN


def test_a_second_build_leaves_them_as_they_are(connection: psycopg.Connection[Any]) -> None:
    publish(connection)
    before = found(connection)
    publish(connection)
    assert found(connection) == before


def test_what_the_metas_want_otherwise_is_made_again(connection: psycopg.Connection[Any]) -> None:
    """Also a dimension's key, on which others lean, and keys that nobody wants any longer."""
    publish(connection)
    before = found(connection)
    changed = METAS | {
        "mart_small_daily": {"key": ["business_date", "n"]},
        "fct_smalls": {"loose_codes": ["home_small_place_code"]},
        "routing_smalls": {},
    }
    publish(connection, changed)
    after = found(connection)
    gone = {
        ("mart_small_daily", "PRIMARY KEY (business_date, home_small_place_code)"),
        ("fct_smalls", REFERENCE.format("home_small_place_code")),
        ("routing_smalls", "PRIMARY KEY (rank)"),
    }
    made = {("mart_small_daily", "PRIMARY KEY (business_date, n)")}
    assert (before.keys() - after.keys(), after.keys() - before.keys()) == (gone, made)
    assert all(after[key] == before[key] for key in before.keys() & after.keys())
    connection.execute("alter table marts.dim_small_place add column code text not null default ''")
    publish(connection, METAS | {"dim_small_place": {"key": ["small_place_code", "code"]}})
    assert {
        definition for table, definition in found(connection) if table in ("dim_small_place", "fct_smalls")
    } == {"PRIMARY KEY (small_place_code, code)"}


def test_keys_of_others_stay(connection: psycopg.Connection[Any]) -> None:
    """Tables without a model keep their own keys, and what other schemas refer to stays referred to."""
    query = "select count(*) from pg_constraint where conrelid = 'public.notes'::regclass and contype <> 'n'"
    ledger = (
        "select count(*) from pg_constraint "
        "where conrelid = 'marts.mart_restatements'::regclass and contype in ('p', 'f')"
    )
    before = [connection.execute(each.encode()).fetchone() for each in (query, ledger)]
    publish(connection)
    assert [connection.execute(each.encode()).fetchone() for each in (query, ledger)] == before
    assert before == [(2,), (2,)]


def test_where_tables_are_distributed_nothing_refers_to_a_local_one(
    connection: psycopg.Connection[Any],
) -> None:
    publish(connection)
    connection.execute("create function create_distributed_table() returns void language sql as ''")
    publish(connection)
    assert set(found(connection)) == PRIMARY


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("('2012-04-25', 'A', 1), ('2012-04-25', 'A', 2)", r"\(2012-04-25, A\) is duplicated"),
        ("('2012-04-25', null, 1)", 'column "home_small_place_code" .* contains null'),
    ],
)
def test_rows_of_earlier_builds_that_break_a_key_are_named(
    connection: psycopg.Connection[Any], rows: str, named: str
) -> None:
    connection.execute("alter table marts.mart_small_daily alter column home_small_place_code drop not null")
    connection.execute(f"insert into marts.mart_small_daily values {rows}".encode())
    with pytest.raises(BuildFailed, match=f"marts.mart_small_daily: rows of earlier .*{named}"):
        publish(connection)
