"""Releases as they were planned, and the questions about them that a person has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.findings import Step, Subject, run_path
from parc.instants import shown
from parc.ledger.releases import Reply


@dataclass(frozen=True)
class RecordedPlan:
    """A plan as recorded: what could be done with it and why not (`reasons`). `build_id` is the build of the
    marts that it was planned from; the run is None where the command line planned."""

    business_date: date
    effective_date: date
    plan_hash: str
    verdict: str
    subject: str
    reasons: list[str]
    steps: list[dict[str, Any]]
    build_id: int | None
    requested_by: str
    dag_id: str | None
    run_id: str | None
    at: datetime

    @property
    def concerns(self) -> Subject:
        """What a finding about it concerns."""
        name = f"release for {self.effective_date}"
        return Subject(name, release_date=self.effective_date, dag_id=self.dag_id, run_id=self.run_id)

    @property
    def remedy(self) -> tuple[Step, ...]:
        """What to do about it."""
        return tuple(Step(**step) for step in self.steps)


@dataclass(frozen=True)
class OpenQuestion(RecordedPlan):
    """A plan that waits for a person's answer. `question_id` is the task of Airflow's that asks; None where
    the command line was told that the plan waits."""

    question_id: UUID | None

    @property
    def text(self) -> str:
        """What waits, since when, and in whose name."""
        return f"{self.subject}; waits for a person since {shown(self.at)}, asked by {self.requested_by}"

    @property
    def remedy(self) -> tuple[Step, ...]:
        """How to answer: under Required Actions if a run asks, or on the command line."""
        link: tuple[Step, ...] = ()
        if self.dag_id and self.run_id:
            page = f"{run_path(self.dag_id, self.run_id)}/tasks/approve/required_actions"
            link = (Step("answer it", link=page),)
        reject = Step("reject it", f"parc routing reject {self.plan_hash}", is_alternative=True)
        return (*link, *super().remedy, reject)


@dataclass(frozen=True)
class Answered:
    """The answer to a question about a plan; `subject` and `effective_date` are None before plans were
    kept."""

    verdict: Reply
    answered_by: str | None
    reason: str | None
    at: datetime
    business_date: date
    effective_date: date | None
    subject: str | None

    def __str__(self) -> str:
        by = f" by {self.answered_by}" if self.answered_by else ""
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.verdict}{by} on {shown(self.at)}{why}"


_PLAN = (
    "plan.business_date, effective_date, plan.plan_hash, verdict, subject, reasons, steps, build_id, "
    "plan.requested_by, plan.dag_id, plan.run_id"
)


def newest(connection: Connection[Any]) -> RecordedPlan | None:
    """The last plan that was recorded."""
    with connection.cursor(row_factory=class_row(RecordedPlan)) as cursor:
        return cursor.execute(
            f"select {_PLAN}, plan.at from ops.routing_plan as plan order by plan_id desc limit 1".encode()
        ).fetchone()


def newest_content(connection: Connection[Any]) -> dict[str, Any] | None:
    """The last plan as JSON values; None if there is none, or it is from before they were kept."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute("select content from ops.routing_plan order by plan_id desc limit 1").fetchone()


def open_question(connection: Connection[Any]) -> OpenQuestion | None:
    """The last question, while nobody has answered it and no other plan was made since."""
    with connection.cursor(row_factory=class_row(OpenQuestion)) as cursor:
        return cursor.execute(
            f"select {_PLAN}, request.at, question_id from ("
            "select * from ops.routing_request order by request_id desc limit 1"
            ") as request inner join ops.routing_plan as plan using (plan_id) "
            "where not exists (select from ops.routing_answer as answer "
            "where answer.request_id = request.request_id) "
            "and not exists (select from ops.routing_plan as later where later.plan_id > plan.plan_id "
            "and (later.plan_hash, later.verdict) <> (plan.plan_hash, plan.verdict))".encode()
        ).fetchone()


def last_answer(connection: Connection[Any]) -> Answered | None:
    """The answer to the last question; None without one, or while it waits."""
    with connection.cursor(row_factory=class_row(Answered)) as cursor:
        return cursor.execute(
            "select answer.verdict, answered_by, reason, coalesce(answered_at, answer.at) as at, "
            "request.business_date, effective_date, subject from ("
            "select * from ops.routing_request order by request_id desc limit 1"
            ") as request inner join ops.routing_answer as answer using (request_id) "
            "left join ops.routing_plan as plan using (plan_id)"
        ).fetchone()


def is_answered(connection: Connection[Any], question_id: UUID) -> bool:
    """Whether a question of Airflow's has an answer, given there or on the command line."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found = cursor.execute(
            "select exists (select from ops.routing_request inner join ops.routing_answer using (request_id) "
            "where question_id = %s)",
            [question_id],
        ).fetchone()
    return bool(found)
