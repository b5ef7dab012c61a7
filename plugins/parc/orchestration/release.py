"""The tasks that bring a routing release from its plan to the switch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser

from parc.orchestration.dates import night_of

if TYPE_CHECKING:
    from parc.routing import Plan
    from parc.settings import Settings

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"


@task.branch(doc_md="Plan the release against the live switch, and decide who has to agree.")
def plan_release() -> str:
    """Plan for the run's business date; the next task is `approve` or `apply_release`."""
    plan = _planned(get_current_context())
    return "approve" if plan.verdict == "needs approval" else "apply_release"


class ApproveRelease(HITLOperator):
    """A person reads the plan and answers; without an answer the switch keeps its table.

    The plan is made anew for the question, so that what is shown is what is approved. The answer is the one
    with which Airflow's server resumes this task, out of its own record of the question. Both are kept in the
    warehouse, append-only. XComs and states, which others may edit, decide nothing.
    """

    template_fields = ()

    def execute(self, context: Any) -> None:
        """Ask."""
        from parc import routing

        settings = _settings(context)
        plan = _planned(context)
        asker = requested_by(context)
        self.subject, self.body = plan.subject(), plan.to_markdown()
        if settings.approvers:
            others = [name for name in settings.approvers if not (settings.four_eyes and name == asker)]
            if not others:
                raise AirflowFailException(
                    f"{asker} asked for this release and is the only one who approves (PARC_APPROVERS, "
                    "PARC_FOUR_EYES): name another, or have somebody else trigger it"
                )
            self.assigned_users = [HITLUser(id=name, name=name) for name in others]
        routing.ask(settings, plan, requested_by=asker, question_id=context["ti"].id)
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer that Airflow has recorded for this question, and hands over with its `event`."""
        from parc import routing
        from parc.errors import RoutingRefused

        if "error" in event:
            return super().execute_complete(context, event)
        user = event["responded_by_user"] or {}
        verdict: routing.Verdict = "rejected" if user else "expired"
        if user and list(event["chosen_options"]) == [APPROVE]:
            verdict = "approved"
        try:
            routing.answer(
                _settings(context),
                context["ti"].id,
                verdict,
                answered_by=user.get("name"),
                answered_by_id=user.get("id"),
                answered_at=event["responded_at"],
            )
        except RoutingRefused as error:
            raise AirflowFailException(str(error)) from None
        return super().execute_complete(context, event)


def approve_release() -> HITLOperator:
    """The question under Required Actions."""
    return ApproveRelease(
        task_id="approve",
        doc_md="Read the plan, then approve or reject it. If the switch moves meanwhile, it is stale.",
        subject="The plan of a routing release",
        options=[APPROVE, REJECT],
        response_timeout=timedelta(hours=18),
        defaults=REJECT,
        # Airflow fails a task that is answered within a second of its asking; it asks again then.
        retries=1,
        retry_delay=timedelta(seconds=5),
    )


@task(
    trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    doc_md="Apply exactly the plan that was made and, where needed, approved; verify; take back what fails.",
)
def apply_release() -> None:
    """Apply the planned release under the name of who approved it; skipped where nobody did."""
    from parc import routing

    context = get_current_context()
    settings = _settings(context)
    answer = routing.answer_of_run(settings) if _was_asked(context) else None
    business_date = answer.business_date if answer else business_date_of(context, settings)
    if answer and answer.verdict != "approved":
        rejected = answer.verdict == "rejected"
        answered = f"was rejected by {answer.answered_by}" if rejected else "was not approved in time"
        raise AirflowSkipException(
            f"the release for {business_date + timedelta(days=1)} {answered}; the switch keeps its table, "
            "and the next night plans again"
        )
    outcome = routing.apply(
        settings,
        business_date,
        requested_by=requested_by(context),
        reason=f"Airflow run {context['ti'].run_id}",
        approve=answer.plan_hash if answer else None,
        approved_by=answer.answered_by if answer else None,
        approved_at=answer.answered_at if answer else None,
    )
    print(outcome.message)


def requested_by(context: Mapping[str, Any]) -> str:
    """Who triggered the run; the DAG, where the marts or the clock did."""
    run = context["dag_run"]
    return str(getattr(run, "triggering_user_name", None) or run.dag_id)


def _was_asked(context: Mapping[str, Any]) -> bool:
    """Whether the plan went by a person; an answer to the run before it was cleared is none to this plan."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=["approve"], run_ids=[ti.run_id])
    return bool(states.get(ti.run_id, {}).get("approve") != "skipped")


def _settings(context: Mapping[str, Any]) -> Settings:
    from parc.settings import Settings

    run = context["dag_run"]
    return replace(Settings.from_env(), airflow_run=(run.dag_id, run.run_id))


def _planned(context: Mapping[str, Any]) -> Plan:
    """The plan for the run's business date, printed; a run that has nothing to release is skipped, one that
    may not release fails."""
    from parc import routing

    settings = _settings(context)
    business_date = business_date_of(context, settings)
    plan = routing.plan(settings, business_date)
    print(f"::group::the plan: {plan.subject()}")
    print(plan.to_text())
    print("::endgroup::")
    if plan.verdict == "nothing to do":
        raise AirflowSkipException("the switch holds the desired table already")
    if plan.verdict in ("refused", "blocked"):
        what = f"the release for {business_date + timedelta(days=1)} is {plan.verdict}"
        reasons = [str(finding) for finding in plan.refusals] + plan.blocks
        for line in (f"{what}; the switch keeps its table:", *reasons):
            log.error(line)
        raise AirflowFailException("\n".join([f"{what}; the switch keeps its table:", *reasons]))
    return plan


def business_date_of(context: Mapping[str, Any], settings: Settings) -> date:
    """The business date of a release: the run's parameter, else its tick's night, else (a run that the marts
    or a person triggered) the newest one there is."""
    from parc.errors import RoutingRefused
    from parc.routing.steering.night import newest_business_date

    given = context["params"].get("business_date")
    if given:
        return date.fromisoformat(given)
    run = context["dag_run"]
    if run.run_type == "scheduled":
        return night_of(run.logical_date)
    try:
        return newest_business_date(settings)
    except RoutingRefused as error:
        raise AirflowSkipException(str(error)) from None
