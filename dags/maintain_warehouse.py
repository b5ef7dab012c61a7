"""
### Maintain the warehouse

**Purpose.** Keeps the warehouse from growing for ever. Drops raw rows past each feed's retention, removes the
person keys from facts past theirs, and deletes what dead runs left behind, build history older than a year
and old Data Docs. Refreshes the planner's statistics.

**Grain.** One run does everything that is due. The ledger, the feeds' declarations (`retention` in
`plugins/parc/feeds`) and the facts' (`retention_days` in `dbt_project`) decide what is removed, never the
clock.

**Late data.** A date is removed only once it is built and no longer waits for other dates. The figures of a
removed date stay in the marts. A delivery for a removed date is refused.

**Rerun.** Always safe, wherever a run was killed. With `dry_run` the logs say what a run would do.

**Triage.** A running build, or a query that locks a raw table, holds up a step: it retries; otherwise run it
later. "held back" in the log of `expire_raw` names the date that waits; it is removed a week later. On the
command line: `parc maintain`.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from parc.findings import FindingKind, Step
from parc.orchestration.maintenance import step
from parc.orchestration.notice import RunMended, RunNotice, keep_reason
from parc.orchestration.timetable import ParisTimetable

with DAG(
    dag_id="maintain_warehouse",
    doc_md=__doc__,
    # A quiet time: Sunday afternoon, well after one night's builds and before the next.
    schedule=ParisTimetable("0 14 * * 0"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=5),
    on_success_callback=RunMended(),
    on_failure_callback=RunNotice(
        FindingKind.MAINTENANCE_RUN_FAILED,
        impact="Marts and deliveries are as they were; the warehouse keeps what should be removed.",
        remedy=(
            Step("trigger maintain_warehouse when no build runs"),
            Step("do the same by hand", "parc maintain", is_alternative=True),
        ),
    ),
    default_args={
        "owner": "data-platform",
        "retries": 3,  # a build may be running
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": keep_reason,
    },
    tags=["maintenance"],
    params={"dry_run": Param(False, type="boolean", description="Only report what would be done.")},
) as dag:
    step("expire_raw") >> step("unlink_facts") >> step("clear_orphans") >> step("analyze")
    step("prune_history")
    step("prune_data_docs")
