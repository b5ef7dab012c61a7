"""Snapshots stored as validity ranges: any order of arrival, repeated or restated, gives the same ranges."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from parc import feeds, quality
from parc.loading import ingest, ranges
from parc.loading.changes import Changes
from parc.pseudonyms import Pseudonyms
from parc.quality import Verdict
from parc.settings import Settings
from parc.warehouse import connect, partitions
from support.deliveries import as_csv, counts, deliver, ledger, legs, query, raw_tables

FEED = feeds.get("line_assignments")
FIRST = date(2012, 3, 5)
SECRET = b"a key of pseudonyms"

Snapshot = dict[str, tuple[str, str]]
Range = tuple[str, str, str, date, date | None]


def day(number: int) -> date:
    return FIRST + timedelta(weeks=number)


def expected(published: dict[date, Snapshot]) -> set[Range]:
    """Each snapshot holds until the next one; equal neighbours are one range."""
    found: set[Range] = set()
    dates = sorted(published)
    for number in {number for snapshot in published.values() for number in snapshot}:
        current: tuple[str, str] | None = None
        since = FIRST
        for at in dates:
            value = published[at].get(number)
            if value != current:
                if current:
                    found.add((number, *current, since, at))
                current, since = value, at
        if current:
            found.add((number, *current, since, None))
    return found


NUMBERS = st.sampled_from(["+33299000001", "+33299000002", "+33612000003"])
VALUES = st.tuples(st.sampled_from(["22", "35"]), st.sampled_from(["moved", "voip"]))
SNAPSHOTS = st.dictionaries(NUMBERS, VALUES, max_size=3)
ARRIVALS = st.lists(st.tuples(st.integers(0, 4).map(day), SNAPSHOTS | st.none()), max_size=9)
"""A snapshot of a date, or that the one of the date is withdrawn (None)."""


@pytest.fixture
def connection(warehouse: Settings) -> Iterator[Connection[Any]]:
    partitions.ensure_tables(warehouse)
    with connect(warehouse, "loader", autocommit=True) as opened:
        yield opened


def key_of(number: str) -> UUID:
    return UUID(bytes=hmac.digest(SECRET, number.encode(), "sha256")[:16])


def arrive(connection: Connection[Any], at: date, snapshot: Snapshot, was_published: bool) -> Changes:
    """Merge one snapshot as a publication does, through its own table."""
    table = partitions.delivery_table(FEED, at, 1)
    with connection.transaction():
        partitions.create_delivery_table(connection, FEED, table, at)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"insert into {table} values (%s, 1, 1, %s, %s, %s)".encode(),
                [(at, number, *value) for number, value in snapshot.items()],
            )
        changes = ranges.merge(connection, FEED, table, at, Pseudonyms(SECRET))
        if not was_published:
            connection.execute(
                "insert into ops.delivery (feed, business_date, status, files, content_sha256) "
                "values (%s, %s, 'published', '[]', '')",
                [FEED.name, at],
            )
        connection.execute(f"drop table {table}".encode())
    return changes


def depart(connection: Connection[Any], at: date, was_published: bool) -> None:
    """Remove a snapshot as a withdrawal does."""
    if was_published:
        with connection.transaction():
            ranges.remove(connection, FEED, at, Pseudonyms(SECRET))
            connection.execute(
                "update ops.delivery set status = 'withdrawn' "
                "where feed = %s and business_date = %s and status = 'published'",
                [FEED.name, at],
            )


@given(arrivals=ARRIVALS)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_any_order_of_arrival_ends_in_the_same_ranges(
    connection: Connection[Any], arrivals: list[tuple[date, Snapshot | None]]
) -> None:
    with connection.transaction(force_rollback=True):
        published: dict[date, Snapshot] = {}
        for at, snapshot in arrivals:
            if snapshot is None:
                depart(connection, at, at in published)
                published.pop(at, None)
            else:
                before = published.get(at, {})
                changes = arrive(connection, at, snapshot, at in published)
                if at in published:
                    assert changes == Changes(
                        len(snapshot.keys() - before.keys()),
                        len(before.keys() - snapshot.keys()),
                        sum(before[number] != snapshot[number] for number in before.keys() & snapshot.keys()),
                    )
                published[at] = snapshot
            numbers = connection.execute("select * from routing.line_assignment").fetchall()
            assert set(numbers) == expected(published)
            assert len(numbers) == len(set(numbers))
            keys = connection.execute("select * from raw.line_assignments").fetchall()
            assert set(keys) == {(key_of(number), *rest) for number, *rest in numbers}


def snapshot_csv(rows: Snapshot) -> bytes:
    lines = [f"{number},{department},{reason}\n" for number, (department, reason) in rows.items()]
    return b"number,department_code,reason\n" + "".join(lines).encode()


def test_snapshots_through_the_landing_zone(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))
    snapshots: dict[date, Snapshot] = {
        day(0): {"+33299000001": ("22", "moved"), "+33299000002": ("35", "voip")},
        day(1): {"+33299000001": ("22", "moved")},
        day(2): {"+33299000001": ("35", "moved"), "+33612000003": ("44", "mobile")},
    }
    for number in (2, 0, 1):
        deliver(warehouse, FEED.name, day(number), lines__csv=snapshot_csv(snapshots[day(number)]))
        assert ingest(warehouse, FEED.name, day(number)).status == "published"
    assert set(query(warehouse, "select * from routing.line_assignment")) == expected(snapshots)
    assert raw_tables(warehouse) == [], "the snapshots themselves are not kept"

    before = query(warehouse, "select xmin::text, ctid::text, * from routing.line_assignment order by 3, 6")
    assert ingest(warehouse, FEED.name, day(1)).status == "unchanged"
    snapshots[day(1)] = {"0299000001": ("22", "moved"), "02 99 00 00 02": ("35", "voip")}
    deliver(warehouse, FEED.name, day(1), lines__csv=snapshot_csv(snapshots[day(1)]))
    outcome = ingest(warehouse, FEED.name, day(1))
    assert outcome.message.endswith("replaces delivery 3: 1 row added, 0 removed, 0 altered")
    snapshots[day(1)] = {"+33299000001": ("22", "moved"), "+33299000002": ("35", "voip")}
    assert set(query(warehouse, "select * from routing.line_assignment")) == expected(snapshots)
    after = query(warehouse, "select xmin::text, ctid::text, * from routing.line_assignment order by 3, 6")
    untouched = [row for row in before if row[2] != "+33299000002"]
    assert untouched == [row for row in after if row[2] != "+33299000002"], "only what changes is written"

    deliver(warehouse, FEED.name, day(2), lines__csv=b"number,department_code,reason\nmy phone,22,moved\n")
    refused = ingest(warehouse, FEED.name, day(2))
    assert counts(refused) == ("refused", 1, 0, 1)
    assert set(query(warehouse, "select * from routing.line_assignment")) == expected(snapshots)
    assert [row[1] for row in ledger(warehouse, FEED.name)] == [
        "published",
        "published",
        "superseded",
        "published",
        "refused",
    ]


def test_keys_for_dbt_match_those_of_the_calls(warehouse: Settings) -> None:
    deliver(warehouse, FEED.name, FIRST, lines__csv=snapshot_csv({"02 99 00 00 01": ("22", "moved")}))
    ingest(warehouse, FEED.name, FIRST)
    at = date(2012, 4, 25)
    deliver(warehouse, "calls", at, calls__csv=as_csv(legs(3)))
    ingest(warehouse, "calls", at)
    assert query(
        warehouse,
        "select call_id, department_code from raw.calls join raw.line_assignments using (caller_key)",
    ) == [("call-1", "22")]


def test_only_the_export_reads_the_numbers(warehouse: Settings) -> None:
    deliver(warehouse, FEED.name, FIRST, lines__csv=snapshot_csv({"0299000001": ("22", "moved")}))
    ingest(warehouse, FEED.name, FIRST)
    text = "select has_table_privilege(%s, 'routing.line_assignment', 'select')"
    rights = {
        role: query(warehouse, text, role)[0][0]
        for role in ("parc_exporter", "parc_transformer", "parc_reader", "bi_reader")
    }
    assert rights == {
        "parc_exporter": True,
        "parc_transformer": False,
        "parc_reader": False,
        "bi_reader": False,
    }
