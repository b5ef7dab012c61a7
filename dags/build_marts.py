"""
### Build the marts

**Purpose.** Computes, tests and publishes the marts that BI reads. dbt recomputes the days that changed; then
all marts become visible at once.

**Grain.** One run builds everything that the ledger holds as published and not yet built, whatever triggered
it. Ninety ingested days make a few builds, not ninety.

**Late data.** A late or restated delivery triggers a run, which recomputes its day and the days whose figures
depend on it. At the nightly deadline a run builds what has arrived by then, and reports what has not.

**Rerun.** Always safe. `full_refresh` recomputes all days; the result is the same.

**Triage.** The failed task names each model or test that failed, with its error and its compiled query. BI
still sees the last good build. Fix the cause, then run again: days that are not built stay in the ledger
(`parc status`).
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule, Param

from parc.feeds import FEEDS
from parc.findings import FindingKind, Step
from parc.orchestration.assets import feed_asset
from parc.orchestration.dates import cron_of
from parc.orchestration.limits import BUILDING, NIGHT_FIRST
from parc.orchestration.marts import build_marts
from parc.orchestration.notice import RunMended, RunNotice, alert, keep_reason
from parc.orchestration.timetable import ParisTimetable
from parc.policy import DEADLINE

IMPACT = "BI sees the last good build; the switch keeps its table. The days stay unbuilt in the ledger."

with DAG(
    dag_id="build_marts",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=ParisTimetable(cron_of(DEADLINE)),  # type: ignore[arg-type]
        assets=AssetAny(*map(feed_asset, FEEDS)),
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=5),
    on_success_callback=RunMended(),
    on_failure_callback=RunNotice(
        FindingKind.BUILD_RUN_FAILED,
        impact=IMPACT,
        remedy=(
            Step("trigger build_marts again"),
            Step("build the marts", "parc build", is_alternative=True),
        ),
    ),
    deadline=alert(
        timedelta(hours=1),
        FindingKind.BUILD_RUN_OVERDUE,
        owner="data-platform",
        impact=IMPACT,
        remedy=(Step("read its log"), Step("see what the platform is doing", "parc status")),
    ),
    default_args={
        "owner": "data-platform",
        "pool": BUILDING,
        "retries": 3,  # another build may hold the lock
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(hours=1),
        "weight_rule": NIGHT_FIRST,
        "on_failure_callback": keep_reason,
    },
    tags=["marts"],
    params={"full_refresh": Param(False, type="boolean", description="Recompute all days.")},
) as dag:
    build_marts()
