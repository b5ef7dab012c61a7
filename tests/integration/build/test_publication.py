"""What BI sees while a build is published: readers of every kind, before, during and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from parc.build import publication
from parc.build.dbt import ManifestEntry
from parc.errors import BuildFailed
from parc.settings import Settings
from parc.warehouse import connect

FIRST = date(2012, 4, 23)
DAYS = [FIRST + timedelta(days=day) for day in range(4)]
ROWS_A_DAY = 1000

Seen = list[tuple[date, int, int]]


def model(name: str, **meta: Any) -> ManifestEntry:
    return ManifestEntry(name, "model", [], meta, "", "", "", None, None, {})


PROJECT = [
    model("fct_things", publish="by_date", feeds=["calls"], holds="changed_dates"),
    model("mart_things", publish="whole", key=["business_date"]),
]


@pytest.fixture
def published(warehouse: Settings) -> Settings:
    """Three days of things, published with their sums by an earlier build."""
    with connect(warehouse, "transformer") as connection:
        connection.execute("create table build.fct_things (business_date date, version integer)")
        connection.execute("create index on build.fct_things (business_date)")
        connection.execute(
            "create table build.mart_things (business_date date, things bigint, version integer)"
        )
        publish(connection, dict.fromkeys(DAYS[:3], 1))
    return warehouse


def publish(
    connection: psycopg.Connection[Any],
    changed: dict[date, int],
    full_refresh: bool = False,
    project: Sequence[ManifestEntry] = PROJECT,
) -> None:
    """Build the changed dates, each in its version, and publish them; the caller commits."""
    connection.execute("update ops.build set status = 'published'")
    [build_id] = connection.execute(
        "insert into ops.build (status, is_full_refresh) values ('running', %s) returning build_id",
        [full_refresh],
    ).fetchone()  # type: ignore[misc]
    connection.execute("delete from build.fct_things")
    for day, version in changed.items():
        connection.execute("insert into ops.build_date values (%s, 'calls', %s)", [build_id, day])
        connection.execute("delete from build.mart_things where business_date = %s", [day])
        connection.execute(
            "insert into build.fct_things select %s, %s from generate_series(1, %s)",
            [day, version, ROWS_A_DAY],
        )
        connection.execute("insert into build.mart_things values (%s, %s, %s)", [day, ROWS_A_DAY, version])
    publication.publish(connection, project, build_id)


@contextmanager
def reader(settings: Settings, isolation: str = "read committed") -> Iterator[psycopg.Connection[Any]]:
    """A BI session in one transaction; having to wait for a second is an error."""
    with connect(settings, "bi_reader") as connection:
        connection.execute(f"set transaction isolation level {isolation}".encode())
        connection.execute("set lock_timeout = '1s'")
        yield connection


def seen(connection: psycopg.Connection[Any]) -> Seen:
    """The things of each day by version; their sums agree, in the same statement."""
    found = connection.execute(
        "select business_date, facts.version, facts.things, marts.version, marts.things "
        "from (select business_date, version, count(*) as things from marts.fct_things group by 1, 2) "
        "as facts full join marts.mart_things as marts using (business_date) order by 1"
    ).fetchall()
    assert [each[1:3] for each in found] == [each[3:5] for each in found]
    return [(day, version, count) for day, version, count, *_ in found]


def things(versions: dict[date, int]) -> Seen:
    return [(day, version, ROWS_A_DAY) for day, version in versions.items()]


@pytest.mark.parametrize("full_refresh", [False, True])
def test_no_reader_misses_a_day_sees_half_a_build_or_waits(published: Settings, full_refresh: bool) -> None:
    """A day is restated and a day is new."""
    before = things(dict.fromkeys(DAYS[:3], 1))
    changed = {DAYS[1]: 2, DAYS[3]: 2}
    after = things({DAYS[0]: 1, **changed, DAYS[2]: 1} if not full_refresh else dict.fromkeys(DAYS, 2))
    if full_refresh:
        changed = dict.fromkeys(DAYS, 2)
    with (
        reader(published, "repeatable read") as since_before,
        reader(published, "repeatable read") as since_then,
        reader(published) as rebuilt_each_time,
        connect(published, "transformer") as connection,
    ):
        assert seen(since_before) == before
        publish(connection, changed, full_refresh)
        for session in (since_before, since_then, rebuilt_each_time):
            assert seen(session) == before
        connection.commit()
        assert seen(since_before) == before
        assert seen(since_then) == before
        assert seen(rebuilt_each_time) == sorted(after)
        connection.autocommit = True
        publication.settle(connection, PROJECT)
        assert seen(since_before) == before
        assert seen(rebuilt_each_time) == sorted(after)
    with reader(published, "repeatable read") as since_after:
        assert seen(since_after) == sorted(after)


def test_what_is_published_is_stored_once(published: Settings) -> None:
    """Tables of changed dates are emptied afterwards; one that is being read is left alone."""
    counted = "select count(*) from build.fct_things"
    with connect(published, "transformer", autocommit=True) as connection:
        with connect(published, "reader") as person:
            assert person.execute(counted).fetchone() == (3 * ROWS_A_DAY,)
            publication.settle(connection, PROJECT)
        assert connection.execute(counted).fetchone() == (3 * ROWS_A_DAY,)
        publication.settle(connection, PROJECT)
        assert connection.execute(counted).fetchone() == (0,)
        assert connection.execute("select count(*) from build.mart_things").fetchone() == (3,)
        assert connection.execute("select count(*) from marts.fct_things").fetchone() == (3 * ROWS_A_DAY,)


def test_a_full_refresh_leaves_dates_past_retention(published: Settings) -> None:
    with connect(published, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, expired_at) "
            "values ('calls', %s, 'published', '[]', '', now())",
            [DAYS[0]],
        )
    with connect(published, "transformer") as connection:
        publish(connection, dict.fromkeys(DAYS[1:], 2), full_refresh=True)
    with reader(published) as session:
        assert seen(session) == things({DAYS[0]: 1} | dict.fromkeys(DAYS[1:], 2))


def test_rows_of_earlier_builds_that_break_a_key_are_named(published: Settings) -> None:
    by_version = model("mart_things", publish="by_date", feeds=["calls"], key=["version"])
    with (
        connect(published, "transformer") as connection,
        pytest.raises(
            BuildFailed, match=r"marts\.mart_things: .* its key: Key \(version\)=\(1\) is duplicated"
        ),
    ):
        publish(connection, {DAYS[3]: 2}, project=[PROJECT[0], by_version])
    with connect(published, "admin") as connection:
        kept = connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = 'mart_things_pkey'"
        ).fetchall()
    assert kept == [("PRIMARY KEY (business_date)",)], "a failed publication changes nothing"
