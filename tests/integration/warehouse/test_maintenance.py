"""Maintenance: what is deleted, what is kept, and that expired days keep their figures in later builds."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege

from parc.build import build, leftovers, retention
from parc.errors import Busy
from parc.feeds import FEEDS, Retention
from parc.ledger import locks
from parc.loading import incidents, ingest
from parc.loading.landing import clear_copies
from parc.maintenance import STEPS
from parc.pseudonyms import is_surrogate
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.warehouse import connect, expiry, maintenance, partitions
from parc.warehouse.maintenance import MaintenanceResult
from support.command_line import parc
from support.deliveries import as_csv, deliver, legs
from support.marts import restate, rows

FIRST, LAST = date(2012, 4, 26), date(2012, 5, 4)
NEXT_DAY = LAST + timedelta(days=1)
EXPIRED = date(2012, 4, 30)
"""The newest date to go where four days are kept; May begins with new snapshots."""

FOUR_DAYS = [
    replace(feed, retention=Retention(4, "A test.")) if feed.retention.days else feed
    for feed in FEEDS.values()
]

# Marts of one feed's dates: what they hold of an expired one is never written again.
BY_DATE = {
    "fct_calls",
    "mart_service_quality_daily",
    "mart_service_quality_department_daily",
    "mart_service_quality_half_hourly",
    "mart_answers_by_site_daily",
    "mart_answers_by_reason_daily",
    "mart_answers_daily",
    "mart_repeat_calls_daily",
    "mart_wait_histogram_daily",
    "mart_routing_demand_half_hourly",
    "mart_site_load_half_hourly",
    "mart_site_work_daily",
    "mart_cross_channel_daily",
    "mart_visits_after_calls_daily",
    "fct_boutique_visits",
    "mart_boutique_visits_daily",
    "mart_boutiques_daily",
    "mart_boutique_wait_histogram_daily",
}


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Nine small days of all feeds, loaded and built; figures become final a day later."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "dbt_project", project / "dbt_project")
    shutil.copytree(PROJECT / "expectations", project / "expectations")
    windows = project / "dbt_project" / "seeds" / "figure_windows.csv"
    windows.write_text(windows.read_text().replace(",168,", ",24,").replace(",720,", ",24,"))
    settings = replace(module_warehouse, project=project)
    faults = [f"bad_rows@calls:{FIRST + timedelta(days=1)}"]
    simulate(FIRST, NEXT_DAY, scale=0.001, seed=3, out=settings.landing, faults=faults)
    load(settings, FIRST, LAST)
    build(settings)
    return settings


@pytest.fixture(scope="module")
def undisturbed(built: Settings, copy_of: Callable[[Settings], Settings]) -> Settings:
    """A copy of that warehouse, in which nothing expires."""
    return copy_of(built)


def load(settings: Settings, first: date, last: date) -> None:
    for feed in FEEDS:
        for day in range((last - first).days + 1):
            outcome = ingest(settings, feed, first + timedelta(days=day))
            assert outcome.status in ("published", "missing"), outcome.message


def expire(settings: Settings, *, dry_run: bool = False) -> list[MaintenanceResult]:
    return expiry.expire_raw(settings, feeds=FOUR_DAYS, dry_run=dry_run)


def expired_dates(settings: Settings) -> dict[str, list[date]]:
    found: dict[str, list[date]] = {}
    for feed, day in rows(
        settings,
        "select feed, business_date from ops.delivery where expired_at is not null order by 1, 2",
    ):
        found.setdefault(feed, []).append(day)
    return found


def days_in_raw(settings: Settings, feed: str) -> list[date]:
    return [day for (day,) in rows(settings, f"select distinct business_date from raw.{feed} order by 1")]


def mart_names(settings: Settings) -> list[str]:
    names = rows(
        settings,
        "select table_name from information_schema.tables where table_schema = 'marts' "
        "and table_type = 'BASE TABLE' and table_name not in ('published_build', 'mart_restatements') "
        "order by 1",
    )
    assert len(names) > 20
    return [name for (name,) in names]


def mart(settings: Settings, name: str, which: str = "true") -> list[tuple]:
    """The mart's rows, without arrival times and unused versions of the numbering plan."""
    columns = "m::text"
    if name.startswith("fct_"):  # whose keys are not what they were
        columns = "(to_jsonb(m) - '{identity_key,caller_key,customer_key,line_key}'::text[])::text"
    if name in ("mart_answer_costs_monthly", "mart_boutique_monthly"):
        # Their month has expired dates. What followed on them stands still.
        followed = "repeat_7d_count,repeat_visit_7d_count,call_after_visit_7d_count,visit_after_call_7d_count"
        columns = f"(to_jsonb(m) - '{{{followed}}}'::text[])::text"
    if name == "mart_feed_health":
        columns = "feed, business_date, status, rows_read, rows_published, rows_quarantined, delivery_count"
    if name == "routing_prefixes":
        which = f"snapshot_date > '{EXPIRED}'"
    return rows(settings, f"select {columns} from marts.{name} as m where {which} order by 1, m")


