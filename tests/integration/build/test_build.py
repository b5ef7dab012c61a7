"""From deliveries to marts: what BI sees, what a build touches, and that no order of arrival matters."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from parc import feeds as declared
from parc import routing
from parc.build import build
from parc.errors import ApprovalNeeded, BuildFailed, Busy, RoutingRefused
from parc.ledger import locks
from parc.loading import ingest, withdraw
from parc.privacy.declared import places
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect, persons
from support.marts import RIGHTS, load_everything, marts, reference_page, restate, rows, take_ids

FIRST, LAST = date(2012, 4, 23), date(2012, 4, 26)
DAYS = [FIRST + timedelta(days=day) for day in range(4)]


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four simulated days, about 900 legs each."""
    folder = tmp_path_factory.mktemp("landing")
    simulate(FIRST, LAST, scale=0.003, seed=7, out=str(folder))
    return folder


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, deliveries: Path) -> Iterator[Settings]:
    """A platform that has loaded and built the four days; the tests below build on each other."""
    shutil.copytree(deliveries, module_warehouse.landing, dirs_exist_ok=True)
    load_everything(module_warehouse, DAYS)
    result = build(module_warehouse)
    assert result.date_count == len(DAYS)
    yield module_warehouse


def test_rights_match_the_reference_page(built: Settings) -> None:
    assert reference_page(built, "write_rights") == RIGHTS.read_text(), "`make docs` rewrites it"


def test_every_column_of_a_person_is_declared(built: Settings) -> None:
    page = RIGHTS.with_name("personal-data.md").read_text()
    assert reference_page(built, "write_personal_data") == page, "`make docs` rewrites it"
    declared = {(place.table, place.column) for place in places(PROJECT / "dbt_project")}
    with connect(built, "admin") as connection:
        person_tables = persons.person_tables(connection)
        inherited = dict(
            connection.execute("select inhrelid::regclass::text, inhparent::regclass::text from pg_inherits")
        )
    held = {
        (inherited.get(str(holder.table), str(holder.table)), column)
        for holder in person_tables
        for column in (*holder.pseudonyms, *holder.identities)
    }
    assert len(held) > 20 and held <= declared


