"""Snapshots kept as validity ranges: what a snapshot says holds until the next one.

A snapshot of date S rewrites the slice of time from S up to the next published snapshot N and nothing else,
so any order of arrival ends in the same ranges. No boundary lies inside that slice, so each key has at most
one range across it; only the keys whose values there change are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import Connection, sql

from parc.feeds import Feed
from parc.loading.changes import Changes
from parc.warehouse.partitions import RANGES_LOCK, Table, number_table, parent

_CHANGED = """
create temp table changed on commit drop as
select
    {key}, {new_values}, old.valid_from as old_from, old.valid_to as old_to, {kept_values_named},
    old.is_there as was_there, new.is_there as is_there
from (
    select *, true as is_there from {ranges}
    where valid_from < {until} and coalesce(valid_to, 'infinity') > {since}
) as old
full join (select *, true as is_there from {snapshot}) as new using ({key})
where old.is_there is null or new.is_there is null or ({old_values}) is distinct from ({new_values})
"""

# A range that ends or begins where the slice does and says the same grows into it.
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
delete from {ranges} as old using changed as new
where ({old_key}) = ({new_key}) and old.valid_from = new.old_from;
delete from {ranges} as old using piece as new
where ({old_key}) = ({new_key}) and old.valid_from in (new.before_from, new.after_from);
"""

_INSERT = """
insert into {ranges} ({key}, {values}, valid_from, valid_to)
select {key}, {kept_values}, old_from, {since} from changed where old_from < {since}
union all
select {key}, {kept_values}, {until}, old_to from changed
where was_there and coalesce(old_to, 'infinity') > {until}
union all
select {key}, {values}, valid_from, valid_to from piece
"""


def merge(connection: Connection[Any], feed: Feed, snapshot: Table, snapshot_date: date) -> Changes:
    """Merge a loaded snapshot into the feed's ranges; returns what changed in its slice of time.

    No other snapshot is merged for the rest of the transaction.
    """
    slice_of_time = _slice(connection, feed, snapshot_date)
    _merge(connection, number_table(feed), snapshot, feed.key, _values(feed), slice_of_time)
    return _merge(connection, parent(feed), snapshot, feed.stored_key, _values(feed), slice_of_time)


def take_out(connection: Connection[Any], feed: Feed, snapshot_date: date) -> None:
    """Undo a merged snapshot: what was in force before it stays so through its slice of time.

    Where nothing was in force before it, the slice is empty. As `merge` otherwise.
    """
    slice_of_time = _slice(connection, feed, snapshot_date)
    before = Table("pg_temp", "in_force_before")
    for ranges, key in ((number_table(feed), feed.key), (parent(feed), feed.stored_key)):
        query = sql.SQL(
            "create temp table in_force_before on commit drop as select * from {ranges} "
            "where valid_from < {since} and coalesce(valid_to, 'infinity') >= {since}"
        )
        connection.execute(query.format(ranges=ranges.identifier, **slice_of_time))
        _merge(connection, ranges, before, key, _values(feed), slice_of_time)
        connection.execute("drop table in_force_before")


def _slice(connection: Connection[Any], feed: Feed, snapshot_date: date) -> dict[str, sql.Composable]:
    """From the snapshot's date up to the next published one's; locks out other snapshots."""
    connection.execute("select pg_advisory_xact_lock(%s)", [RANGES_LOCK])
    row = connection.execute(
        "select coalesce(min(business_date), 'infinity')::text from ops.delivery "
        "where feed = %s and business_date > %s and status = 'published'",
        [feed.name, snapshot_date],
    ).fetchone()
    assert row
    return {"since": _date(str(snapshot_date)), "until": _date(row[0])}


def _values(feed: Feed) -> list[str]:
    derived = {column.name for column in feed.derived_columns}
    return [column.name for column in feed.row_columns if column.name not in derived]


def _merge(
    connection: Connection[Any],
    ranges: Table,
    snapshot: Table,
    key: Sequence[str],
    values: Sequence[str],
    slice_of_time: Mapping[str, sql.Composable],
) -> Changes:
    parts = {
        **slice_of_time,
        "ranges": ranges.identifier,
        "snapshot": snapshot.identifier,
        "key": _names(key),
        "values": _names(values),
        "kept_values": _names([f"old_{name}" for name in values]),
        "kept_values_named": sql.SQL(", ").join(
            sql.SQL("old.{} as {}").format(sql.Identifier(name), sql.Identifier(f"old_{name}"))
            for name in values
        ),
    }
    for alias in ("new", "old", "before", "after"):
        parts |= {f"{alias}_key": _names(key, alias), f"{alias}_values": _names(values, alias)}

    def run(command: str) -> None:
        connection.execute(sql.SQL(command).format(**parts))

    run(_CHANGED)
    run("analyze changed")
    run(_PIECE)
    run("analyze piece")
    run(_DELETE)
    run(_INSERT)
    run("analyze {ranges}")
    counts = connection.execute(
        "select count(*) filter (where was_there is null), count(*) filter (where is_there is null), "
        "count(*) filter (where was_there and is_there) from changed"
    ).fetchone()
    assert counts
    connection.execute("drop table changed, piece")
    return Changes(*counts)


def _names(names: Sequence[str], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*([alias] if alias else []), name) for name in names)


def _date(text: str) -> sql.Composed:
    return sql.SQL("{}::date").format(sql.Literal(text))