def past(settings: Settings) -> dict[str, list[tuple]]:
    found = {name: mart(settings, name, f"business_date <= '{EXPIRED}'") for name in BY_DATE}
    assert all(found.values())
    return found


def test_days_past_retention_keep_their_figures(
    built: Settings, undisturbed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = past(built)
    planned = expire(built, dry_run=True)
    assert expired_dates(built) == {}

    size_of, seen = expiry._size, []

    def die_at_the_third(*given):  # type: ignore[no-untyped-def]
        seen.append(given)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return size_of(*given)

    with monkeypatch.context() as patch:
        patch.setattr(expiry, "_size", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            expire(built)
    assert expired_dates(built) == {"calls": [FIRST, FIRST + timedelta(days=1)]}
    assert days_in_raw(built, "calls")[0] == FIRST + timedelta(days=2)

    done = expire(built)
    days = [FIRST + timedelta(days=day) for day in range(5)]
    assert expired_dates(built) == {
        "calls": days,
        "boutique_visits": days,
        "interventions": days,
        # What governs the 1st of May stays: of these the first snapshots do not.
        "boutiques": [FIRST],
        "line_assignments": [FIRST],
        "numbering_plan": [FIRST],
    }
    assert days_in_raw(built, "calls") == [EXPIRED + timedelta(days=day) for day in (1, 2, 3, 4)]
    assert days_in_raw(built, "active_lines")[0] == FIRST
    assert {result.what.split(":")[0] for result in done} <= {result.what.split(":")[0] for result in planned}
    of_visits = [
        [result for result in results if result.what.startswith("boutique_visits: expired")]
        for results in (planned, done)
    ]
    assert of_visits[0] == of_visits[1] != []
    assert of_visits[0][0].bytes > 5 * 8192
    assert (
        rows(
            built,
            "select 1 from ops.quarantine inner join ops.delivery using (delivery_id) "
            f"where feed = 'calls' and business_date <= '{EXPIRED}'",
        )
        == []
    )
    assert rows(
        undisturbed,
        "select 1 from ops.quarantine inner join ops.delivery using (delivery_id) "
        f"where feed = 'calls' and business_date <= '{EXPIRED}'",
    )
    assert expire(built) == []
    unlink_with_a_kill(built, monkeypatch)
    assert_unlinked(built, undisturbed)

    # A new day, and a restated one whose callers called before: what was due for the days in raw is the same.
    restate(built, EXPIRED + timedelta(days=2), drop=40)
    for settings in (built, undisturbed):
        assert ingest(settings, "calls", EXPIRED + timedelta(days=2)).status == "published"
        load(settings, NEXT_DAY, NEXT_DAY)
        build(settings)
    assert_as_undisturbed(built, undisturbed, before)
    build(built, full_refresh=True)
    assert_as_undisturbed(built, undisturbed, before)
    assert_unlinked(built, undisturbed)


def unlink_with_a_kill(built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (built.project / "dbt_project" / "models").rglob("*.yml"):
        path.write_text(re.sub(r"retention_days: [48]00", "retention_days: 4", path.read_text()))
    reported = [result.count for result in retention.unlink(built, dry_run=True)]
    unlink_rows, seen = retention._unlink_rows, []

    def die_in_the_seventh(*given):  # type: ignore[no-untyped-def]
        unlink_rows(*given)
        seen.append(given)
        if len(seen) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retention, "_unlink_rows", die_in_the_seventh)
        with pytest.raises(KeyboardInterrupt):
            retention.unlink(built)
    done = "select feed, count(*) from ops.delivery where unlinked_at is not null group by 1 order by 1"
    assert rows(built, done) == [("boutique_visits", 5), ("calls", 1)]
    assert [reported, [result.count for result in retention.unlink(built)]] == [[5, 5, 5], [4, 5]]
    assert retention.unlink(built) == []


def assert_unlinked(built: Settings, undisturbed: Settings) -> None:
    """Person keys past retention in the facts have been replaced; the others have not changed."""
    for fact, row, keys in (
        ("fct_calls", "call_id", "customer_key, caller_key"),
        ("fct_boutique_visits", "visit_id", "customer_key"),
    ):
        query = f"select business_date, {row}, identity_key, {keys} from marts.{fact} order by 1, 2"
        now, then = rows(built, query), rows(undisturbed, query)
        assert [row for row in now if row[0] > EXPIRED] == [row for row in then if row[0] > EXPIRED]
        now, then = ([row for row in found if row[0] <= EXPIRED] for found in (now, then))
        for fresh, old in zip(now, then, strict=True):
            assert_another(fresh[2:], old[2:])
        given = [key for row in now for key in row[3:] if key]
        assert len(set(given)) == len(given) > 0

    last_date = (
        "select job_id, max(greatest(business_date, closed_date)) over "
        "(partition by coalesce(line_key::text, job_id)) from intermediate.int_intervention_jobs"
    )
    past = {job for job, day in rows(undisturbed, last_date) if day <= EXPIRED}
    others: dict[Any, Any] = {}
    for table, row in (
        ("marts.fct_interventions", "job_id"),
        ("build.fct_interventions", "job_id"),
        ("intermediate.int_intervention_jobs", "job_id"),
        ("intermediate.int_intervention_states", "job_id, business_date, updated_at"),
    ):
        query = f"select job_id, identity_key, customer_key, line_key from {table} order by {row}"
        count = 0
        for now, then in zip(rows(built, query), rows(undisturbed, query), strict=True):
            assert now[0] == then[0]
            if now[0] not in past:
                assert now == then
                continue
            count += 1
            assert_another(now[1:], then[1:])
            for fresh, old in zip(now[1:], then[1:], strict=True):
                assert others.setdefault(old, fresh) == fresh
        assert count > 5, table


def assert_another(now: tuple[Any, ...], then: tuple[Any, ...]) -> None:
    """A row's identity and pseudonyms (the source of the identity first) are those of surrogates."""
    for fresh, old in zip(now[1:], then[1:], strict=True):
        assert (fresh is None) == (old is None)
        assert fresh is None or (fresh != old and is_surrogate(fresh) and not is_surrogate(old))
    whose = next((key for key in now[1:3] if key), None)
    if whose and then[0] == identity(next(key for key in then[1:3] if key)):
        assert now[0] == identity(whose)
    else:
        assert now[0] == then[0]  # the contact's own


def identity(pseudonym: UUID) -> int:
    return int.from_bytes(pseudonym.bytes[:8], "big", signed=True)


def assert_as_undisturbed(built: Settings, undisturbed: Settings, before: dict[str, list[tuple]]) -> None:
    assert past(built) == before
    for name in mart_names(built):
        which = f"business_date > '{EXPIRED}'" if name in BY_DATE else "true"
        if name == "mart_directorate_scorecard_daily":
            which = f"business_date > '{EXPIRED}'"  # the figures of the others, side by side
        # Weeks and months have expired dates, whose repeats stand still.
        if name == "mart_process_behaviour":
            which = "metric <> 'repeat_7d_rate'"
        if name == "mart_home_gap_monthly":
            which = "outcome not like '%repeat%'"
        assert mart(built, name, which) == mart(undisturbed, name, which), name


def test_a_delivery_for_an_expired_date_is_refused(built: Settings) -> None:
    folder = Path(built.landing) / "calls" / f"date={FIRST}"
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    assert ingest(built, "calls", FIRST).status == "unchanged"
    restate(built, FIRST, drop=10)
    outcome = ingest(built, "calls", FIRST)
    assert outcome.status == "refused"
    assert f"the dates up to {EXPIRED} are past retention" in outcome.message
    assert days_in_raw(built, "calls")[0] > EXPIRED
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.soak  # three builds more; CI has the property above
def test_a_changed_seed_and_a_new_column_reach_the_dates_that_are_kept(built: Settings) -> None:
    before = past(built)
    project = built.project / "dbt_project"
    hours = project / "seeds" / "zone_hours.csv"
    header, *lines = list(csv.reader(hours.read_text().splitlines()))
    opens = header.index("opens_at")
    lines = [[*line[:opens], "19:00", *line[opens + 1 :]] for line in lines]
    hours.write_text("\n".join(",".join(line) for line in [header, *lines]) + "\n")
    in_hours = (
        f"select business_date > '{EXPIRED}' as is_kept, count(*) filter (where is_in_hours) "
        "from marts.fct_calls group by 1 order by 1"
    )
    (_, past_then), (_, kept_then) = rows(built, in_hours)
    build(built)
    (_, past_now), (_, kept_now) = rows(built, in_hours)
    assert past_now == past_then
    assert kept_now < kept_then / 4
    assert past(built) == before

    model = project / "models" / "marts" / "channels" / "mart_boutiques_daily"
    text = model.with_suffix(".sql").read_text()
    column = "coalesce(counted.visit_count, 0) as visit_count,"
    assert column in text
    model.with_suffix(".sql").write_text(
        text.replace(column, f"{column}\n        coalesce(counted.visit_count, 0) * 2 as visitor_foot_count,")
    )
    properties = model.with_suffix(".yml").read_text()
    described = "      - name: visit_count\n"
    assert described in properties
    model.with_suffix(".yml").write_text(
        properties.replace(
            described,
            "      - name: visitor_foot_count\n        data_type: bigint\n"
            f"        description: Feet of the visitors.\n{described}",
        )
    )
    build(built, full_refresh=True)
    feet = (
        f"select business_date > '{EXPIRED}', count(visitor_foot_count) > 0, sum(visit_count) > 0 "
        "from marts.mart_boutiques_daily group by 1 order by 1"
    )
    assert rows(built, feet) == [(False, False, True), (True, True, True)]


def test_a_date_expires_only_when_built_final_and_unread(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [FIRST + timedelta(days=day) for day in range(6)]
    for day in days:
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(3, day)))
        ingest(warehouse, "calls", day)
    [result] = expire(warehouse)
    assert f"held back from {FIRST}, it is not built yet" in result.what
    assert expired_dates(warehouse) == {}

    with connect(warehouse, "admin") as connection:
        connection.execute("insert into ops.build (status, is_full_refresh) values ('failed', false)")
        connection.execute("update ops.delivery set built_in = 1")
    [result] = expire(warehouse)
    assert "the last build was not published" in result.what
    with connect(warehouse, "admin") as connection:
        connection.execute("update ops.build set status = 'published'")
        connection.execute(
            "create table marts.mart_finality_daily "
            "(figure_window text, business_date date, status text, final_on date)"
        )
        connection.execute("create table reference.figure_windows (figure_window text, feed text)")
        connection.execute("insert into reference.figure_windows values ('repeat_7d', 'calls')")
        connection.execute(
            "insert into marts.mart_finality_daily values ('repeat_7d', %s, 'provisional', %s), "
            "('repeat_7d', %s, 'provisional', %s)",
            [days[0], days[1], days[1], days[5]],
        )
        for table in ("marts.mart_finality_daily", "reference.figure_windows"):
            connection.execute(f"grant select on {table} to parc_reader".encode())

    with (
        connect(warehouse, "transformer", autocommit=True) as other,
        locks.held(other, locks.READING, ""),
        pytest.raises(Busy, match="a build reads the raw tables"),
    ):
        expire(warehouse)
    with (
        connect(warehouse, "loader", autocommit=True) as other,
        locks.held(other, locks.of_load("calls", FIRST), ""),
    ):
        [result] = expire(warehouse)
        assert f"held back from {FIRST}, it is being loaded" in result.what
    with connect(warehouse, "reader") as other, monkeypatch.context() as patch:
        patch.setattr(partitions, "LOCK_PATIENCE", "50ms")
        patch.setattr(partitions, "PATIENCE_SECONDS", 0.2)
        other.execute("select 1 from raw.calls limit 1")
        with pytest.raises(Busy, match="a query locks the raw table"):
            expire(warehouse)
    assert expired_dates(warehouse) == {}
    # What the first date waits for would be refused by now; what the second waits for may still arrive.
    assert len(expire(warehouse)) == 2
    assert expired_dates(warehouse) == {"calls": [FIRST]}


def test_a_missing_date_before_an_expired_one_is_not_recomputed(warehouse: Settings) -> None:
    """The calls counted for a job of such a date are by people who are no longer identifiable."""
    expired, missing, kept = (FIRST + timedelta(days=day) for day in (1, 0, 2))
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, expired_at) "
            "values ('calls', %s, 'published', '[]', '', now()), ('calls', %s, 'published', '[]', '', null)",
            [expired, kept],
        )
        connection.execute("insert into ops.build (status, is_full_refresh) values ('running', true)")
        connection.execute(
            "insert into ops.build_date select build_id, feed, business_date from ops.build "
            "cross join (values ('calls', %s), ('intervention_events', %s)) as known (feed, business_date)",
            [kept, missing],
        )
    found = rows(warehouse, "select ops.changed_dates('{calls}', 2, 0, '{intervention_events}')")
    assert found == [(kept,)]
    found = rows(warehouse, "select ops.changed_dates('{intervention_events}', 0)")
    assert found == [(missing,)]


