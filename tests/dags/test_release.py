"""How the answer to an approval affects the release: only Airflow's own record counts, not an XCom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from parc import routing
from parc.errors import ApprovalNeeded
from parc.settings import Settings
from support.routing_world import EVE, QUIET, fill

RUN = "manual__1"
ANSWERED_AT = datetime(2012, 4, 25, 7, 30, tzinfo=UTC)
FORGED = {"chosen_options": ["Approve"], "responded_by_user": {"id": "1", "name": "The Director"}}


class Run:
    """A run of export_routing on a warehouse, as a person triggered it."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, user: str | None) -> None:
        from parc.orchestration import release

        self.settings = settings
        self.release = release
        self.questions: list[Any] = []
        self.question = uuid4()
        self.states = {"approve": "success"}
        ti = SimpleNamespace(
            dag_id="export_routing",
            run_id=RUN,
            task_id="any",
            id=self.question,
            xcom_pull=lambda **_: FORGED,
            get_task_states=lambda **_: {RUN: self.states},
        )
        run = SimpleNamespace(
            dag_id="export_routing", run_id=RUN, run_type="manual", triggering_user_name=user
        )
        self.context = {"ti": ti, "dag_run": run, "params": {"business_date": str(EVE)}}
        monkeypatch.setattr(release, "get_current_context", lambda: self.context)
        monkeypatch.setattr(release.HITLOperator, "execute", lambda asked, _: self.questions.append(asked))
        monkeypatch.setattr(release.HITLOperator, "execute_complete", lambda *_: FORGED)

    def ask(self) -> Any:
        release = self.release.approve_release()
        release.execute(self.context)
        return release

    def answer(self, operator: Any, name: str | None, *options: str) -> None:
        """As Airflow's server resumes the task: with the answer that it recorded."""
        user = {"id": name, "name": name} if name else None
        event = {
            "chosen_options": list(options),
            "params_input": {},
            "responded_by_user": user,
            "responded_at": ANSWERED_AT if name else None,
            "timedout": not name,
        }
        operator.execute_complete(self.context, event)

    def apply(self) -> None:
        self.release.apply_release.function()

    def released(self) -> list[tuple[Any, ...]]:
        from parc.warehouse import connect

        with connect(self.settings, "reader") as connection:
            return connection.execute(
                "select requested_by, approved_by, approved_at, dag_id, run_id from ops.routing_release "
                "where effective_date = '2012-04-25'"
            ).fetchall()


