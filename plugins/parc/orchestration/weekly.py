"""The task that makes and sends the weekly pages."""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from parc.orchestration.dates import business_dates

log = logging.getLogger(__name__)


@task
def send_pages() -> None:
    """Write the pages of the week, and mail each to the addresses that do not have it."""
    from parc import weekly
    from parc.settings import Settings
    from parc.warehouse.logins import directorate_codes

    context = get_current_context()
    run = context["dag_run"]
    tick = run.logical_date if run.run_type in ("scheduled", "backfill") else None
    dates = business_dates(context["params"], tick)
    if not dates:
        raise AirflowSkipException("the run has no date: give one of the week in the form")
    settings = Settings.from_env()
    week = weekly.IsoWeek.of(dates[0])
    codes = directorate_codes(settings)
    made = weekly.make(settings, week, codes)
    made = weekly.send(settings, made, again=bool(context["params"]["send_again"]))
    for each in made:
        log.info("%s: %s", each.directorate_code, each.files.pdf)
    log.info(weekly.described(made, codes))
    weekly.check_sent(made)