def test_a_date_years_ahead_expires_nothing(warehouse: Settings) -> None:
    """Retention counts from the date to which others lead, not from a few wrong dates that were accepted."""
    late = FIRST - timedelta(days=1)
    with connect(warehouse, "admin") as connection:
        connection.execute("insert into ops.build (status, is_full_refresh) values ('published', false)")
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in) "
            "select 'calls', %s::date - day, 'published', '[]', '', 1 from generate_series(0, 409) as day "
            "where day <> 1",
            [FIRST],
        )
    ahead = [date(2030, 1, 1), date(2030, 1, 2)]
    for day in ahead:
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(3, day)))
        assert ingest(warehouse, "calls", day).status == "published"
    with connect(warehouse, "admin") as connection:
        connection.execute("update ops.delivery set built_in = 1")
    reported = expiry.expire_raw(warehouse)
    assert expired_dates(warehouse) == {"calls": [FIRST - timedelta(days=day) for day in range(409, 399, -1)]}
    assert reported[0].count == 2 and reported[0].what.startswith(
        "calls: retention does not count back from 2030-01-02, "
    )
    deliver(warehouse, "calls", late, calls__csv=as_csv(legs(4, late)))
    assert ingest(warehouse, "calls", late).status == "published", "it is not past retention"


def test_a_manual_assignment_expires_when_it_has_no_effect(warehouse: Settings) -> None:
    """A year after it was replaced or ended; this never changes where its calls go."""
    given = [
        ("+33299000001", "53", 800),
        ("+33299000001", "52", 700),
        ("+33299000001", "24", 10),
        ("+33299000002", "53", 800),
        ("+33299000002", None, 500),
        ("+33299000003", "53", 500),
        ("+33299000003", None, 10),
        ("+33299000004", "53", 900),
    ]
    with connect(warehouse, "exporter") as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into routing.urgent_assignment (number, zone_code, set_by, reason, at) "
            "values (%s, %s, 'Anne', 'a case', now() - make_interval(days => %s))",
            given,
        )
    deliver(warehouse, "calls", FIRST, calls__csv=as_csv(legs(3, FIRST)))
    ingest(warehouse, "calls", FIRST)
    in_force = "select number, zone_code from routing.urgent_zone order by 1"
    before = rows(warehouse, in_force, "exporter")
    planned = maintenance.prune_history(warehouse, dry_run=True)
    assert maintenance.prune_history(warehouse) == planned
    kept = "select number, zone_code from routing.urgent_assignment order by assignment_id"
    assert rows(warehouse, kept, "exporter") == [
        ("+33299000001", "24"),
        ("+33299000003", None),
        ("+33299000004", "53"),
    ]
    assert rows(warehouse, in_force, "exporter") == before
    for of in ("zone_code is not null", "number = '+33299000001'"):
        with pytest.raises(InsufficientPrivilege), connect(warehouse, "maintenance") as connection:
            connection.execute(f"delete from routing.urgent_assignment where {of}".encode())
    for role in ("exporter", "loader", "transformer"):
        with pytest.raises(InsufficientPrivilege), connect(warehouse, role) as connection:
            connection.execute("delete from routing.urgent_assignment where zone_code is null")
    with connect(warehouse, "maintenance") as connection:  # whose it was may be forgotten whole
        connection.execute("delete from routing.urgent_assignment where number = '+33299000003'")


