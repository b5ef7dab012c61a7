"""The tasks that maintain the warehouse: one for each step of `parc.maintenance`."""

from __future__ import annotations

from airflow.sdk import XComArg, get_current_context, task

from parc.maintenance import STEPS
from parc.settings import Settings


def step(name: str) -> XComArg:
    """The task of the step of this name; its log and what it returns tell what it did."""
    do = STEPS[name]

    @task(task_id=name)
    def run() -> list[str]:
        context = get_current_context()
        told = [str(act) for act in do(Settings.from_env(), bool(context["params"]["dry_run"]))]
        print("\n".join(told or ["nothing to do"]))
        return told

    return run()
