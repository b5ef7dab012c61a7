"""Restates each DAG's properties, so that a change of schedule, owner or limits is a deliberate decision."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from parc.feeds import FACTS, FEEDS, REFERENCES
from parc.findings import FindingKind
from parc.host import services
from parc.settings import PROJECT

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Decided:
    """What a DAG is: cron in Europe/Paris, and per task its pool, tries after the first, and time limit."""

    cron: str
    owner: str
    run_hours: int
    tasks: dict[str, tuple[str, int, timedelta | None]]
    tags: set[str]
    params: set[str]
    retry_delay: timedelta
    max_active_runs: int = 1
    overdue_after: timedelta | None = None


def ingest(feed: str, cron: str, owner: str) -> Decided:
    tasks = {
        "wait": ("default_pool", 5, 5 * MINUTE),
        "load": ("warehouse_load", 2, 6 * HOUR),
        "report": ("default_pool", 0, 5 * MINUTE),
    }
    params = {"first_date", "last_date", "accept_date"}
    return Decided(cron, owner, 12, tasks, {"ingest", feed}, params, 2 * MINUTE, max_active_runs=3)


EXPECTED = {
    "ingest_numbering_plan": ingest("numbering_plan", "0 1 * * *", "routing"),
    "ingest_line_assignments": ingest("line_assignments", "10 1 * * *", "routing"),
    "ingest_active_lines": ingest("active_lines", "20 1 * * *", "customer-service"),
    "ingest_boutiques": ingest("boutiques", "30 1 * * *", "retail"),
    "ingest_calls": ingest("calls", "0 2 * * *", "customer-service"),
    "ingest_boutique_visits": ingest("boutique_visits", "10 2 * * *", "retail"),
    "ingest_interventions": ingest("interventions", "20 2 * * *", "field-service"),
    "ingest_late": Decided(
        cron="10,40 5-23 * * *",
        owner="data-platform",
        run_hours=3,
        tasks={"load": ("warehouse_load", 2, 2 * HOUR), "report": ("default_pool", 0, 5 * MINUTE)},
        tags={"ingest", "late"},
        params={"first_date", "last_date", "accept_date"},
        retry_delay=2 * MINUTE,
    ),
    "build_marts": Decided(
        cron="0 5 * * *",
        owner="data-platform",
        run_hours=5,
        tasks={"build_marts": ("dbt", 3, HOUR)},
        tags={"marts"},
        params={"full_refresh"},
        retry_delay=2 * MINUTE,
        overdue_after=HOUR,
    ),
    "export_routing": Decided(
        cron="0 6 * * *",
        owner="routing",
        run_hours=20,
        tasks={
            "plan_release": ("default_pool", 0, 30 * MINUTE),
            "approve": ("default_pool", 1, 30 * MINUTE),  # a person's time is its response_timeout
            "apply_release": ("default_pool", 0, 30 * MINUTE),
        },
        tags={"routing", "switch"},
        params={"business_date"},
        retry_delay=timedelta(seconds=5),
        overdue_after=2 * HOUR,
    ),
    "back_up": Decided(
        cron="0 13 * * *",
        owner="data-platform",
        run_hours=5,
        tasks={"take_backup": ("default_pool", 1, 2 * HOUR)},
        tags={"maintenance"},
        params=set(),
        retry_delay=10 * MINUTE,
    ),
    "maintain_warehouse": Decided(
        cron="0 14 * * 0",
        owner="data-platform",
        run_hours=5,
        tasks=dict.fromkeys(
            ("expire_raw", "unlink_facts", "clear_orphans", "analyze", "prune_history", "prune_data_docs"),
            ("default_pool", 3, HOUR),
        ),
        tags={"maintenance"},
        params={"dry_run"},
        retry_delay=10 * MINUTE,
    ),
    "send_weekly_pages": Decided(
        cron="30 7 * * 1",
        owner="data-platform",
        run_hours=3,
        tasks={"send_pages": ("default_pool", 3, 30 * MINUTE)},
        tags={"weekly"},
        params={"business_date", "send_again"},
        retry_delay=10 * MINUTE,
    ),
}
INGEST = [f"ingest_{feed}" for feed in FEEDS]
TRIGGERED_BY = {
    "build_marts": {
        "raw_calls",
        "raw_boutique_visits",
        "raw_interventions",
        "raw_active_lines",
        "raw_boutiques",
        "raw_numbering_plan",
        "raw_line_assignments",
    },
    "export_routing": {"marts"},
}


def test_exactly_these_dags(dags) -> None:
    assert set(dags) == set(EXPECTED)
    assert set(INGEST) | {"ingest_late"} == {name for name in dags if name.startswith("ingest_")}


def ticks_of(dag):
    """When a DAG runs by the clock, as the scheduler knows it."""
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable

    encoded = encode_timetable(dag.timetable)
    return decode_timetable(encoded["__var"].get("timetable", encoded))


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_dag_is_as_decided(dags, dag_id: str) -> None:
    from airflow.timetables.trigger import CronTriggerTimetable
    from airflow.utils.types import DagRunType
    from pendulum import parse

    decided, dag = EXPECTED[dag_id], dags[dag_id]
    timetable = ticks_of(dag)
    assert isinstance(timetable, CronTriggerTimetable)
    assert timetable._expression == decided.cron
    assert str(timetable._timezone) == "Europe/Paris"
    assert timetable._run_immediately == timedelta(0)
    named = timetable.generate_run_id(
        run_type=DagRunType.SCHEDULED, run_after=parse("2012-04-26T02:00:00Z"), data_interval=None
    )
    assert named == "scheduled__2012-04-26T04:00:00+02:00"
    assert not dag.catchup
    assert dag.max_active_runs == decided.max_active_runs
    assert dag.dagrun_timeout == decided.run_hours * HOUR
    assert set(dag.tags) == decided.tags
    assert set(dag.params) == decided.params
    for section in ("Purpose.", "Grain.", "Late data.", "Rerun.", "Triage."):
        assert f"**{section}**" in dag.doc_md
    found = {task.task_id: (task.pool, task.retries, task.execution_timeout) for task in dag.tasks}
    assert found == decided.tasks
    for task in dag.tasks:
        assert task.owner == decided.owner
        if task.retries:
            assert task.retry_delay == decided.retry_delay


@pytest.mark.parametrize("dag_id", INGEST)
@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2012-04-26T00:00:00+00:00", "2012-04-28T00:00:00+00:00"),  # the form, where it shows UTC
        ("2012-04-25T22:00:00+00:00", "2012-04-27T22:00:00+00:00"),  # where it shows Paris
    ],
)
def test_a_backfill_names_business_dates(dags, dag_id: str, first: str, last: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.timetables.base import TimeRestriction
    from airflow.utils.types import DagRunType
    from pendulum import parse

    from parc.policy import night_of

    range_of_form = TimeRestriction(parse(first), parse(last), catchup=True)
    nights, names, info = [], [], None
    while info := dags[dag_id].timetable.next_dagrun_info_v2(
        last_dagrun_info=info, restriction=range_of_form
    ):
        nights.append(night_of(info.logical_date))
        names.append(
            DagRun.generate_run_id(
                run_type=DagRunType.BACKFILL_JOB, logical_date=None, run_after=info.run_after
            )
        )
    assert nights == [date(2012, 4, 26), date(2012, 4, 27), date(2012, 4, 28)]
    mornings = [f"backfill__{night + timedelta(days=1)}T" for night in nights]
    assert [name[: len("backfill__2012-04-27T")] for name in names] == mornings
    assert all("+02:00" in name for name in names)


def test_a_backfill_of_long_ago_does_not_run_the_last_night(dags) -> None:
    from airflow.timetables.base import DataInterval, TimeRestriction
    from pendulum import instance

    def after(last: datetime) -> datetime:
        interval = DataInterval.exact(instance(last))
        restriction = TimeRestriction(None, None, catchup=False)
        info = dags["ingest_calls"].timetable.next_dagrun_info(
            last_automated_data_interval=interval, restriction=restriction
        )
        return info.run_after

    now = datetime.now(UTC)
    assert after(datetime(2012, 4, 27, tzinfo=UTC)) > now
    assert now - timedelta(days=1) < after(now - timedelta(days=3)) <= now, "the platform was down"


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_nothing_runs_by_the_clock_in_the_demonstration(
    dags, dag_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.timetables.base import TimeRestriction

    def next_run() -> object:
        restriction = TimeRestriction(None, None, catchup=False)
        return ticks_of(dags[dag_id]).next_dagrun_info(
            last_automated_data_interval=None, restriction=restriction
        )

    monkeypatch.setenv("PARC_HOME", str(tmp_path))
    assert next_run() is not None
    (tmp_path / "demonstration").touch()
    assert next_run() is None


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_every_run_that_fails_is_reported_once(dags, dag_id: str) -> None:
    """One notice a run, from the words that its tasks leave."""
    from parc.orchestration.notice import RunMended, RunNotice, keep_reason

    dag = dags[dag_id]
    assert type(dag.on_failure_callback) is RunNotice
    # A run of export_routing also succeeds when it leaves its work to the next: its tasks end its notices.
    assert (type(dag.on_success_callback) is RunMended) == (dag_id != "export_routing")
    notice = dag.on_failure_callback
    kind = {
        "build_marts": FindingKind.BUILD_RUN_FAILED,
        "export_routing": FindingKind.RELEASE_RUN_FAILED,
        "back_up": FindingKind.BACKUP_RUN_FAILED,
        "maintain_warehouse": FindingKind.MAINTENANCE_RUN_FAILED,
        "send_weekly_pages": FindingKind.WEEKLY_RUN_FAILED,
        "ingest_late": FindingKind.LATE_RUN_FAILED,
    }.get(dag_id, FindingKind.INGEST_RUN_FAILED)
    assert notice.kind is kind and notice.impact and notice.remedy
    is_of_feed = kind is FindingKind.INGEST_RUN_FAILED
    assert notice.feed == (dag_id.removeprefix("ingest_") if is_of_feed else None)
    for task in dag.tasks:
        assert list(task.on_failure_callback) == [keep_reason]
    reported = {alert.callback.path: alert.interval for alert in dag.deadline or []}
    after = EXPECTED[dag_id].overdue_after
    assert reported == ({"parc.orchestration.notice.overdue": after} if after else {})


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_tasks_end_before_their_run_does(dags, dag_id: str) -> None:
    dag = dags[dag_id]
    longest = sum((task.execution_timeout or timedelta(0) for task in dag.tasks), timedelta(0))
    assert longest <= dag.dagrun_timeout + timedelta(hours=1)  # not all steps of maintenance are in one row
    if dag_id in INGEST:
        wait = dag.get_task("wait")
        assert timedelta(seconds=wait.timeout) + dag.get_task("load").execution_timeout <= dag.dagrun_timeout


@pytest.mark.parametrize("dag_id", [*INGEST, "ingest_late", "build_marts", "export_routing"])
def test_the_night_goes_before_backfills(dags, dag_id: str) -> None:
    """As the scheduler computes it, from the DAG processor's serialised DAG."""
    from airflow.serialization.serialized_objects import DagSerialization

    kept = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id]))
    for task in kept.tasks:
        weights = [
            task.weight_rule.get_weight(SimpleNamespace(task=task, run_id=f"{kind}__2012-04-26T00:00:00"))
            for kind in ("scheduled", "asset_triggered", "manual", "named_by_a_person", "backfill")
        ]
        assert weights == [100, 100, 10, 10, 1]


