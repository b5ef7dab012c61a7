"""What each DAG is, said once more: a change of schedule, owner or limits is a decision, not a slip."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from parc.settings import PROJECT

# dag_id -> (cron, Europe/Paris; owner; max_active_runs; retries; tasks)
EXPECTED = {
    "ingest_numbering_plan": ("0 1 * * *", "routing", 2, 2, ["load", "report"]),
    "ingest_line_assignments": ("10 1 * * *", "routing", 2, 2, ["load", "report"]),
    "ingest_active_lines": ("20 1 * * *", "customer-service", 2, 2, ["load", "report"]),
    "ingest_boutiques": ("30 1 * * *", "retail", 2, 2, ["load", "report"]),
    "ingest_calls": ("0 2 * * *", "customer-service", 2, 2, ["load", "report"]),
    "ingest_boutique_visits": ("10 2 * * *", "retail", 2, 2, ["load", "report"]),
    "ingest_interventions": ("20 2 * * *", "field-service", 2, 2, ["load", "report"]),
    "build_marts": ("0 5 * * *", "data-platform", 1, 1, ["build_marts"]),
    "export_routing": ("0 6 * * *", "routing", 1, 0, ["plan_release", "approve", "apply_release"]),
}
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


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_dag_is_as_decided(dags, dag_id: str) -> None:
    cron, owner, max_active_runs, retries, tasks = EXPECTED[dag_id]
    dag = dags[dag_id]
    timetable = getattr(dag.timetable, "timetable", dag.timetable)
    assert timetable.expression == cron
    assert str(timetable.timezone) == "Europe/Paris"
    assert dag.max_active_runs == max_active_runs
    assert not dag.catchup
    assert dag.dagrun_timeout
    assert dag.tags
    assert [task.task_id for task in dag.topological_sort()] == tasks
    for task in dag.tasks:
        assert task.owner == owner
        assert task.execution_timeout or task.task_id == "approve"
    assert dag.tasks[0].retries == retries
    for section in ("Purpose.", "Grain.", "Late data.", "Rerun.", "Triage."):
        assert f"**{section}**" in dag.doc_md


@pytest.mark.parametrize("dag_id", TRIGGERED_BY)
def test_dag_is_triggered_by_any_of_its_assets(dags, dag_id: str) -> None:
    condition = dags[dag_id].timetable.asset_condition
    assert type(condition).__name__ == "AssetAny" or len(condition.objects) == 1
    assert {asset.name for asset in condition.objects} == TRIGGERED_BY[dag_id]


@pytest.mark.parametrize("dag_id", [dag_id for dag_id in EXPECTED if dag_id.startswith("ingest_")])
def test_ingest_tells_its_consumers(dags, dag_id: str) -> None:
    outlets = [asset.name for asset in dags[dag_id].get_task("load").outlets]
    assert outlets == [f"raw_{dag_id.removeprefix('ingest_')}"]


def test_the_feeds_of_the_dags_are_the_declared_ones(dags) -> None:
    from parc.feeds import FEEDS

    assert {f"ingest_{feed}" for feed in FEEDS} == {name for name in dags if name.startswith("ingest_")}


def test_dag_files_are_short() -> None:
    for path in (PROJECT / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 100, path


class TestBusinessDates:
    """Which days a run works on."""

    def dates(self, logical_date: datetime | None, **params: str | None) -> list[date]:
        from parc.orchestration.dates import business_dates

        return business_dates({"params": params, "dag_run": SimpleNamespace(logical_date=logical_date)})

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
        ],
    )
    def test_a_run_that_names_no_days_says_so(self, params, message: str) -> None:
        from airflow.sdk.exceptions import AirflowFailException

        with pytest.raises(AirflowFailException, match=message):
            self.dates(None, **params)


def test_nothing_is_imported_that_a_dag_file_does_not_need() -> None:
    """Parsing a DAG costs what it imports: the heavy libraries come when a task runs."""
    import subprocess
    import sys

    program = (
        "import sys; sys.path.insert(0, 'dags'); import ingest, build_marts, export_routing; "
        "print([m for m in ('polars', 'great_expectations', 'dbt', 'adbc_driver_postgresql', 'pandas') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_timeouts_are_nested(dags) -> None:
    for dag in dags.values():
        for task in dag.tasks:
            assert (task.execution_timeout or timedelta(0)) <= dag.dagrun_timeout