def test_bi_reads_the_marts_and_nothing_else(built: Settings) -> None:
    [(offered,)] = rows(
        built, "select sum(offered_count)::int from marts.mart_service_quality_daily", "bi_reader"
    )
    assert offered > 1000
    of_nation = (
        "select offered_count, service_level::float, is_calls_final from marts.mart_service_quality_rates "
        "where period = 'month' and area = 'nation' and market = 'all'"
    )
    [(level,)] = rows(
        built,
        "select (count(*) filter (where outcome = 'answered' and wait_seconds <= 20))::float / count(*) "
        "from marts.fct_calls where outcome = 'answered' or outcome = 'abandoned' and not is_short_abandon",
    )
    assert rows(built, of_nation, "bi_reader") == [(offered, pytest.approx(level, abs=1e-6), False)]
    for schema, table in (("build", "fct_calls"), ("raw", "calls"), ("reference", "sites")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(built, f"select * from {schema}.{table}", "bi_reader")


def test_every_mart_and_column_is_described(built: Settings) -> None:
    missing = rows(
        built,
        """
        select c.relname, a.attname
        from pg_class c
        inner join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'marts'
        inner join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relkind in ('r', 'v')
            and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
        """,
    )
    assert missing == []


def test_legs_and_totals_add_up(built: Settings) -> None:
    [(legs,)] = rows(built, "select sum(leg_count) from marts.fct_calls")
    [(lost,)] = rows(
        built, "select coalesce(sum(leg_count), 0) from intermediate.int_call_cross_date_duplicates"
    )
    [(published,)] = rows(
        built, "select sum(rows_published) from ops.delivery where feed = 'calls' and status = 'published'"
    )
    assert legs + lost == published
    assert rows(
        built,
        """
        select business_date, count(*) filter (where is_offered)
        from marts.fct_calls group by 1 order by 1
        """,
    ) == rows(
        built,
        """
        select business_date, sum(offered_count)::bigint
        from marts.mart_service_quality_daily group by 1 order by 1
        """,
    )


def test_nothing_new_builds_nothing(built: Settings) -> None:
    assert build(built).build_id is None


def test_the_go_live_shows_in_the_home_region_rate(built: Settings) -> None:
    [(before, after)] = rows(
        built,
        """
        select
            sum(home_in_hours_count) filter (where business_date < '2012-04-25')::float
                / sum(in_hours_known_answered_count) filter (where business_date < '2012-04-25'),
            sum(home_in_hours_count) filter (where business_date >= '2012-04-25')::float
                / sum(in_hours_known_answered_count) filter (where business_date >= '2012-04-25')
        from marts.mart_service_quality_daily
        where region_code in ('52', '53') and market in ('fixe', 'internet')
        """,
    )
    assert before < 0.3 < 0.7 < after


def test_restated_day_touches_only_the_days_it_reaches(built: Settings) -> None:
    def written() -> dict[date, str]:
        query = "select business_date, min(xmin::text::bigint) from marts.fct_calls group by 1"
        return dict(rows(built, query))

    of_view = "select oid, xmin from pg_class where oid = 'marts.mart_service_quality_rates'::regclass"
    view = rows(built, of_view)
    before = written()
    restate(built, DAYS[2], drop=40)
    outcome = ingest(built, "calls", DAYS[2])
    assert outcome.status == "published"
    result = build(built)
    assert result.date_count == 1
    after = written()
    assert {day for day in DAYS if before[day] != after[day]} == {DAYS[2]}
    assert rows(built, of_view) == view  # a view that stays as it is takes no lock


def test_effects_of_a_restatement_on_figures_are_recorded(built: Settings) -> None:
    """By figure, with the delivery; nothing for what only arrived later, nothing more by a full refresh. So
    is what one day takes from a later one that BI had read, by its ids."""
    offered = (
        f"select sum(offered_count) from marts.mart_service_quality_daily where business_date = '{DAYS[2]}'"
    )
    reported = (
        "select business_date, delivery_ids, sum(value_after - value_before) from marts.mart_restatements "
        "where mart = 'mart_service_quality_daily' and figure = 'offered_count' "
        "and build_id = (select max(build_id) from marts.mart_restatements) "
        "group by 1, 2"
    )
    [(before,)] = rows(built, offered)
    restate(built, DAYS[2], drop=60)
    taken = take_ids(built, DAYS[2], DAYS[3], count=5)
    outcome = ingest(built, "calls", DAYS[2])
    result = build(built)
    [(after,)] = rows(built, offered)
    assert after < before
    assert rows(built, f"{reported} order by 1", "bi_reader") == [
        (DAYS[2], [outcome.delivery_id], after - before),
        (DAYS[3], [outcome.delivery_id], -taken),
    ]
    kept = rows(built, "select count(*), max(build_id) from marts.mart_restatements")
    assert kept[0][1] == result.build_id
    # Repeats of the days before were looked at again too: they belong to the same delivery.
    [(first,)] = rows(
        built, f"select min(business_date) from marts.mart_restatements where build_id = {result.build_id}"
    )
    assert first >= DAYS[0]


@pytest.mark.soak
def test_incremental_equals_full_refresh_and_bi_objects_survive(built: Settings) -> None:
    with connect(built, "admin") as connection:
        connection.execute("create view public.of_bi as select * from marts.mart_service_quality_daily")
    incremental = marts(built)
    [(count,)] = rows(built, "select count(*) from public.of_bi", "admin")
    assert build(built, full_refresh=True).build_id
    assert marts(built) == incremental
    assert rows(built, "select count(*) from public.of_bi", "admin") == [(count,)]
    rows(built, "select count(*) from marts.fct_calls", "bi_reader")


@pytest.mark.soak  # some eighty seconds; int_call_cross_date_duplicates has a unit test
def test_a_call_delivered_on_two_dates_counts_once(built: Settings) -> None:
    """The earliest date keeps it; if that date no longer delivers it, the later date gets it back."""
    early = Path(built.landing) / "calls" / f"date={DAYS[0]}" / "calls.csv.gz"
    kept = early.read_bytes()
    [(call_id,)] = rows(
        built, f"select min(call_id) from marts.fct_calls where business_date = '{DAYS[3]}' and leg_count = 1"
    )
    header, first, *lines = gzip.decompress(kept).splitlines(keepends=True)
    stray = first.split(b",")
    stray[0] = call_id.encode()
    (early.parent / "_CONTROL.json").unlink(missing_ok=True)
    early.write_bytes(gzip.compress(b"".join([header, first, *lines, b",".join(stray)]), mtime=0))
    query = f"select business_date from marts.fct_calls where call_id = '{call_id}'"

    assert ingest(built, "calls", DAYS[0]).status == "published"
    build(built)
    assert rows(built, query) == [(DAYS[0],)]
    early.write_bytes(kept)
    assert ingest(built, "calls", DAYS[0]).status == "published"
    build(built)
    assert rows(built, query) == [(DAYS[3],)]
    incremental = marts(built)
    build(built, full_refresh=True)
    assert reference_page(built, "write_rights") == RIGHTS.read_text(), "rights stay through a full refresh"
    assert marts(built) == incremental


@pytest.mark.soak
def test_a_failed_test_leaves_what_bi_sees(built: Settings) -> None:
    before = marts(built), rows(built, "select build_id from marts.published_build")
    restate(built, DAYS[1], drop=10)
    ingest(built, "calls", DAYS[1])
    with connect(built, "admin") as connection:
        connection.execute(
            "update ops.delivery set rows_published = rows_published - 1, rows_read = rows_read - 1 "
            "where feed = 'calls' and business_date = %s and status = 'published'",
            [DAYS[1]],
        )
    with pytest.raises(BuildFailed, match="legs_add_up_to_the_ledger"):
        build(built)
    assert (marts(built), rows(built, "select build_id from marts.published_build")) == before
    assert rows(built, "select status from ops.build order by build_id desc limit 1") == [("failed",)]

    with connect(built, "admin") as connection:
        connection.execute(
            "update ops.delivery set rows_published = rows_published + 1, rows_read = rows_read + 1 "
            "where feed = 'calls' and business_date = %s and status = 'published'",
            [DAYS[1]],
        )
    assert build(built).date_count >= 1
    assert marts(built) != before[0]


def test_concurrent_and_dead_builds(built: Settings) -> None:
    restate(built, DAYS[1], drop=5)
    ingest(built, "calls", DAYS[1])
    with (
        connect(built, "transformer", autocommit=True) as connection,
        locks.held(connection, locks.BUILD, ""),
    ):
        connection.execute("insert into ops.build (status, is_full_refresh) values ('running', false)")
        with pytest.raises(Busy, match="another build"):
            build(built)
    assert build(built).date_count >= 1
    states = rows(built, "select status from ops.build order by build_id desc limit 2")
    assert states == [("published",), ("abandoned",)]


def test_a_killed_build_ends_dbt_and_the_next_build_does_the_work(built: Settings) -> None:
    restate(built, DAYS[1], drop=4)
    ingest(built, "calls", DAYS[1])
    running = psutil.Popen(
        [str(Path(sys.executable).with_name("parc")), "build"],
        env=os.environ | {"PARC_HOME": str(built.home), "PARC_WAREHOUSE_DSN": built.warehouse_dsn or ""},
    )
    at_work = (
        "select count(*) from pg_stat_activity "
        "where application_name = 'parc dbt' and datname = current_database()"
    )
    while rows(built, at_work, "admin") == [(0,)]:
        assert running.poll() is None, "the build ended before it could be killed"
    dbt = [child for child in running.children(recursive=True) if "dbt" in " ".join(child.cmdline())]
    assert dbt
    running.kill()
    running.wait()
    assert psutil.wait_procs(dbt, timeout=10)[1] == []
    assert rows(built, "select status from ops.build order by build_id desc limit 1") == [("running",)]
    assert build(built).date_count >= 1
    states = rows(built, "select status from ops.build order by build_id desc limit 2")
    assert states == [("published",), ("abandoned",)]


def test_the_go_live_reaches_the_switch_and_is_rolled_back(built: Settings) -> None:
    """From the built marts to the switch's files: exactly the planned regions change, and come back."""

    def live_files() -> dict[str, bytes]:
        version = routing.verify(built).version
        assert version
        folder = Path(built.switch) / "releases" / version
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    who = {"requested_by": "test", "reason": "test"}
    routing.apply(built, date(2012, 4, 23), bootstrap=True, **who)
    before = live_files()
    plan = routing.plan(built, date(2012, 4, 24))
    live, back = plan.going()
    assert sorted(live) == [("52", "fixe"), ("52", "internet"), ("53", "fixe"), ("53", "internet")]
    assert back == []
    assert [name for name, table in plan.diffs.items() if table.row_count] == ["routes"]
    changed = {(key["zone_code"], key["market"]) for _, key, _, _ in plan.diffs["routes"].rows()}
    assert changed == set(live)
    with pytest.raises(ApprovalNeeded, match="go-live"):
        routing.apply(built, date(2012, 4, 24), **who)
    routing.apply(built, date(2012, 4, 24), approve=plan.plan_hash, approved_by="Anne", **who)
    assert routing.verify(built).is_ok
    assert live_files() != before

    routing.rollback(built, **who)
    assert live_files() == before
    with pytest.raises(RoutingRefused, match="release-hold"):
        routing.apply(built, date(2012, 4, 24), approve=plan.plan_hash, approved_by="Anne", **who)


@pytest.mark.parametrize(
    "sequence", [4, *(pytest.param(number, marks=pytest.mark.soak) for number in range(100, 110))]
)
def test_any_order_of_arrival_ends_in_the_same_marts(
    warehouse: Settings, deliveries: Path, sequence: int
) -> None:
    """Days of all feeds in any order: some are sent again, some are restated, builds happen in between."""
    shutil.copytree(deliveries, warehouse.landing, dirs_exist_ok=True)
    chance = random.Random(sequence)
    arrivals = [(feed, day) for feed in declared.FEEDS for day in DAYS]
    chance.shuffle(arrivals)
    builds = set(chance.sample(range(1, len(arrivals)), 3))
    for number, (feed, day) in enumerate(arrivals, start=1):
        outcome = ingest(warehouse, feed, day)
        if feed in ("calls", "boutique_visits", "interventions") and chance.random() < 0.5:
            restate(warehouse, day, drop=chance.choice((2, 3, 30)), feed=feed)
            outcome = ingest(warehouse, feed, day)
        assert outcome.status in ("published", "missing"), outcome.message
        if chance.random() < 0.2:
            assert ingest(warehouse, feed, day).status in ("unchanged", "missing")
        if number in builds:
            build(warehouse)
    build(warehouse)
    incremental = marts(warehouse)
    build(warehouse, full_refresh=True)
    assert marts(warehouse) == incremental


HISTORIES = 20


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_short_histories_end_in_the_same_marts(
    warehouse: Settings, deliveries: Path, seed: int
) -> None:
    """Each goes on where the last one ended: a few dates are sent again, withdrawn, brought back or given the
    ids of a later date, and built, in one or two builds; then a full refresh must change nothing."""
    shutil.copytree(deliveries, warehouse.landing, dirs_exist_ok=True)
    for feed in declared.FEEDS:
        for day in DAYS:
            ingest(warehouse, feed, day)
    build(warehouse)
    chance, began = random.Random(f"short {seed}"), time.monotonic()
    for number in range(HISTORIES):
        told = []
        for _ in range(chance.randint(1, 2)):
            told += [disturb(warehouse, chance) for _ in range(chance.randint(1, 4))]
            build(warehouse)
        incremental = marts(warehouse)
        build(warehouse, full_refresh=True)
        assert marts(warehouse) == incremental, f"history {number}: {told}"
    print(f"\n{HISTORIES} histories in {time.monotonic() - began:.0f} s")


def disturb(settings: Settings, chance: random.Random) -> str:
    """Change a delivery of a random date, or withdraw it; returns what was done."""
    feed, day = chance.choice(("calls", "calls", "boutique_visits", "interventions")), chance.choice(DAYS)
    found = rows(
        settings,
        f"select delivery_id from ops.delivery where feed = '{feed}' and business_date = '{day}' "
        "and status = 'published'",
    )
    if found and chance.random() < 0.3:
        withdraw(settings, found[0][0], "a test")
        return f"{feed} {day} withdrawn"
    restate(settings, day, drop=chance.choice((1, 2, 5)), feed=feed)
    taken = 0
    if feed == "calls" and day < LAST and chance.random() < 0.4:
        taken = take_ids(settings, day, chance.choice([each for each in DAYS if each > day]), count=3)
    outcome = ingest(settings, feed, day)
    assert outcome.status == "published", outcome.message
    return f"{feed} {day} sent again, {taken} ids of a later date"
