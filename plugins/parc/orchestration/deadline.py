"""The instant from which a run's deadline is counted: our own reference, registered by the plugin.

Airflow 3.3 has one for this (DAGRUN_QUEUED_AT), but counts it again when a run is cleared, and fails at that:
the UI answers HTTP 500 and nobody can retry the run (apache/airflow#70368). Ours stays as first counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class RunFirstQueued(BaseDeadlineReference):
    """The instant at which the run was first queued."""

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str, **_: Any) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        queued_at: datetime | None = session.scalar(
            select(DagRun.queued_at).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        )
        return queued_at