def test_pools_are_those_that_are_made(dags) -> None:
    made = json.loads((PROJECT / services.POOLS).read_text())
    used = {task.pool for dag in dags.values() for task in dag.tasks} - {"default_pool"}
    assert used == set(made)
    assert {name: pool["slots"] for name, pool in made.items()} == {"warehouse_load": 3, "dbt": 1}
    compose = (PROJECT / "docker-compose.yml").read_text()
    assert f"airflow pools import {services.POOLS}" in compose


@pytest.mark.parametrize("dag_id", INGEST)
def test_ingest_waits_without_a_slot_and_then_loads(dags, dag_id: str) -> None:
    wait, load, report = (dags[dag_id].get_task(name) for name in ("wait", "load", "report"))
    assert wait.downstream_task_ids == {"load"} and load.downstream_task_ids == {"report"}
    assert wait.reschedule
    assert wait.poke_interval == 300
    assert wait.silent_fail
    assert load.trigger_rule == "all_done"
    assert report.trigger_rule == "none_failed"


@pytest.mark.parametrize("dag_id", TRIGGERED_BY)
def test_dag_is_triggered_by_any_of_its_assets(dags, dag_id: str) -> None:
    condition = dags[dag_id].timetable.asset_condition
    assert type(condition).__name__ == "AssetAny" or len(condition.objects) == 1
    assert {asset.name for asset in condition.objects} == TRIGGERED_BY[dag_id]


