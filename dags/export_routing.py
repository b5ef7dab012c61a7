"""
### Export the routing table

**Purpose.** Brings the regional assignments that take effect the day after the business date to the telephone
switch. The release is planned against what the switch holds, checked, approved by a person where needed,
activated at once, and read back.

**Grain.** One run makes one release, or none if the switch already holds the desired table.

**Late data.** Late calls do not delay a go-live: at the nightly deadline a run releases from the last
published marts, complete or not.

**Rerun.** Always safe: a release that is live is not made again. If the switch has changed since a plan was
made, the plan is stale and refused; run again for a new one.

**Triage.** `plan_release` prints the plan and says what refuses or blocks it. `approve` waits under Required
Actions; without an answer the switch keeps its table. `parc routing status` and `parc routing verify` show
what is live; `parc routing rollback` undoes the last release.
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule

from parc.findings import FindingKind, Step
from parc.orchestration.assets import MARTS
from parc.orchestration.dates import cron_of, date_param
from parc.orchestration.limits import NIGHT_FIRST
from parc.orchestration.notice import RunNotice, alert, keep_reason
from parc.orchestration.release import apply_release, approve_release, plan_release
from parc.orchestration.timetable import ParisTimetable
from parc.policy import RELEASE_DEADLINE

with DAG(
    dag_id="export_routing",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=ParisTimetable(cron_of(RELEASE_DEADLINE)),  # type: ignore[arg-type]
        assets=[MARTS],
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=20),
    on_failure_callback=RunNotice(
        FindingKind.RELEASE_RUN_FAILED,
        impact="The switch keeps its table.",
        remedy=(
            Step("see what is live", "parc routing status"),
            Step("read the plan", "parc routing plan {dates}"),
            Step("correct the cause of a refusal, then trigger export_routing again"),
        ),
    ),
    deadline=alert(
        timedelta(hours=2),
        FindingKind.RELEASE_RUN_OVERDUE,
        owner="routing",
        impact="The switch keeps its table until somebody approves; without an answer, for good.",
        remedy=(Step("read the plan, then approve or reject it", link="/required_actions"),),
    ),
    default_args={
        "owner": "routing",
        "retries": 0,
        "execution_timeout": timedelta(minutes=30),
        "weight_rule": NIGHT_FIRST,
        "on_failure_callback": keep_reason,
    },
    tags=["routing", "switch"],
    params={"business_date": date_param("Business date", "Release what is due the day after this one.")},
) as dag:
    plan, approval, release = plan_release(), approve_release(), apply_release()
    plan >> [approval, release]
    approval >> release