@pytest.fixture
def live(warehouse: Settings, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The table of a quiet day is live; Bretagne's go-live the day after waits for a person."""
    monkeypatch.setenv("PARC_HOME", str(warehouse.home))
    monkeypatch.setenv("PARC_SWITCH", warehouse.switch)
    monkeypatch.setenv("PARC_WAREHOUSE_DSN", str(warehouse.warehouse_dsn))
    fill(warehouse)
    routing.apply(warehouse, QUIET, requested_by="night", reason="first table", bootstrap=True)
    return warehouse


@pytest.fixture
def run(live: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    yield Run(live, monkeypatch, "Bernard")


def test_the_question_shows_the_plan_and_the_answer_is_recorded(run: Run) -> None:
    plan = routing.plan(run.settings, EVE)
    operator = run.ask()
    assert (operator.subject, operator.body) == (routing.subject(plan), routing.render_markdown(plan))
    assert not operator.assigned_users
    run.answer(operator, "Anne", "Approve")
    run.apply()
    assert run.released() == [("Bernard", "Anne", ANSWERED_AT, "export_routing", RUN)]


def test_a_forged_xcom_approves_nothing(run: Run) -> None:
    """Nobody answered: `approve` was marked as done, and an answer written into its XCom."""
    run.ask()
    with pytest.raises(ApprovalNeeded):
        run.apply()
    assert run.released() == []


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [("Anne", ["Reject"], "was rejected by Anne"), (None, ["Reject"], "was not approved in time")],
)
def test_a_rejected_release_says_that_the_switch_keeps_its_table(
    run: Run, name: str | None, options: list[str], reason: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    run.answer(run.ask(), name, *options)
    with pytest.raises(AirflowSkipException, match=f"2012-04-25 {reason}; the switch keeps its table"):
        run.apply()
    assert run.released() == []


def test_a_reason_given_in_airflow_is_kept(run: Run) -> None:
    operator = run.ask()
    event = {
        "chosen_options": ["Reject"],
        "params_input": {"reason": "Rennes has no staff"},
        "responded_by_user": {"id": "1", "name": "Anne"},
        "responded_at": ANSWERED_AT,
    }
    operator.execute_complete(run.context, event)
    assert str(routing.status(run.settings).last_answer) == (
        "rejected by Anne on 2012-04-25 09:30 Paris (Rennes has no staff)"
    )


def waits(run: Run) -> Any:
    """The trigger that waits for the answer to a question; Airflow has none."""
    from parc.orchestration.answer import AnswerTrigger

    given = {"options": ["Approve", "Reject"], "params": {}, "timeout_datetime": None, "poke_interval": 0.01}
    trigger = AnswerTrigger(dag_id="export_routing", ti_id=run.question, **given)
    path, kept = trigger.serialize()
    assert path == "parc.orchestration.answer.AnswerTrigger"
    return AnswerTrigger(**kept)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs are queued: the last entry. Nobody answers in Airflow."""
    from airflow.providers.standard.triggers.hitl import HITLTrigger
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    async def silence(_: HITLTrigger) -> AsyncIterator[Any]:
        await asyncio.sleep(600)
        yield None

    counts = [0]
    monkeypatch.setattr(HITLTrigger, "run", silence)
    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", lambda *_, **__: counts[-1])
    return counts


def event_of(trigger: Any) -> dict[str, Any]:
    async def first() -> Any:
        return await anext(trigger.run())

    return asyncio.run(asyncio.wait_for(first(), 20)).payload


def test_an_approval_on_the_command_line_ends_the_question(run: Run, queued: list[int]) -> None:
    operator = run.ask()
    trigger = waits(run)
    assert trigger.end() is None
    plan = routing.plan(run.settings, EVE)
    routing.apply(
        run.settings, EVE, requested_by="Anne", reason="r", approve=plan.plan_hash, approved_by="Anne"
    )
    event = event_of(trigger)
    assert event == {"end": "answered"}
    operator.execute_complete(run.context, event)
    run.apply()  # the switch holds it already
    assert [row[1] for row in run.released()] == ["Anne"]


def test_a_queued_run_ends_the_question_and_plans_again(run: Run, queued: list[int]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    operator = run.ask()
    queued.append(1)
    event = event_of(waits(run))
    assert event == {"end": "superseded"}
    operator.execute_complete(run.context, event)
    with pytest.raises(AirflowSkipException, match="was not answered before another run was queued"):
        run.apply()
    assert routing.status(run.settings).question is None and run.released() == []


def test_an_answer_from_before_the_run_was_cleared_does_not_count(run: Run) -> None:
    run.answer(run.ask(), "Anne", "Approve")
    run.states = {"approve": "skipped"}
    with pytest.raises(ApprovalNeeded):
        run.apply()


@pytest.mark.parametrize(
    ("run_type", "is_building", "is_skipped"),
    [("manual", True, True), ("asset_triggered", False, True), ("scheduled", False, False)],
)
def test_a_run_during_a_build_is_skipped_and_not_failed(
    run: Run, run_type: str, is_building: bool, is_skipped: bool
) -> None:
    """Feeds that are triggered by hand: a build ends and starts this run while the next build begins."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from parc.ledger import locks
    from parc.warehouse import connect

    run.context["dag_run"].run_type, run.context["dag_run"].logical_date = run_type, ANSWERED_AT
    with connect(run.settings, "admin") as connection:
        connection.execute("update ops.delivery set built_in = null where feed = 'line_assignments'")
    with connect(run.settings, "transformer", autocommit=True) as connection, ExitStack() as held:
        if is_building:
            held.enter_context(locks.held(connection, locks.BUILD, "busy"))
        with pytest.raises(
            AirflowSkipException if is_skipped else AirflowFailException,
            match="a build is on its way" if is_skipped else "in no published build",
        ):
            run.release.plan_release.function()


@pytest.mark.parametrize("user", ["Anne", None])
def test_with_four_eyes_the_requester_cannot_approve(
    live: Settings, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("PARC_FOUR_EYES", "on")
    run = Run(live, monkeypatch, user)
    operator = run.ask()
    if user:
        with pytest.raises(AirflowFailException, match="Anne asked for this release and cannot approve it"):
            run.answer(operator, "Anne", "Approve")
        with pytest.raises(ApprovalNeeded):
            run.apply()
        assert run.released() == []
    else:  # the marts asked
        run.answer(operator, "Anne", "Approve")
        run.apply()
        assert run.released()[0][:2] == ("export_routing", "Anne")


def test_approvers_are_named_by_configuration(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("PARC_APPROVERS", "Anne, Bernard")
    run = Run(live, monkeypatch, "Bernard")
    assert [user["id"] for user in run.ask().assigned_users] == ["Anne", "Bernard"]
    monkeypatch.setenv("PARC_FOUR_EYES", "1")
    run = Run(live, monkeypatch, "Bernard")
    operator = run.ask()
    assert [user["id"] for user in operator.assigned_users] == ["Anne"]
    with pytest.raises(AirflowFailException, match="Celine is not among those who approve releases"):
        run.answer(operator, "Celine", "Approve")
    monkeypatch.setenv("PARC_APPROVERS", "Bernard")
    with pytest.raises(AirflowFailException, match="is the only one who approves"):
        Run(live, monkeypatch, "Bernard").ask()


def test_the_deadline_is_one_that_airflow_can_clear(dags: dict[str, Any]) -> None:
    """Airflow recounts its own reference when a run is cleared, and fails to."""
    from airflow.serialization.decoders import decode_deadline_alert
    from airflow.serialization.encoders import encode_deadline_alert

    for dag in dags.values():
        for alert in dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]:
            if alert:
                encoded = encode_deadline_alert(alert)
                assert encoded["reference"]["reference_type"] != "DagRunQueuedAtDeadline"
                assert decode_deadline_alert(encoded).reference.reference_name == "RunFirstQueued"
