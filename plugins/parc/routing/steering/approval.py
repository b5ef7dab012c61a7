"""Who asked for a release and who answered. Both are recorded as it happens, and decisions use the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from parc.errors import RoutingRefused
from parc.findings import Step
from parc.ledger import plans, releases, write_releases
from parc.ledger.releases import ApprovalReply, Reply
from parc.numbers import remark
from parc.routing.plans.plan import Plan
from parc.routing.steering.record import record_plan
from parc.settings import Settings
from parc.warehouse import connect


def ask(settings: Settings, plan: Plan, *, requested_by: str, question_id: UUID | None = None) -> None:
    """Record that a person is asked to approve a plan. `question_id` is the task instance that asks."""
    with connect(settings, "exporter") as connection:
        plan_id = record_plan(connection, settings, plan, requested_by=requested_by)
        record_request(
            connection, settings, plan, plan_id, requested_by=requested_by, question_id=question_id
        )


def note(settings: Settings, plan: Plan, *, requested_by: str) -> None:
    """Record what could be done with a plan."""
    with connect(settings, "exporter") as connection:
        record_plan(connection, settings, plan, requested_by=requested_by)


def record_request(
    connection: Connection[Any],
    settings: Settings,
    plan: Plan,
    plan_id: int,
    *,
    requested_by: str,
    question_id: UUID | None = None,
) -> None:
    """The same as `ask` for a plan that is recorded already, on a given connection."""
    write_releases.request_approval(
        connection,
        plan_hash=plan.plan_hash,
        business_date=plan.business_date,
        plan_id=plan_id,
        requested_by=requested_by,
        question_id=question_id,
        run=settings.airflow_run,
    )


def answer(
    settings: Settings,
    question_id: UUID,
    verdict: Reply,
    *,
    answered_by: str | None,
    answered_by_id: str | None,
    answered_at: datetime | None,
    reason: str | None = None,
) -> None:
    """Record the answer that Airflow has to a question.

    Raises RoutingRefused and records nothing if the question was never asked, or if the person may not
    approve: not one of the approvers, or the one who asked.
    """
    with connect(settings, "exporter") as connection:
        request = releases.approval_request(connection, question_id)
        if request is None:
            raise RoutingRefused(
                "no plan was recorded for this question", steps=(Step("run `export_routing` again"),)
            )
        if verdict == "approved":
            assert answered_by
            check_approver(settings, answered_by, answered_by_id or answered_by)
            requester(connection, settings, request.plan_hash, answered_by, else_by=None)
        write_releases.reply(
            connection,
            request.request_id,
            verdict,
            answered_by=answered_by,
            answered_by_id=answered_by_id,
            answered_at=answered_at,
            reason=reason,
        )


def reject(settings: Settings, plan_hash: str, *, rejected_by: str, reason: str) -> None:
    """Reject a plan that waits for an answer: the switch keeps its table, and the run that asks ends.

    Raises RoutingRefused if the person may not answer, or if no plan with this hash waits.
    """
    check_approver(settings, rejected_by)
    with connect(settings, "exporter") as connection:
        count = write_releases.reply_by_command(
            connection, plan_hash, "rejected", answered_by=rejected_by, reason=reason
        )
    if not count:
        raise RoutingRefused(
            f"no plan {plan_hash} waits for an answer", steps=(Step("see what waits", "parc routing status"),)
        )


def is_answered(settings: Settings, question_id: UUID) -> bool:
    """Whether a question of Airflow's has an answer already, given there or on the command line."""
    with connect(settings, "exporter") as connection:
        return plans.is_answered(connection, question_id)


def answer_of_run(settings: Settings) -> ApprovalReply | None:
    """The answer to the last question of the Airflow run that these settings name; None without one."""
    if settings.airflow_run is None:
        return None
    with connect(settings, "exporter") as connection:
        return releases.approval_reply(connection, *settings.airflow_run)


def check_approver(settings: Settings, *names: str) -> None:
    """Raises RoutingRefused if there is a list of approvers (PARC_APPROVERS) and none of these names is on
    it."""
    if settings.approvers and not set(names) & set(settings.approvers):
        raise RoutingRefused(
            f"{names[0]} is not among those who approve releases ({', '.join(settings.approvers)}); "
            "PARC_APPROVERS names them"
        )


def requester(
    connection: Connection[Any], settings: Settings, plan_hash: str, approved_by: str, *, else_by: str | None
) -> str | None:
    """Who asked for the plan that somebody approves: another person, if one did; `else_by` if nobody is
    recorded.

    Raises RoutingRefused if four eyes are required (PARC_FOUR_EYES) and only the approver asked.
    """
    asked_by = releases.requester(connection, plan_hash, remark(approved_by)) or else_by
    if settings.four_eyes and asked_by in (approved_by, remark(approved_by)):
        raise RoutingRefused(
            f"{approved_by} asked for this release and cannot approve it (PARC_FOUR_EYES)",
            steps=(
                Step("have somebody else approve (in Airflow clear the task `approve`)"),
                Step("have somebody else ask", "parc routing apply", is_alternative=True),
            ),
        )
    return asked_by
