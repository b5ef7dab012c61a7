"""
### Load what came late

**Purpose.** Looks, all day long, whether deliveries lie in the landing zone that were not there or were
others when they were looked at last, and loads just these: late, restated and sent again.

**Grain.** One run looks at all feeds over the last 35 business dates, or over the dates named when it is
triggered by hand; one ingest per feed and date. Nothing new: the run skips.

**Late data.** This is where it is loaded. The feeds of which something was published make `build_marts` run,
which recomputes these dates; `export_routing` follows. A delivery that is still being written (changed within
the last five minutes without a control file, for one) is left for the next look.

**Rerun.** Always safe. A delivery that was refused is not read again until other files lie there.

**Triage.** `report` names the delivery and the reason; the others of the run are published. What is due and
has not come: `parc status`.
"""

from datetime import timedelta

from airflow.sdk import DAG
from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable

from parc.findings import FindingKind, Step
from parc.orchestration.dates import ACCEPT_DATE, date_param
from parc.orchestration.ingest import report
from parc.orchestration.late import load
from parc.orchestration.limits import NIGHT_FIRST
from parc.orchestration.notice import RunNotice, keep_reason

with DAG(
    dag_id="ingest_late",
    doc_md=__doc__,
    # The first look is just after the nightly build began, the second in time for the night's release.
    schedule=CronTriggerTimetable("10,40 5-23 * * *", timezone="Europe/Paris", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    on_failure_callback=RunNotice(
        FindingKind.LATE_RUN_FAILED,
        impact="The published days are as they were; what else came late is published.",
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
        "first_date": date_param("First business date", "Look from this day on, instead of the last 35."),
        "last_date": date_param("Last business date", "Look up to this day; else at the first alone."),
        "accept_date": ACCEPT_DATE,
    },
) as dag:
    load() >> report()