@pytest.mark.parametrize("dag_id", INGEST)
def test_ingest_notifies_its_consumers(dags, dag_id: str) -> None:
    outlets = [asset.name for asset in dags[dag_id].get_task("load").outlets]
    assert outlets == [f"raw_{dag_id.removeprefix('ingest_')}"]


def test_ingest_late_notifies_consumers_of_the_feeds_it_found(dags) -> None:
    [outlet] = dags["ingest_late"].get_task("load").outlets
    assert (type(outlet).__name__, outlet.name) == ("AssetAlias", "late_deliveries")


def test_release_needs_a_plan_and_approval_if_required(dags) -> None:
    dag = dags["export_routing"]
    assert dag.get_task("plan_release").downstream_task_ids == {"approve", "apply_release"}
    assert dag.get_task("approve").downstream_task_ids == {"apply_release"}
    assert dag.get_task("apply_release").trigger_rule == "none_failed_min_one_success"
    assert dag.get_task("approve").response_timeout < dag.dagrun_timeout


def test_the_trigger_form_limits_the_number_of_dates() -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from parc.loading.dates import ANY
    from parc.orchestration.ingest import refuse_dates

    days = [date(1990, 1, 1) + timedelta(days=number) for number in range(40_177)]
    refuse_dates(ANY, "calls", days[:1830])
    with pytest.raises(AirflowFailException, match="40,177 dates are too many, 1,830 at most"):
        refuse_dates(ANY, "calls", days)