def test_leftovers_of_dead_loads_are_dropped_and_running_loads_kept(warehouse: Settings) -> None:
    calls = FEEDS["calls"]
    deliver(warehouse, "calls", FIRST, calls__csv=as_csv(legs(3, FIRST)))
    ingest(warehouse, "calls", FIRST)
    with connect(warehouse, "loader") as connection:
        for number, day in enumerate((FIRST, LAST), start=90):
            table = partitions.delivery_table(calls, day, number)
            partitions.create_delivery_table(connection, calls, table, day)
            connection.execute(
                "insert into ops.delivery (feed, business_date, status, files, content_sha256) "
                "values ('calls', %s, 'landed', '[]', '')",
                [day],
            )
    copies = [warehouse.home / "copies" / "calls" / str(day) / "calls.csv" for day in (FIRST, LAST)]
    for copy in copies:
        copy.parent.mkdir(parents=True)
        copy.write_text("call_id")
    with (
        connect(warehouse, "loader", autocommit=True) as live,
        locks.held(live, locks.of_load("calls", LAST), ""),
    ):
        planned = maintenance.clear_loads(warehouse, dry_run=True) + clear_copies(warehouse, dry_run=True)
        assert maintenance.clear_loads(warehouse) + clear_copies(warehouse) == planned
        assert [result.count for result in planned] == [1, 1, 1]
    assert [copy.exists() for copy in copies] == [False, True]
    tables = rows(warehouse, "select relname from pg_class where relname ~ '^calls__' order by 1", "admin")
    assert [name for (name,) in tables] == ["calls__20120426_1", "calls__20120504_91"]
    states = rows(warehouse, "select business_date, status from ops.delivery order by delivery_id")
    assert states == [(FIRST, "published"), (FIRST, "refused"), (LAST, "landed")]
    assert [result.count for result in maintenance.clear_loads(warehouse)] == [1, 1]
    assert maintenance.clear_loads(warehouse) == []
    assert clear_copies(warehouse)[0].bytes == len("call_id")
    assert not copies[1].exists()


