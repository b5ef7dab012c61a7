"""
### Load late deliveries

**Purpose.** Twice an hour, loads deliveries that are new or have changed since the last look: late, restated
and sent again.

**Grain.** One run looks at all feeds over the last 35 business dates, or over the dates that you name when
you trigger it. Each feed and date is loaded on its own. If nothing is new, the run is skipped.

**Late data.** This DAG loads it. If something was published, `build_marts` runs and recomputes these dates,
then `export_routing` runs. A delivery that is still being written (for example: changed within the last five
minutes, without a control file) is left for the next look.

**Rerun.** Always safe. A refused delivery is not read again until its files change.

**Triage.** `report` names the delivery and the reason; the others of the run are published. `parc status`
lists what is due and has not arrived.
"""

from datetime import timedelta

from airflow.sdk import DAG

from parc.findings import FindingKind, Step
from parc.orchestration.dates import ACCEPT_DATE, date_param
from parc.orchestration.ingest import report
from parc.orchestration.late import load
from parc.orchestration.limits import NIGHT_FIRST
from parc.orchestration.notice import RunMended, RunNotice, keep_reason
from parc.orchestration.timetable import ParisTimetable

with DAG(
    dag_id="ingest_late",
    doc_md=__doc__,
    # The first look is just after the nightly build starts, the second in time for the night's release.
    schedule=ParisTimetable("10,40 5-23 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    on_success_callback=RunMended(),
    on_failure_callback=RunNotice(
        FindingKind.LATE_RUN_FAILED,
        impact="The published days are as they were; all other late deliveries are published.",
        remedy=(Step("have it sent again: the next look loads it, at ten and forty past"),),
    ),
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(hours=2),
        "weight_rule": NIGHT_FIRST,
        "on_failure_callback": keep_reason,
    },
    tags=["ingest", "late"],
    params={
        "first_date": date_param("First business date", "First day to look at; default: the last 35 days."),
        "last_date": date_param("Last business date", "Last day to look at; default: the first day alone."),
        "accept_date": ACCEPT_DATE,
    },
) as dag:
    load() >> report()
