"""
### Maintain the warehouse

**Purpose.** Keeps the warehouse from growing for ever: drops raw rows past each feed's retention, takes the
person keys from facts past theirs, drops what dead runs left behind, a year-old history of builds, old Data
Docs; renews the planner's statistics.

**Grain.** One run does all there is to do. What goes is told by the ledger and the feeds' declarations
(`retention` in `plugins/parc/feeds`) and the facts' (`retention_days` in `dbt_project`), never by the clock.

**Late data.** A date goes only when it is built and no longer waits for other dates; figures of an expired
date stay in the marts as they are. A delivery for an expired date is refused.

**Rerun.** Always safe, whenever it was killed. `dry_run` tells in the logs what a run would do.

**Triage.** A build at work, or a query that keeps a raw table locked, holds a step up: it tries again, then
run it later. "held back" in the log of `expire_raw` names the date that waits; it goes a week later.
By hand: `parc maintain`.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable

from parc.findings import FindingKind, Step
from parc.orchestration.maintenance import step
from parc.orchestration.notice import RunNotice, keep_reason

with DAG(
    dag_id="maintain_warehouse",
    doc_md=__doc__,
    # In the quiet of Sunday afternoon: after the night's builds and long before the next.
    schedule=CronTriggerTimetable("0 14 * * 0", timezone="Europe/Paris", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=5),
    on_failure_callback=RunNotice(
        FindingKind.MAINTENANCE_RUN_FAILED,
        impact="Marts and deliveries are as they were; the warehouse keeps what is to go.",
        remedy=(
            Step("trigger maintain_warehouse when no build runs"),
            Step("do the same by hand", "parc maintain", is_alternative=True),
        ),
    ),
    default_args={
        "owner": "data-platform",
        "retries": 3,  # a build may be at work
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": keep_reason,
    },
    tags=["maintenance"],
    params={"dry_run": Param(False, type="boolean", description="Only tell what would be done.")},
) as dag:
    step("expire_raw") >> step("unlink_facts") >> step("clear_orphans") >> step("analyze")
    step("prune_history")
    step("prune_data_docs")