def test_leftovers_of_builds_are_dropped_and_bi_loses_nothing(warehouse: Settings) -> None:
    with connect(warehouse, "transformer") as connection:
        connection.execute("insert into ops.build (status, is_full_refresh) values ('published', false)")
        for name in (
            "build.fct_calls",
            "build.fct_calls__dbt_backup",
            "build.mart_forgotten",
            "marts.mart_forgotten",
            "intermediate.int_forgotten",
            "intermediate.int_elsewhere",
            "reference.sites",
        ):
            connection.execute(f"create table {name} (figure integer)".encode())
        connection.execute("create view staging.stg_forgotten as select * from build.mart_forgotten")
        connection.execute("create view marts.of_bi as select * from intermediate.int_forgotten")
        connection.execute(
            "insert into ops.build_node (build_id, node, kind, status, seconds, position) "
            "select max(build_id), 'int_elsewhere', 'model', 'success', 1, 1 from ops.build"
        )
    relations = (
        "select relname from pg_class where relkind in ('r', 'v') and relnamespace in ("
        "'build'::regnamespace, 'intermediate'::regnamespace, 'staging'::regnamespace, "
        "'reference'::regnamespace, 'marts'::regnamespace) order by 1"
    )
    before = rows(warehouse, relations)
    planned = leftovers.clear(warehouse, dry_run=True)
    assert rows(warehouse, relations) == before
    done = leftovers.clear(warehouse)
    assert [result.count for result in done] == [result.count for result in planned]
    assert [result.what.split(",")[0] for result in done] == [
        "staging.stg_forgotten: dropped",
        "build.fct_calls__dbt_backup: dropped",
        "build.mart_forgotten: dropped",
        "intermediate.int_forgotten: of no model or seed",
        "marts.mart_forgotten: of no model",
    ]
    assert [name for (name,) in rows(warehouse, relations)] == [
        "fct_calls",
        "int_elsewhere",
        "int_forgotten",
        "mart_forgotten",
        "mart_punctuality",
        "mart_releases",
        "mart_restatements",
        "of_bi",
        "published_build",
        "sites",
    ]
    with (
        connect(warehouse, "transformer", autocommit=True) as other,
        locks.held(other, locks.READING, ""),
        pytest.raises(Busy, match="a build is running"),
    ):
        leftovers.clear(warehouse)


