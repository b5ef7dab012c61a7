"""The task that builds the marts: what it retries, what it does not, and what its log says."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from parc.build import BuildResult
from parc.errors import BuildFailed, Busy, ParcError

Run = Callable[[Any], dict[Any, Any]]


@pytest.fixture
def run(dags: dict, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Run:
    """Run the task with the given build; returns the extras of the events it emits."""
    from parc.orchestration import marts

    caplog.set_level(logging.INFO)

    def run(build: Any, document: Any = None) -> dict[Any, Any]:
        events: dict[Any, Any] = defaultdict(SimpleNamespace)
        context = {"params": {"full_refresh": False}, "outlet_events": events}
        monkeypatch.setattr(marts, "get_current_context", lambda: context)
        monkeypatch.setattr("parc.build.build", build)
        monkeypatch.setattr("parc.build.document", document or (lambda _: None))
        dags["build_marts"].get_task("build_marts").python_callable()
        return {asset.name: event.extra for asset, event in events.items()}

    return run


def raising(error: Exception) -> Callable[..., BuildResult]:
    def build(*_: Any, **__: Any) -> BuildResult:
        raise error

    return build


def test_a_failed_build_is_not_tried_again_and_says_all(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    reason = "build 12: 1 of 119 nodes failed\n\nmodel fct_calls: division by zero"
    with pytest.raises(AirflowFailException) as failure:
        run(raising(BuildFailed(reason)))
    assert str(failure.value) == reason
    assert failure.value.__suppress_context__
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == reason.splitlines()


@pytest.mark.parametrize("error", [Busy("another build runs"), psycopg.OperationalError("it went away\n")])
def test_another_build_or_a_lost_warehouse_is_tried_again(run: Run, error: Exception) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(ParcError) as failure:
        run(raising(error))
    assert not isinstance(failure.value, AirflowFailException)
    assert str(failure.value) == str(error).strip()


def test_nothing_to_build_is_skipped(run: Run) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="already hold"):
        run(lambda *_, **__: BuildResult(None))


def test_the_log_folds_the_nodes_and_sums_up(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    gap = {"feed": "calls", "business_date": "2012-04-30", "due_at": "2012-05-01T02:00:00+00:00"}

    def build(*_: Any, progress: Any, **__: Any) -> BuildResult:
        progress("fct_calls success 0.42 s", 12, 131)
        return BuildResult(
            7,
            delivery_count=1,
            date_count=1,
            nodes_by_status={"success": 130, "warn": 1},
            seconds_by_node={f"node_{number}": number / 10 for number in range(1, 10)},
            missing=[gap | {"status": "missing"}],
        )

    [event] = run(build).values()
    assert event == {"build_id": 7, "delivery_count": 1, "date_count": 1}
    opened, line, closed, *after = [record.message for record in caplog.records]
    assert opened.startswith("::group::") and closed == "::endgroup::"
    assert line == "12/131 fct_calls success 0.42 s"
    assert after == [
        "build 7 published: 1 delivery, 1 day, 0 rows in 0 marts",
        "built without calls 2012-04-30, due 2012-05-01 04:00 Paris: it is built when it arrives",
        "dbt: 130 success, 1 warn; slowest: "
        "node_9 0.9 s, node_8 0.8 s, node_7 0.7 s, node_6 0.6 s, node_5 0.5 s",
    ]


def test_a_failed_page_is_reported_without_failing_the_task(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    [event] = run(lambda *_, **__: BuildResult(7), raising(Busy("another build runs"))).values()
    assert event["build_id"] == 7
    assert caplog.messages[-1] == "the dbt project's page was not renewed: another build runs"
