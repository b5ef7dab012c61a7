"""What waits for an answer under Airflow's Required Actions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import State
from sqlalchemy import select

from parc.findings import Finding, FindingKind, Severity, Step, Subject, run_path
from parc.instants import shown


@dataclass(frozen=True)
class Approval:
    """A question that a run asks; `since` is UTC."""

    dag_id: str
    run_id: str
    task_id: str
    subject: str
    since: datetime

    @property
    def finding(self) -> Finding:
        """It as a finding."""
        run = run_path(self.dag_id, self.run_id)
        steps = (
            Step("answer it", link=f"{run}/tasks/{self.task_id}/required_actions"),
            Step("see everything that waits", link="/required_actions"),
        )
        subject = Subject(self.subject, dag_id=self.dag_id, run_id=self.run_id)
        text = f"{self.dag_id} waits for an answer since {shown(self.since)}"
        return Finding(FindingKind.APPROVAL, Severity.NOTE, subject, text, steps)


def pending() -> list[Approval]:
    """Questions without an answer whose run still waits, oldest first."""
    asked = (
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            HITLDetail.subject,
            HITLDetail.created_at,
        )
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(HITLDetail.responded_at.is_(None))
        .where(TaskInstance.state.not_in(list(State.finished)))
        .order_by(HITLDetail.created_at)
    )
    with create_session() as session:
        return [Approval(*row) for row in session.execute(asked)]