def test_a_year_of_history_is_kept(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.build (status, is_full_refresh, started_at) values "
            "('published', false, '2012-04-01'), ('failed', false, '2012-04-02'), "
            "('published', false, '2013-04-01 12:00'), ('published', false, '2013-04-02')"
        )
        connection.execute(
            "insert into ops.build_date select build_id, 'calls', business_date from ops.build "
            "cross join (values (date '2012-03-31'), ('2012-04-01')) as day (business_date) "
            "where build_id in (1, 2) or (build_id = 4 and business_date = '2012-04-01')"
        )
        connection.execute(
            "insert into ops.build_node (build_id, node, kind, status, seconds, position) "
            "select build_id, 'fct_calls', 'model', 'success', 1, 1 from ops.build"
        )
    planned = maintenance.prune_history(warehouse, dry_run=True)
    assert maintenance.prune_history(warehouse) == planned
    assert maintenance.prune_history(warehouse) == []
    assert rows(warehouse, "select build_id from ops.build_node order by 1") == [(2,), (3,), (4,)]
    # Of a date that builds have known the newest build stays, however old.
    assert rows(warehouse, "select build_id, business_date from ops.build_date order by 1, 2") == [
        (2, date(2012, 3, 31)),
        (2, date(2012, 4, 1)),
        (4, date(2012, 4, 1)),
    ]


