"""Stores snapshots as validity ranges: a snapshot's values hold until the next one.

A snapshot of date S only rewrites the slice of time from S up to the next published snapshot, so any order of
arrival ends in the same ranges. No boundary lies inside that slice, so each key has at most one range across
it, and only keys whose values change there are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from psycopg import Connection, sql

from parc.feeds import Feed
from parc.ledger import deliveries, locks
from parc.loading import binarycopy
from parc.loading.changes import Changes
from parc.loading.rows import with_derived
from parc.pseudonyms import SURROGATES, Pseudonyms
from parc.warehouse.partitions import Table, number_table, parent

# Few of millions of rows change, which the planner cannot know. These settings make it find them with one
# parallel hash join in memory, and then reach each one by its index.
_SETTINGS = """
set local work_mem = '256MB';
set local parallel_tuple_cost = 0.001;
set local random_page_cost = 1.1;
set local default_statistics_target = 25
"""

_CHANGED = """
create temp table changed on commit drop as
select
    {key}, {new_values}, old.valid_from as old_from, old.valid_to as old_to, {kept_values_named},
    old.is_there as was_there, new.is_there as is_there
from (
    select *, true as is_there from {ranges}
    where valid_from < {until} and (valid_to is null or valid_to > {since})
) as old
full join (select *, true as is_there from {snapshot}) as new using ({key})
where old.is_there is null or new.is_there is null or ({old_values}) is distinct from ({new_values})
"""

# A range with the same values that ends or begins at the slice is extended into it.
_PIECE = """
create temp table piece on commit drop as
select
    {new_key}, {new_values},
    before.valid_from as before_from, after.valid_from as after_from,
    coalesce(before.valid_from, {since}) as valid_from,
    case when after.valid_from is null then nullif({until}, 'infinity') else after.valid_to end as valid_to
from changed as new
left join {ranges} as before
    on ({before_key}) = ({new_key}) and before.valid_to = {since}
    and ({before_values}) is not distinct from ({new_values})
left join {ranges} as after
    on ({after_key}) = ({new_key}) and after.valid_from = {until}
    and ({after_values}) is not distinct from ({new_values})
where new.is_there
"""

_DELETE = """
delete from {ranges} as old using {changed} as new
where ({old_key}) = ({new_key}) and old.valid_from = new.old_from;
delete from {ranges} as old using {piece} as new
where ({old_key}) = ({new_key}) and old.valid_from in (new.before_from, new.after_from);
"""

# In key order, so that the index is written sequentially.
_INSERT = """
insert into {ranges} ({key}, {values}, valid_from, valid_to)
select {key}, {kept_values}, old_from, {since} from {changed} as changed where old_from < {since}
union all
select {key}, {kept_values}, {until}, old_to from {changed} as changed
where was_there and coalesce(old_to, 'infinity') > {until}
union all
select {key}, {values}, valid_from, valid_to from {piece} as piece
order by {key}
"""


def merge(
    connection: Connection[Any], feed: Feed, snapshot: Table, snapshot_date: date, pseudonyms: Pseudonyms
) -> Changes:
    """Merge a loaded snapshot into the feed's ranges; returns what changed in its slice of time.

    No other snapshot can be merged for the rest of the transaction. `pseudonyms` makes the pseudonyms.
    """
    return _merge(connection, feed, snapshot, _slice(connection, feed, snapshot_date), pseudonyms)


def remove(connection: Connection[Any], feed: Feed, snapshot_date: date, pseudonyms: Pseudonyms) -> None:
    """Undo a merged snapshot: what was in force before it now holds throughout its slice of time.

    If nothing was in force before it, the slice becomes empty. Otherwise like `merge`.
    """
    slice_of_time = _slice(connection, feed, snapshot_date)
    connection.execute(
        sql.SQL(
            "create temp table in_force_before on commit drop as select * from {ranges} "
            "where valid_from < {since} and coalesce(valid_to, 'infinity') >= {since}"
        ).format(ranges=number_table(feed).identifier, **slice_of_time)
    )
    _merge(connection, feed, Table("pg_temp", "in_force_before"), slice_of_time, pseudonyms)


def _slice(connection: Connection[Any], feed: Feed, snapshot_date: date) -> dict[str, sql.Composable]:
    """The slice from the snapshot's date up to the next published one; locks out other snapshots."""
    locks.keep(connection, locks.RANGES)
    until = deliveries.next_published_date(connection, feed.name, snapshot_date)
    return {"since": _date(str(snapshot_date)), "until": _date(str(until or "infinity"))}


