"""
### Back up the warehouse

**Purpose.** Copies the embedded server to `PARC_BACKUPS`, verifies the copy, and removes what is too old. The
server's log is kept there all the time, so that any moment since the copy can be restored.

**Grain.** One run is one backup. Where no backups are kept, or others run the PostgreSQL, the run is skipped
and says so.

**Late data.** None is concerned.

**Rerun.** Always safe: it takes another backup.

**Triage.** The log says what failed; nothing of the platform waits for a backup. A full disk needs room, or
fewer days (`PARC_BACKUP_DAYS`). On the command line: `parc backup`.
"""

from datetime import timedelta

from airflow.sdk import DAG

from parc.findings import FindingKind, Step
from parc.orchestration.backup import take
from parc.orchestration.notice import RunMended, RunNotice, keep_reason
from parc.orchestration.timetable import ParisTimetable

with DAG(
    dag_id="back_up",
    doc_md=__doc__,
    # A quiet time: the night is through, and its approvals too.
    schedule=ParisTimetable("0 13 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=5),
    on_success_callback=RunMended(),
    on_failure_callback=RunNotice(
        FindingKind.BACKUP_RUN_FAILED,
        impact="The platform works. A restore starts from an older backup, and takes longer.",
        remedy=(
            Step("trigger back_up again"),
            Step("do the same by hand", "parc backup", is_alternative=True),
        ),
    ),
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=2),
        "on_failure_callback": keep_reason,
    },
    tags=["maintenance"],
) as dag:
    take()