def test_a_year_of_delivery_logs_is_kept(warehouse: Settings) -> None:
    folder = warehouse.home / "logs" / "deliveries"
    shutil.rmtree(folder, ignore_errors=True)  # what other tests left
    for name in ("calls_2011-04-25", "calls_2011-04-26", "boutique_visits_2012-04-25"):
        incidents.record(folder / f"{name}.log", ValueError("no day"))
    (folder / "x_abcd-ef-gh.log").write_text("of somebody else")
    (folder / "calls_2001-01-01.log").mkdir()
    planned = STEPS["prune_history"](warehouse, True)
    assert [(result.what, result.count) for result in planned] == [("logs of deliveries deleted", 1)]
    assert STEPS["prune_history"](warehouse, False) == planned
    assert STEPS["prune_history"](warehouse, False) == []
    left = sorted(log.stem for log in folder.iterdir())
    assert left == ["boutique_visits_2012-04-25", "calls_2001-01-01", "calls_2011-04-26", "x_abcd-ef-gh"]


def test_the_planner_knows_the_partitioned_tables(warehouse: Settings) -> None:
    deliver(warehouse, "calls", FIRST, calls__csv=as_csv(legs(50, FIRST)))
    ingest(warehouse, "calls", FIRST)
    known = (
        "select count(*) from pg_stats where schemaname = 'raw' and tablename = 'calls' "
        "and attname = 'call_id' and inherited"
    )
    assert rows(warehouse, known, "loader") == [(0,)]
    maintenance.analyze(warehouse, dry_run=True)
    assert rows(warehouse, known, "loader") == [(0,)]
    maintenance.analyze(warehouse)
    assert rows(warehouse, known, "loader") == [(1,)]


def test_the_command_line_runs_and_reports_every_step(warehouse: Settings) -> None:
    deliver(warehouse, "calls", FIRST, calls__csv=as_csv(legs(3, FIRST)))
    ingest(warehouse, "calls", FIRST)
    with connect(warehouse, "loader") as connection:
        connection.execute("update ops.delivery set status = 'landed'")
    steps = ["expire_raw", "unlink_facts", "clear_orphans", "prune_history", "prune_data_docs", "analyze"]
    reported = json.loads(parc(warehouse, "maintain", "--dry-run", "--json").stdout)
    assert list(reported) == steps
    assert [result["what"] for result in reported["clear_orphans"]] == [
        "deliveries of dead loads closed as refused"
    ]
    assert rows(warehouse, "select status from ops.delivery") == [("landed",)]

    with connect(warehouse, "transformer", autocommit=True) as other, locks.held(other, locks.READING, ""):
        busy = parc(warehouse, "maintain")
    assert busy.returncode == 8
    assert "a build is running" in busy.stderr
    assert "partitioned tables analysed" in busy.stdout
    done = parc(warehouse, "maintain", "--json")
    assert (done.returncode, json.loads(done.stdout)["clear_orphans"]) == (0, reported["clear_orphans"])
    assert rows(warehouse, "select status from ops.delivery") == [("refused",)]
