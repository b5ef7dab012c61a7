"""The tasks that bring a routing release from its plan to the switch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from parc.orchestration.dates import night_of

if TYPE_CHECKING:
    from parc.settings import Settings

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"


@task.branch(doc_md="Plan the release against the live switch, and decide who has to agree.")
def plan_release() -> str:
    """Plan for the run's business date; the next task is `approve` or `apply_release`."""
    from parc import routing
    from parc.settings import Settings

    context = get_current_context()
    settings = Settings.from_env()
    business_date = business_date_of(context, settings)
    plan = routing.plan(settings, business_date)
    print(f"::group::the plan: {plan.subject()}")
    print(plan.to_text())
    print("::endgroup::")
    ti = context["ti"]
    ti.xcom_push(key="business_date", value=str(business_date))
    ti.xcom_push(key="plan_hash", value=plan.plan_hash)
    ti.xcom_push(key="subject", value=plan.subject())
    ti.xcom_push(key="body", value=plan.to_markdown())
    if plan.verdict == "nothing to do":
        raise AirflowSkipException("the switch holds the desired table already")
    if plan.verdict in ("refused", "blocked"):
        what = f"the release for {business_date + timedelta(days=1)} is {plan.verdict}"
        reasons = [str(finding) for finding in plan.refusals] + plan.blocks
        for line in (f"{what}; the switch keeps its table:", *reasons):
            log.error(line)
        raise AirflowFailException("\n".join([f"{what}; the switch keeps its table:", *reasons]))
    return "approve" if plan.verdict == "needs approval" else "apply_release"


def approve_release() -> HITLOperator:
    """A person reads the plan and answers; without an answer the switch keeps its table."""
    return HITLOperator(
        task_id="approve",
        doc_md="Read the plan, then approve or reject it. If the switch moves meanwhile, it is stale.",
        subject="{{ ti.xcom_pull(task_ids='plan_release', key='subject') }}",
        body="{{ ti.xcom_pull(task_ids='plan_release', key='body') }}",
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
    from parc.settings import Settings

    ti = get_current_context()["ti"]
    business_date = date.fromisoformat(ti.xcom_pull(task_ids="plan_release", key="business_date"))
    plan_hash = ti.xcom_pull(task_ids="plan_release", key="plan_hash")
    answer = ti.xcom_pull(task_ids="approve") or {}
    user = (answer.get("responded_by_user") or {}).get("name")
    if REJECT in answer.get("chosen_options", ()):
        answered = f"was rejected by {user}" if user else "was not approved in time"
        raise AirflowSkipException(
            f"the release for {business_date + timedelta(days=1)} {answered}; the switch keeps its table, "
            "and the next night plans again"
        )
    outcome = routing.apply(
        Settings.from_env(),
        business_date,
        requested_by="export_routing",
        reason=f"Airflow run {ti.run_id}",
        approve=plan_hash if user else None,
        approved_by=user,
    )
    print(outcome.message)


def business_date_of(context: Mapping[str, Any], settings: Settings) -> date:
    """The business date of a release: the run's parameter, else its tick's night, else (a run that the marts
    or a person triggered) the newest one there is."""
    from parc.errors import RoutingRefused
    from parc.routing.night import newest_business_date

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
