"""
### Send the weekly pages

**Purpose.** Writes one page per directorate about the week that has ended, and mails it to the directorate's
addresses (`PARC_WEEKLY_ADDRESSES`), so that it is there on Monday morning.

**Grain.** One run is one week: the one that the business date is in.

**Late data.** A page says what is provisional and which delivery is missing. It is not sent again when the
delivery arrives.

**Rerun.** Always safe: the pages are written anew, and whoever has the week's page is not mailed again.
`send_again` mails all.

**Triage.** The log names the pages, and how many mails were sent. If a mail server did not take one, the run
tries again, and only those addresses get it. On the command line: `parc report --week 2012-W17 --send`.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from parc.findings import FindingKind, Step
from parc.orchestration.dates import date_param
from parc.orchestration.notice import RunMended, RunNotice, keep_reason
from parc.orchestration.timetable import ParisTimetable
from parc.orchestration.weekly import send_pages

with DAG(
    dag_id="send_weekly_pages",
    doc_md=__doc__,
    # Monday, when BI sees the night of Sunday.
    schedule=ParisTimetable("30 7 * * 1"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    on_success_callback=RunMended(),
    on_failure_callback=RunNotice(
        FindingKind.WEEKLY_RUN_FAILED,
        impact="Some directorates do not have their page of the week. Marts and switch are as they were.",
        remedy=(
            Step("trigger send_weekly_pages again with a date of the week"),
            Step("do the same by hand", "parc report --week {week} --send", is_alternative=True),
        ),
    ),
    default_args={
        "owner": "data-platform",
        "retries": 3,  # a mail server may be down
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(minutes=30),
        "on_failure_callback": keep_reason,
    },
    tags=["weekly"],
    params={
        "business_date": date_param("Business date", "Any date of the week."),
        "send_again": Param(False, type="boolean", description="Mail it to those who have it, too."),
    },
) as dag:
    send_pages()
