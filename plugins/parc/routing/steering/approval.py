"""Who asked for a release and who answered: recorded as it happens, read back from there alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from parc.errors import RoutingRefused
from parc.numbers import remark
from parc.routing.plans.plan import Plan
from parc.routing.steering.audit import Connection
from parc.settings import Settings
from parc.warehouse import connect

Verdict = Literal["approved", "rejected", "expired"]


@dataclass(frozen=True)
class Answer:
    """What a person answered to a plan, or that nobody did in time (`expired`); `answered_by` is a name."""

    plan_hash: str
    business_date: date
    requested_by: str
    verdict: Verdict
    answered_by: str | None
    answered_at: datetime | None


def ask(settings: Settings, plan: Plan, *, requested_by: str, question_id: UUID | None = None) -> None:
    """Record that a person is asked to approve a plan; `question_id` is the task instance that asks."""
    with connect(settings, "exporter") as connection:
        record_request(connection, settings, plan, requested_by=requested_by, question_id=question_id)


def record_request(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    *,
    requested_by: str,
    question_id: UUID | None = None,
) -> None:
    """The same, on a connection; a question that is asked again is the one that was."""
    dag_id, run_id = settings.airflow_run or (None, None)
    connection.execute(
        "insert into ops.routing_request "
        "(plan_hash, business_date, requested_by, question_id, dag_id, run_id) "
        "values (%s, %s, %s, %s, %s, %s) on conflict (question_id) do nothing",
        [plan.plan_hash, plan.business_date, remark(requested_by), question_id, dag_id, run_id],
    )


def answer(
    settings: Settings,
    question_id: UUID,
    verdict: Verdict,
    *,
    answered_by: str | None,
    answered_by_id: str | None,
    answered_at: datetime | None,
) -> None:
    """Record what Airflow says was answered to a question.

    Raises RoutingRefused, with nothing recorded, where the question was never asked, or where who approves
    may not: none of the approvers, or the one who asked.
    """
    with connect(settings, "exporter") as connection:
        row = connection.execute(
            "select request_id, plan_hash from ops.routing_request where question_id = %s", [question_id]
        ).fetchone()
        if row is None:
            raise RoutingRefused("no plan was recorded for this question; run `export_routing` again")
        request_id, plan_hash = row
        if verdict == "approved":
            assert answered_by
            check_approver(settings, answered_by, answered_by_id or answered_by)
            requester(connection, settings, plan_hash, answered_by, else_by=None)
        who = [name and remark(name) for name in (answered_by, answered_by_id)]
        connection.execute(
            "insert into ops.routing_answer (request_id, verdict, answered_by, answered_by_id, answered_at) "
            "values (%s, %s, %s, %s, %s) on conflict do nothing",
            [request_id, verdict, *who, answered_at],
        )


def answer_of_run(settings: Settings) -> Answer | None:
    """The answer to the last question of the run that these settings name; None without one."""
    with (
        connect(settings, "exporter") as connection,
        connection.cursor(row_factory=class_row(Answer)) as cursor,
    ):
        return cursor.execute(
            "select plan_hash, business_date, requested_by, verdict, answered_by, answered_at from ("
            "  select * from ops.routing_request where dag_id = %s and run_id = %s "
            "  and question_id is not null order by request_id desc limit 1"
            ") as request inner join ops.routing_answer using (request_id)",
            settings.airflow_run or (None, None),
        ).fetchone()


def check_approver(settings: Settings, *names: str) -> None:
    """Raises RoutingRefused where approvers are named (PARC_APPROVERS) and none of these names is."""
    if settings.approvers and not set(names) & set(settings.approvers):
        raise RoutingRefused(
            f"{names[0]} is none of those who approve releases ({', '.join(settings.approvers)}); "
            "PARC_APPROVERS names them"
        )


def requester(
    connection: Connection, settings: Settings, plan_hash: str, approved_by: str, *, else_by: str | None
) -> str | None:
    """Who asked for the plan that somebody approves: another person, where one did; `else_by` where nobody
    is recorded.

    Raises RoutingRefused where four eyes are asked for (PARC_FOUR_EYES) and only the approver asked.
    """
    row = connection.execute(
        "select requested_by from ops.routing_request where plan_hash = %s "
        "order by requested_by = %s, request_id desc limit 1",
        [plan_hash, remark(approved_by)],
    ).fetchone()
    asked_by: str | None = row[0] if row else else_by
    if settings.four_eyes and asked_by in (approved_by, remark(approved_by)):
        raise RoutingRefused(
            f"{approved_by} asked for this release and cannot approve it (PARC_FOUR_EYES): have somebody "
            "else approve (in Airflow clear the task `approve`), or ask (`parc routing apply`)"
        )
    return asked_by