def test_dag_files_are_short() -> None:
    for path in (PROJECT / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 100, path


def test_references_are_fetched_before_facts() -> None:
    def fetched_at(feed: str) -> tuple[int, int]:
        minute, hour = EXPECTED[f"ingest_{feed}"].cron.split()[:2]
        return int(hour), int(minute)

    assert max(map(fetched_at, REFERENCES)) < min(map(fetched_at, FACTS))


class TestBusinessDates:
    """Which days a run works on."""

    def dates(self, logical_date: datetime | None, **params: str | None) -> list[date]:
        from parc.orchestration.ingest import dates_to_load

        return dates_to_load({"params": params, "dag_run": SimpleNamespace(logical_date=logical_date)})

    @pytest.mark.parametrize(
        ("tick", "night"),
        [
            (datetime(2012, 4, 26, 0, 0, tzinfo=UTC), date(2012, 4, 25)),
            (datetime(2012, 3, 24, 23, 30, tzinfo=UTC), date(2012, 3, 24)),  # 00:30 on the 25th in Paris
            (
                datetime(2012, 10, 27, 22, 30, tzinfo=UTC),
                date(2012, 10, 27),
            ),  # 00:30 on the 28th, 25 hours long
        ],
    )
    def test_a_tick_works_on_the_day_before_it_in_paris(self, tick: datetime, night: date) -> None:
        assert self.dates(tick) == [night]

    def test_parameters_name_a_range(self) -> None:
        days = self.dates(None, first_date="2012-04-16", last_date="2012-04-29")
        assert (days[0], days[-1], len(days)) == (date(2012, 4, 16), date(2012, 4, 29), 14)

    def test_one_date_is_enough(self) -> None:
        assert self.dates(None, first_date="2012-04-16", last_date=None) == [date(2012, 4, 16)]

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({}, "trigger it with first_date"),
            ({"first_date": "2012-04-29", "last_date": "2012-04-16"}, "swap them"),
            ({"first_date": "29 April"}, "first_date '29 April' is not a date such as 2012-04-25"),
        ],
    )
    def test_a_run_that_names_no_days_says_so(self, params, message: str) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        with pytest.raises(AirflowFailException, match=message):
            self.dates(None, **params)

    @pytest.mark.parametrize(
        ("tick", "until"),
        [
            (datetime(2012, 4, 26, 0, 0, tzinfo=UTC), datetime(2012, 4, 26, 2, 45, tzinfo=UTC)),
            (datetime(2012, 1, 26, 0, 0, tzinfo=UTC), datetime(2012, 1, 26, 3, 45, tzinfo=UTC)),
            # The nights on which the clocks change: 04:45 in Paris all the same.
            (datetime(2012, 3, 25, 0, 0, tzinfo=UTC), datetime(2012, 3, 25, 2, 45, tzinfo=UTC)),
            (datetime(2012, 10, 28, 0, 0, tzinfo=UTC), datetime(2012, 10, 28, 3, 45, tzinfo=UTC)),
        ],
    )
    def test_a_tick_waits_until_shortly_before_the_marts_are_built(self, tick, until) -> None:
        from parc.policy import waits_until

        assert waits_until(tick) == until

    @pytest.mark.parametrize(
        ("logical_date", "params", "looked_at"),
        [
            (datetime(2012, 4, 26, 5, tzinfo=UTC), {}, (date(2012, 3, 22), date(2012, 4, 25))),
            (None, {}, (date(2012, 3, 23), date(2012, 4, 26))),
            (
                None,
                {"first_date": "2012-01-01", "last_date": "2012-01-31"},
                (date(2012, 1, 1), date(2012, 1, 31)),
            ),
        ],
    )
    def test_ingest_late_looks_back_35_nights(self, logical_date, params, looked_at) -> None:
        from parc.orchestration.late import dates_of

        run = SimpleNamespace(logical_date=logical_date, run_after=datetime(2012, 4, 27, 5, tzinfo=UTC))
        assert dates_of({"params": params, "dag_run": run}) == looked_at
