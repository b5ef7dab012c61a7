"""`python -m parc.orchestration.lost DAG RUN` reports the end of a run again, as Airflow should have.

Airflow's DAG processor calls the callbacks of a run's end. If it stalls or is killed, they are lost.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from parc.host.client import Airflow
from parc.settings import Settings


@dataclass
class Tasks:
    """The tasks of a run that has ended, as a callback asks for them."""

    airflow: Airflow
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        """The address of the run's tasks, below Airflow's API."""
        return f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances"

    def get_task_states(self, *, dag_id: str, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """By the run, the state of each task."""
        found = self.airflow.call("GET", self.path)["task_instances"]
        return {self.run_id: {each["task_id"]: each["state"] for each in found}}

    def xcom_pull(self, *, task_ids: str, key: str, run_id: str) -> Any:
        """What a task left under a key; None if nothing."""
        entries = self.airflow.call("GET", f"{self.path}/{task_ids}/xcomEntries")["xcom_entries"]
        if key not in {each["key"] for each in entries}:
            return None
        value = self.airflow.call("GET", f"{self.path}/{task_ids}/xcomEntries/{key}")["value"]
        return json.loads(value) if isinstance(value, str) else value


def report(airflow: Airflow, dag: Any, run_id: str) -> None:
    """Call what the DAG has for a run that ended as this one did."""
    run = airflow.call("GET", f"/dags/{dag.dag_id}/dagRuns/{run_id}")
    tasks = Tasks(airflow, dag.dag_id, run_id)
    tick = run["logical_date"]
    context = {
        "dag": dag,
        "run_id": run_id,
        "ti": tasks,
        "dag_run": SimpleNamespace(
            conf=run["conf"],
            logical_date=datetime.fromisoformat(tick) if tick else None,
            run_type=run["run_type"],
        ),
        "reason": "timed_out",  # what is left where no task failed
    }
    callback = dag.on_failure_callback if run["state"] == "failed" else dag.on_success_callback
    if callback:
        callback(context)


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    dag_id, run_id = sys.argv[1:]
    settings = Settings.from_env()
    bag = DagBag(dag_folder=str(settings.project / "dags"), bundle_name="parc")
    report(Airflow(settings), bag.dags[dag_id], run_id)
