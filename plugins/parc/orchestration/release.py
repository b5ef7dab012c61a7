"""The tasks that bring a routing release from its plan to the switch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import HITLUser
from airflow.sdk.timezone import utcnow

from parc.findings import Step
from parc.orchestration.answer import AnswerTrigger
from parc.orchestration.dates import business_dates
from parc.orchestration.notice import Failed, mended

if TYPE_CHECKING:
    from parc.routing import Plan
    from parc.settings import Settings

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"
REASON = "reason"
BEING_BUILT = "a build is on its way: the marts that it publishes start the next run of export_routing"
OUT_OF_DATE = {"deliveries_built", "one_build"}
"""Expectations of the suite `export/routing` that a build which is on its way will meet."""


@task.branch(doc_md="Plan the release against the live switch, and decide whether a person must approve it.")
def plan_release() -> str:
    """Plan for the run's business date. The next task is `approve` or `apply_release`."""
    plan = _planned(get_current_context())
    return "approve" if plan.verdict == "needs approval" else "apply_release"


class ApproveRelease(HITLOperator):
    """A person reads the plan and answers. Without an answer the switch keeps its table.

    The plan is made again for the question, so that the plan shown is the plan approved. The answer is the
    one with which Airflow's server resumes this task, from its own record of the question. Both are kept in
    the warehouse, append-only. XComs and states decide nothing, because other people may edit them.
    """

    template_fields = ()

    def execute(self, context: Any) -> None:
        """Record the question, then ask it."""
        from parc import routing

        settings = _settings(context)
        plan = _planned(context)
        asker = requested_by(context)
        self.subject, self.body = routing.subject(plan), routing.render_markdown(plan)
        if settings.approvers:
            others = [name for name in settings.approvers if not (settings.four_eyes and name == asker)]
            if not others:
                raise Failed(
                    f"{asker} asked for this release and is the only one who approves (PARC_APPROVERS, "
                    "PARC_FOUR_EYES)",
                    steps=(
                        Step("name another approver"),
                        Step("have somebody else trigger it", is_alternative=True),
                    ),
                )
            self.assigned_users = [HITLUser(id=name, name=name) for name in others]
        routing.ask(settings, plan, requested_by=asker, question_id=context["ti"].id)
        try:
            super().execute(context)
        except TaskAwaitingInput:
            assert self.response_timeout
            trigger = AnswerTrigger(
                dag_id=context["ti"].dag_id,
                ti_id=context["ti"].id,
                options=self.options,
                defaults=self.defaults,
                params=self.serialized_params,
                timeout_datetime=utcnow() + self.response_timeout,
            )
            self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Record the answer, which Airflow passes as `event` from its own record of the question. Where the
        question ended without one, the warehouse has the answer, or another run plans again."""
        from parc import routing
        from parc.errors import RoutingRefused

        if "error" in event:
            return super().execute_complete(context, event)
        if event.get("end") == "answered":
            return None
        user = event.get("responded_by_user") or {}
        verdict: routing.Reply = "rejected" if user else "expired"
        if "end" in event:
            verdict = "superseded"
        elif user and list(event["chosen_options"]) == [APPROVE]:
            verdict = "approved"
        try:
            routing.answer(
                _settings(context),
                context["ti"].id,
                verdict,
                answered_by=user.get("name"),
                answered_by_id=user.get("id"),
                answered_at=event.get("responded_at"),
                reason=(event.get("params_input") or {}).get(REASON),
            )
        except RoutingRefused as error:
            raise Failed(error.text, steps=error.steps) from None
        return None if "end" in event else super().execute_complete(context, event)


def approve_release() -> HITLOperator:
    """The task whose question appears under Required Actions."""
    return ApproveRelease(
        task_id="approve",
        doc_md="Read the plan, then approve or reject it. If the switch moves meanwhile, it is stale.",
        subject="The plan of a routing release",
        options=[APPROVE, REJECT],
        response_timeout=timedelta(hours=18),
        defaults=REJECT,
        params={
            REASON: Param(
                None,
                type=["null", "string"],
                title="Reason",
                description="Why; kept in the record.",
                source="task",
            )
        },
        # Airflow fails a task that is answered within a second of being asked. The retry asks again.
        retries=1,
        retry_delay=timedelta(seconds=5),
    )


@task(
    trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    doc_md="Apply exactly the plan that was made and, if needed, approved. Verify it; roll back what fails.",
)
def apply_release() -> None:
    """Apply the planned release in the name of the person who approved it. Skipped if nobody did."""
    from parc import routing
    from parc.errors import RoutingRefused
    from parc.routing.table.desired import effective_date

    context = get_current_context()
    settings = _settings(context)
    answer = routing.answer_of_run(settings) if _was_asked(context) else None
    business_date = answer.business_date if answer else business_date_of(context, settings)
    if answer and answer.verdict != "approved":
        answered = {
            "rejected": f"was rejected by {answer.answered_by}"
            + (f" ({answer.reason})" if answer.reason else ""),
            "superseded": "was not answered before another run was queued, which plans it again",
        }.get(answer.verdict, "was not approved in time")
        raise AirflowSkipException(
            f"the release for {effective_date(business_date)} {answered}; the switch keeps its table, "
            "and the next night plans again"
        )
    try:
        result = routing.apply(
            settings,
            business_date,
            requested_by=requested_by(context),
            reason=f"Airflow run {context['ti'].run_id}",
            approve=answer.plan_hash if answer else None,
            approved_by=answer.answered_by if answer else None,
            approved_at=answer.answered_at if answer else None,
        )
    except RoutingRefused:
        if answer is None and _is_building(settings):
            raise AirflowSkipException(BEING_BUILT) from None
        raise
    mended(context["dag_run"].dag_id, context["dag_run"].run_id)
    print(result.message)


def requested_by(context: Mapping[str, Any]) -> str:
    """The person who triggered the run; the DAG, if the marts or the clock did."""
    run = context["dag_run"]
    return str(getattr(run, "triggering_user_name", None) or run.dag_id)


def _was_asked(context: Mapping[str, Any]) -> bool:
    """Whether a person was asked about this plan. An answer given before the run was cleared is no answer."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=["approve"], run_ids=[ti.run_id])
    return bool(states.get(ti.run_id, {}).get("approve") != "skipped")


