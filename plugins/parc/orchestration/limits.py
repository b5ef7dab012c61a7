"""Which task runs first, and how many at once: Airflow pools (`deploy/airflow_pools.json`) and priorities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.task.priority_strategy import PriorityWeightStrategy
from airflow.utils.types import DagRunType

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

LOADING = "warehouse_load"
BUILDING = "dbt"

BACKFILL, MANUAL, NIGHT = 1, 10, 100
"""A task's priority depends on what started its run: of the tasks that wait, the highest runs first."""

NIGHT_FIRST = "parc.orchestration.limits.NightFirst"
"""The `weight_rule` of all tasks, registered by `plugins/parc_plugin.py`."""


class NightFirst(PriorityWeightStrategy):
    """The night's run comes before what a person started, and both before a backfill, whatever their dates.

    Airflow's own rules know no run: it takes the oldest date first, and a backfill is older than any night.
    """

    def get_weight(self, ti: TaskInstance) -> int:
        """The priority of a task instance, by the type of its run.

        Airflow asks before the task instance has its run, so the type is what Airflow itself reads in the id.
        """
        run_type = DagRunType.from_run_id(ti.run_id)
        return {DagRunType.BACKFILL_JOB: BACKFILL, DagRunType.MANUAL: MANUAL}.get(run_type, NIGHT)
