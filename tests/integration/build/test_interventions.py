"""Field interventions, from extracts to marts: histories out of order, restated and repeated."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parc.build import build
from parc.errors import BuildFailed
from parc.feeds import ACTIVE_LINES, INTERVENTIONS
from parc.loading import ingest, withdraw
from parc.settings import PROJECT, Settings
from parc.warehouse import connect
from support.marts import marts, rows

State = dict[str, Any]
TUESDAY, WEDNESDAY, THURSDAY = date(2012, 4, 24), date(2012, 4, 25), date(2012, 4, 26)
SUNDAY, MONDAY = date(2012, 4, 29), date(2012, 4, 30)
IN_JUNE = date(2012, 6, 4)
A_SUNDAY = date(2012, 6, 10)
MART = "marts.mart_interventions_daily"


def state(job_id: str, updated_at: str, **columns: Any) -> State:
    """A job as it stood at a local time; by default, an open repair in Rennes."""
    return {
        "job_id": job_id,
        "updated_at": f"2012-{updated_at}:00+02:00",
        "unit_code": "UI_RENNES",
        "kind": "repair",
        "market": "fixe",
        "department_code": "35",
        "requested_at": "2012-04-23T08:00:00+02:00",
    } | {
        column: f"2012-{value}:00+02:00" if column in INSTANTS else value for column, value in columns.items()
    }


INSTANTS = ("requested_at", "first_slot_offered_at", "slot_start", "slot_end", "arrived_at", "closed_at")
SLOT = {
    "first_slot_offered_at": "04-25T08:00",
    "slot_start": "04-25T08:00",
    "slot_end": "04-25T10:00",
}
INSTALLED = state(
    "INSTALLED",
    "04-25T10:30",
    kind="installation",
    line_ref="L1",
    arrived_at="04-25T09:00",
    closed_at="04-25T10:00",
    result="done",
    **SLOT,
)
FAULT_AFTER = state("FAULT_AFTER", "04-25T18:00", line_ref="L1", requested_at="04-25T17:00")
UNPLACED = state(
    "UNPLACED",
    "04-26T09:00",
    department_code="99",
    unit_code="UI_NOWHERE",
    requested_at="04-26T08:00",
    slot_start="04-27T08:00",
    slot_end="04-27T10:00",
)
EXTRACTS = {
    TUESDAY: [
        state("INSTALLED", "04-24T09:00", kind="installation", line_ref="L1", **SLOT),
        state("LEARNED", "04-24T11:00", requested_at="04-24T10:00"),
    ],
    WEDNESDAY: [
        INSTALLED,
        FAULT_AFTER,
        state("REOPENED", "04-25T12:30", line_ref="L3", closed_at="04-25T12:00", result="done"),
    ],
    # What happened before Wednesday is reported after it; Tuesday's news is reported_twice, and differently.
    THURSDAY: [
        state("REOPENED", "04-23T09:00", line_ref="L3"),
        state("LEARNED", "04-24T11:00", requested_at="04-24T10:00", cause_code="reported_twice"),
        UNPLACED,
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose seeds a test may change."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dbt_project", "expectations"):
        shutil.copytree(PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(module_warehouse: Settings, project: Path) -> Iterator[Settings]:
    """Three extracts, loaded and built; the tests below build on each other."""
    settings = replace(module_warehouse, project=project)
    lines = [
        {"month": "2012-04", "department_code": department, "market": market, "lines": lines}
        for department, market, lines in (("35", "fixe", 100), ("35", "open", 50), ("29", "fixe", 10))
    ]
    deliver(settings, date(2012, 4, 2), lines, ACTIVE_LINES)
    for day, states in EXTRACTS.items():
        deliver(settings, day, states)
    build(settings)
    yield settings


def deliver(settings: Settings, day: date, states: list[State], feed: Any = INTERVENTIONS) -> None:
    """Write and load a delivery; one of a day that was loaded before is a restatement."""
    folder = Path(settings.landing) / feed.name / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{feed.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in feed.file_columns])
        writer.writeheader()
        writer.writerows(states)
    outcome = ingest(settings, feed.name, day)
    assert outcome.status == "published", outcome.message


def one(settings: Settings, columns: str, job_id: str) -> tuple:
    """Columns of a job as BI reads them."""
    [found] = rows(settings, f"select {columns} from marts.fct_interventions where job_id = '{job_id}'")
    return found


def figures(settings: Settings, columns: str, day: date, kind: str = "repair") -> tuple:
    """Columns of Bretagne on a date."""
    [found] = rows(
        settings,
        f"select {columns} from {MART} "
        f"where business_date = '{day}' and region_code = '53' and kind = '{kind}'",
    )
    return found


def recomputed(settings: Settings) -> dict[str, list[Any]]:
    """What the newest build marked: dates by subject."""
    found = rows(
        settings,
        "select feed, array_agg(business_date order by business_date) from ops.build_date "
        "where build_id = (select max(build_id) from ops.build) group by feed",
    )
    return {subject: dates for subject, dates in found if subject.startswith("intervention")}


def written(settings: Settings) -> dict[str, int]:
    """The transaction that wrote each job that BI reads."""
    return dict(rows(settings, "select job_id, xmin::text::bigint from marts.fct_interventions"))


@contextmanager
def wrong_ledger(settings: Settings, day: date) -> Iterator[None]:
    """Meanwhile the ledger has one row more than the extract, which a test of the build notices."""

    def shift(rows: int) -> None:
        with connect(settings, "admin") as connection:
            connection.execute(
                "update ops.delivery set rows_read = rows_read + %s, rows_published = rows_published + %s "
                "where feed = 'interventions' and business_date = %s and status = 'published'",
                [rows, rows, day],
            )

    shift(1)
    yield
    shift(-1)


def assert_equals_full_refresh(settings: Settings) -> None:
    incremental = marts(settings)
    build(settings, full_refresh=True)
    refreshed = marts(settings)
    for name in refreshed:  # a difference names its mart
        assert incremental[name] == refreshed[name], name


def test_a_job_is_its_newest_state(built: Settings) -> None:
    assert one(built, "result, closed_date, state_count, business_date", "REOPENED") == (
        "done",
        WEDNESDAY,
        2,
        WEDNESDAY,
    )
    # The earlier of two extracts keeps a state that both brought.
    assert one(built, "cause_code, state_count, duplicate_state_count, business_date", "LEARNED") == (
        None,
        1,
        1,
        TUESDAY,
    )
    assert one(built, "region_code, directorate_code, is_known_unit, unit_directorate_code", "UNPLACED") == (
        "unknown",
        "unknown",
        False,
        "unknown",
    )
    assert one(built, "is_identified, next_repair_requested_at", "INSTALLED") == (
        False,
        datetime(2012, 4, 25, 15, tzinfo=UTC),
    )


def test_figures_of_a_region(built: Settings) -> None:
    installations = (
        "requested_count, closed_count, done_with_line_count, first_time_right_count, promised_slot_count, "
        "appointment_kept_count, supply_days::text, open_job_stock, active_line_stock"
    )
    assert figures(built, installations, TUESDAY, "installation") == (0, 0, 0, 0, 0, 0, "0.000000", 1, None)
    assert figures(built, installations, WEDNESDAY, "installation") == (0, 1, 1, 0, 1, 1, "2.083333", 0, None)
    repairs = (
        "requested_count, requested_after_installation_count, closed_count, repair_count, "
        "repair_hours::text, open_job_stock, active_line_stock"
    )
    # REOPENED was requested on the day before the first extract: it counts as open, not as requested.
    assert figures(built, repairs, TUESDAY) == (1, 0, 0, 0, "0.000000", 2, 160)
    assert figures(built, repairs, WEDNESDAY) == (1, 1, 1, 1, "52.000000", 2, 160)
    assert rows(
        built,
        f"select min(business_date), max(business_date), sum(requested_count) from {MART}",
    ) == [(TUESDAY, THURSDAY, 3)]


def test_late_job_states_recompute_only_the_affected_jobs_and_dates(built: Settings) -> None:
    before = written(built)
    deliver(
        built,
        IN_JUNE,
        [
            state("REOPENED", "06-04T09:00", line_ref="L3"),
            state("LEARNED", "06-04T09:00", requested_at="04-24T10:00", customer_ref="C1", line_ref="L4"),
        ],
    )
    build(built)
    after = written(built)
    assert {job for job in after if after[job] != before.get(job)} == {"REOPENED", "LEARNED"}
    assert recomputed(built) == {
        "interventions": [IN_JUNE],
        "intervention_events": [date(2012, 4, 23), TUESDAY, WEDNESDAY, IN_JUNE],
        "intervention_times": [WEDNESDAY, IN_JUNE],
    }
    assert one(built, "closed_at, result, state_count", "REOPENED") == (None, None, 3)
    assert one(built, "is_identified", "LEARNED") == (True,)
    assert figures(built, "closed_count, open_job_stock", WEDNESDAY) == (0, 3)
    assert figures(built, "open_job_stock", IN_JUNE) == (3,)
    # A job on a line makes the line's other jobs change, and so does one that leaves it.
    before = written(built)
    deliver(built, A_SUNDAY, [state("FAULT_AFTER", "06-05T09:00", line_ref="L4")])
    build(built)
    after = written(built)
    assert {job for job in after if after[job] != before[job]} == {"FAULT_AFTER", "INSTALLED", "LEARNED"}
    assert one(built, "next_repair_requested_at", "INSTALLED") == (None,)
    assert figures(built, "first_time_right_count", WEDNESDAY, "installation") == (1,)


def test_what_others_tell_of_a_date_waits_for_its_own_extract(built: Settings) -> None:
    """Without it figures are null, not few, and the week is not whole; the lines are known."""
    columns = "is_interventions_complete, requested_count, done_count, open_job_stock, active_line_stock"
    times = (
        "select hours, job_count from marts.mart_intervention_time_histogram_daily "
        f"where business_date = '{SUNDAY}'"
    )
    week = (
        "select day_count, is_whole_period, requested_count, mean_active_line_stock::float "
        "from marts.mart_intervention_region_kind_weekly "
        f"where region_code = '53' and kind = 'repair' and period_start_date = '{SUNDAY - timedelta(days=6)}'"
    )
    told = state(
        "TOLD",
        "04-30T09:00",
        requested_at="04-29T08:00",
        closed_at="04-29T11:30",
        result="done",
        line_ref="L9",
        customer_ref="C9",
    )
    across = (
        "select is_calls_complete, is_boutique_visits_complete, is_interventions_complete, "
        "customer_answered_count, customer_visit_count, customer_closed_count, call_after_job_30d_count "
        f"from marts.mart_cross_channel_daily where business_date = '{SUNDAY}'"
    )
    deliver(built, MONDAY, [told])
    build(built)
    assert figures(built, columns, SUNDAY) == (False, None, None, None, 160)
    assert figures(built, columns, MONDAY) == (True, 0, 0, 3, 160)
    assert rows(built, times) == rows(built, across) == []
    assert rows(built, week) == [(3, False, 1, 160.0)]
    deliver(built, SUNDAY, [])
    build(built)
    assert figures(built, columns, SUNDAY) == (True, 1, 1, 3, 160)
    assert rows(built, times) == [(4, 1)]
    assert rows(built, across) == [(False, False, True, None, None, 1, 0)]
    assert rows(built, week) == [(4, False, 2, 160.0)]
    [(delivery_id,)] = rows(
        built,
        f"select delivery_id from ops.delivery where feed = 'interventions' and business_date = '{MONDAY}'",
        "admin",
    )
    withdraw(built, delivery_id, "a test")


@pytest.mark.soak
def test_a_job_disappears_and_a_build_fails_in_between(built: Settings) -> None:
    """Wednesday is sent again without REOPENED's closing and without one job, the Sunday without anything."""
    before = marts(built)
    deliver(built, A_SUNDAY, [])
    deliver(built, WEDNESDAY, [INSTALLED])
    with wrong_ledger(built, WEDNESDAY), pytest.raises(BuildFailed, match="states_add_up_to_the_ledger"):
        build(built)
    assert marts(built) == before
    build(built)
    assert rows(built, "select job_id from marts.fct_interventions order by 1") == [
        ("INSTALLED",),
        ("LEARNED",),
        ("REOPENED",),
        ("UNPLACED",),
    ]
    assert one(built, "state_count", "REOPENED") == (2,)
    assert figures(built, "requested_count, open_job_stock", WEDNESDAY) == (0, 2)
    # The extract that kept LEARNED's first state no longer has it: the later one's counts.
    deliver(built, TUESDAY, EXTRACTS[TUESDAY][:1])
    build(built)
    assert one(built, "state_count, duplicate_state_count", "LEARNED") == (2, 0)
    assert rows(built, "select count(*) from ops.build_job") == [(0,)]
    assert_equals_full_refresh(built)