def _merge(
    connection: Connection[Any],
    feed: Feed,
    snapshot: Table,
    slice_of_time: Mapping[str, sql.Composable],
    pseudonyms: Pseudonyms,
) -> Changes:
    """Compare the raw numbers, and compute pseudonyms only for those that change."""
    values = [column.name for column in feed.value_columns]
    parts = {
        **slice_of_time,
        "ranges": number_table(feed).identifier,
        "snapshot": snapshot.identifier,
        "key": _names(feed.key),
        "values": _names(values),
        "kept_values": _names([f"old_{name}" for name in values]),
        "kept_values_named": sql.SQL(", ").join(
            sql.SQL("old.{} as {}").format(sql.Identifier(name), sql.Identifier(f"old_{name}"))
            for name in values
        ),
    }
    for alias in ("new", "old", "before", "after"):
        parts |= {f"{alias}_key": _names(feed.key, alias), f"{alias}_values": _names(values, alias)}

    def run(command: str, **others: sql.Composable) -> None:
        connection.execute(sql.SQL(command).format(**parts | others))

    run(_SETTINGS)
    run(_CHANGED)
    run("analyze changed")
    run(_PIECE)
    run("analyze piece")
    _add_pseudonyms(connection, feed, pseudonyms)
    if pseudonyms.forgotten:
        [stored] = feed.stored_key
        for forgotten in ("changed", "piece"):
            run(
                f"delete from {forgotten} where ({{key}}) in (select {{key}} from pseudonym where "
                f"{SURROGATES.format(stored)})"
            )
    for ranges, key, source in (
        (number_table(feed), feed.key, "{}"),
        (parent(feed), feed.stored_key, "(select * from {} inner join pseudonym using ({key}))"),
    ):
        of_table = {
            "ranges": ranges.identifier,
            "key": _names(key),
            **{f"{alias}_key": _names(key, alias) for alias in ("new", "old")},
            **{name: sql.SQL(source).format(sql.Identifier(name), **parts) for name in ("changed", "piece")},
        }
        run(_DELETE, **of_table)
        run(_INSERT, **of_table)
        run("analyze {ranges}", **of_table)
    counts = connection.execute(
        "select count(*) filter (where was_there is null), count(*) filter (where is_there is null), "
        "count(*) filter (where was_there and is_there) from changed"
    ).fetchone()
    assert counts
    connection.execute("drop table changed, piece, pseudonym")
    return Changes(*counts)


def _add_pseudonyms(connection: Connection[Any], feed: Feed, pseudonyms: Pseudonyms) -> None:
    """Create the table `pseudonym`: the keys of `changed`, each with its key in the raw table."""
    with connection.cursor() as cursor:
        # All numbers as one text, because reading millions row by row is slow in Python.
        columns = (sql.SQL("string_agg({}, E'\n')").format(sql.Identifier(name)) for name in feed.key)
        query = sql.SQL("select {} from changed").format(sql.SQL(", ").join(columns))
        texts = pl.DataFrame(
            cursor.execute(query).fetchall(), dict.fromkeys(feed.key, pl.String()), orient="row"
        )
        changed = texts.select(pl.all().str.split("\n").explode()).drop_nulls()
        rows = with_derived(changed, feed, pseudonyms)
        cursor.execute(
            sql.SQL(
                "create temp table pseudonym on commit drop as select {} from {}, {} with no data"
            ).format(_names(rows.columns), number_table(feed).identifier, parent(feed).identifier)
        )
        with cursor.copy("copy pseudonym from stdin (format binary)") as copy:
            for part in (binarycopy.HEADER, binarycopy.encode(rows), binarycopy.TRAILER):
                copy.write(part)
        cursor.execute("analyze pseudonym")


def _names(names: Sequence[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*([alias] if alias else []), name) for name in names)


def _date(text: str) -> sql.Composed:
    return sql.SQL("{}::date").format(sql.Literal(text))