def _settings(context: Mapping[str, Any]) -> Settings:
    from parc.settings import Settings

    run = context["dag_run"]
    return replace(Settings.from_env(), airflow_run=(run.dag_id, run.run_id))


def _planned(context: Mapping[str, Any]) -> Plan:
    """The plan for the run's business date, printed to the log.

    A run with nothing to release is skipped, and one whose inputs a build is making: the marts that the build
    publishes start another run. A run that may not release fails.
    """
    from parc import routing

    settings = _settings(context)
    business_date = business_date_of(context, settings)
    was_building = _is_building(settings)
    plan = routing.plan(settings, business_date)
    print(f"::group::the plan: {routing.subject(plan)}")
    print(routing.render_text(plan))
    print("::endgroup::")
    if plan.verdict == "nothing to do":
        routing.note(settings, plan, requested_by=requested_by(context))
        mended(context["dag_run"].dag_id, context["dag_run"].run_id)
        raise AirflowSkipException(routing.headline(plan))
    if plan.verdict == "refused" and (was_building or _is_building(settings) or _is_build_due(context, plan)):
        raise AirflowSkipException(BEING_BUILT)
    routing.note(settings, plan, requested_by=requested_by(context))
    if plan.verdict.is_stopped:
        stopped = Failed(routing.explain_verdict(plan), steps=routing.of_verdict(plan))
        for line in str(stopped).splitlines():
            log.error(line)
        raise stopped
    return plan


def _is_building(settings: Settings) -> bool:
    from parc.ledger import locks
    from parc.warehouse import connect

    with connect(settings, "reader") as connection:
        return locks.is_held(connection, locks.BUILD)


def _is_build_due(context: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the marts started this run and are out of date already: the deliveries that came in the
    meantime have started another build."""
    refused_by = {each.expectation for each in plan.gate.failures} if plan.gate else set()
    return context["dag_run"].run_type == "asset_triggered" and bool(refused_by & OUT_OF_DATE)


def business_date_of(context: Mapping[str, Any], settings: Settings) -> date:
    """The business date of a release: the run's parameter; else, for a scheduled run, its night; else the
    newest business date."""
    from parc.errors import RoutingRefused
    from parc.routing import newest_business_date

    run = context["dag_run"]
    tick = run.logical_date if run.run_type == "scheduled" else None
    if dates := business_dates(context["params"], tick):
        return dates[0]
    try:
        return newest_business_date(settings)
    except RoutingRefused as error:
        raise AirflowSkipException(str(error)) from None