@pytest.mark.soak
def test_a_full_refresh_that_fails_halfway_forgets_nothing(built: Settings) -> None:
    """The jobs divide by zero when their states are already new and BI's jobs still old."""
    deliver(built, THURSDAY, EXTRACTS[THURSDAY][:2])
    [facts] = (built.project / "dbt_project" / "models").rglob("fct_interventions.sql")
    sound = facts.read_text()
    assert sound.endswith("select * from final\n")
    facts.write_text(f"{sound}where 1 / (random() * 0)::integer = 1\n")
    with pytest.raises(BuildFailed, match="fct_interventions"):
        build(built, full_refresh=True)
    assert rows(built, "select count(*) from intermediate.int_intervention_jobs") == [(3,)]
    assert rows(built, "select count(*) from build.fct_interventions") == [(4,)]
    facts.write_text(sound)
    build(built)
    assert rows(built, "select count(*) from marts.fct_interventions") == [(3,)]
    assert rows(
        built, f"select distinct region_code from {MART} where requested_count + promised_slot_count > 0"
    ) == [("53",)]


@pytest.mark.soak
def test_a_department_moves_to_another_directorate_from_a_date(built: Settings) -> None:
    """Its open jobs go along on that date; only what was requested from it on is read again."""
    deliver(built, THURSDAY, [UNPLACED | {"department_code": "35", "unit_code": "UI_BREST"}])
    build(built)
    before = written(built)
    move = {
        "department_directorate": (
            "35,OUEST,1990-01-01,,high",
            f"35,OUEST,1990-01-01,{THURSDAY},high\n35,SUD_OUEST,{THURSDAY},,inferred",
        ),
        "zones": ("53,53,OUEST,", "53-SO,53,SUD_OUEST,Europe/Paris,FR\n53,53,OUEST,"),
        "routing_zones": ("35,53,1990-01-01,", f"35,53,1990-01-01,{THURSDAY}\n35,53-SO,{THURSDAY},"),
    }
    for name, (old, new) in move.items():
        path = built.project / "dbt_project" / "seeds" / f"{name}.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    build(built)
    after = written(built)
    assert {job for job in after if after[job] != before[job]} == {"UNPLACED"}
    assert one(built, "directorate_code, unit_directorate_code", "UNPLACED") == ("SUD_OUEST", "OUEST")
    assert rows(
        built,
        f"select business_date, directorate_code, open_job_stock, active_line_stock from {MART} "
        "where region_code = '53' and kind = 'repair' and open_job_stock > 0 "
        f"and business_date between '{WEDNESDAY}' and '{THURSDAY}' order by 1",
    ) == [(WEDNESDAY, "OUEST", 2, 160), (THURSDAY, "SUD_OUEST", 3, 150)]
    assert_equals_full_refresh(built)


