"""The tasks that maintain the warehouse: one for each step of `parc.maintenance`."""

from __future__ import annotations

from airflow.sdk import XComArg, get_current_context, task


def step(name: str) -> XComArg:
    """The task for the step of this name; its log and its return value say what it did."""

    @task(task_id=name)
    def run() -> list[str]:
        from parc.maintenance import STEPS
        from parc.settings import Settings

        context = get_current_context()
        reported = [str(act) for act in STEPS[name](Settings.from_env(), bool(context["params"]["dry_run"]))]
        print("\n".join(reported or ["nothing to do"]))
        return reported

    return run()