@pytest.mark.soak
def test_any_order_of_arrival_ends_in_the_same_marts(warehouse: Settings) -> None:
    """Random histories on few lines, late and repeated; most extracts are delivered again with changes."""
    chance = random.Random(11)
    days = [TUESDAY + timedelta(days=day) for day in (0, 1, 2, 3, 6, 41)]
    extracts: dict[date, dict[tuple[str, str], State]] = {day: {} for day in days}
    for number in range(60):
        for update in history(f"J{number}", chance):
            for _ in range(chance.choice((1, 1, 1, 2))):
                extract = extracts[chance.choice(days)]
                reported = update | {"cause_code": chance.choice("ab")}
                extract[reported["job_id"], reported["updated_at"]] = reported
    arrivals = [(day, list(states.values())) for day, states in extracts.items()]
    earlier = [(day, chance.sample(states, len(states) * 2 // 3)) for day, states in arrivals[:4]]
    chance.shuffle(earlier)
    chance.shuffle(arrivals)
    for number, (day, states) in enumerate(earlier + arrivals, start=1):
        deliver(warehouse, day, states)
        if number in (3, 6):
            build(warehouse)
        elif number == 8:
            with wrong_ledger(warehouse, day), pytest.raises(BuildFailed):
                build(warehouse)
    build(warehouse)
    [(jobs, states)] = rows(
        warehouse, "select count(*), sum(state_count + duplicate_state_count) from marts.fct_interventions"
    )
    assert (jobs, states) == (60, sum(len(extract) for extract in extracts.values()))
    assert rows(
        warehouse,
        "select sum(requested_after_installation_count) > 0 from intermediate.agg_interventions_daily",
    ) == [(True,)]
    [(complete,)] = rows(
        warehouse,
        f"select count(distinct business_date) filter (where is_interventions_complete) from {MART}",
    )
    assert complete == len(days)
    assert_equals_full_refresh(warehouse)


def history(job_id: str, chance: random.Random) -> Iterator[State]:
    """States of a job: requested, promised, moved, closed, and seen again."""
    now = datetime(2012, 4, 24, tzinfo=UTC) + timedelta(minutes=chance.randrange(3 * 1440))
    job: State = {
        "job_id": job_id,
        "unit_code": chance.choice(("UI_RENNES", "UI_NOWHERE")),
        "kind": chance.choice(("installation", "repair", "repair")),
        "market": "internet",
        "department_code": chance.choice(("35", "29", "26", "99")),
        "requested_at": now.isoformat(),
    }
    for _ in range(chance.randint(1, 6)):
        now += timedelta(minutes=chance.choice((30, 600, 3000, 20_000)))
        change = chance.choice(("slot", "slot", "close", "close", "reopen", "line", "customer", "department"))
        if change == "slot":
            start = now + timedelta(hours=chance.randint(1, 30))
            job |= {
                "slot_start": start.isoformat(),
                "slot_end": (start + timedelta(hours=2)).isoformat(),
                "rescheduled_by": chance.choice(("customer", "operator", "")),
            }
        elif change == "close":
            job |= {
                "arrived_at": (now - timedelta(minutes=20)).isoformat(),
                "closed_at": now.isoformat(),
                "result": chance.choice(
                    ("done", "done", "customer_absent", "technician_absent", "cancelled")
                ),
            }
        elif change == "reopen":
            job |= {"arrived_at": "", "closed_at": "", "result": ""}
        elif change == "line":
            job |= {"line_ref": f"L{chance.randrange(12)}"}
        elif change == "customer":
            job |= {"customer_ref": f"C{chance.randrange(9)}"}
        else:
            job |= {"department_code": chance.choice(("35", "29", "26"))}
        yield job | {"updated_at": now.isoformat()}
