"""The task that loads deliveries that arrived late, were restated or were sent again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Any

from airflow.sdk import AssetAlias, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from parc.feeds import IN_LOADING_ORDER
from parc.orchestration.assets import feed_asset
from parc.orchestration.dates import business_dates
from parc.orchestration.ingest import accepted_dates_of, event_of, load_deliveries, refuse_dates
from parc.orchestration.limits import LOADING
from parc.policy import dates_looked_at, new_deliveries, night_of

log = logging.getLogger(__name__)

LATE = AssetAlias("late_deliveries")
"""Stands for the feeds of which a run publishes something: only the run knows which."""


@task(
    outlets=[LATE],
    pool=LOADING,
    doc_md="Read, check and publish deliveries that are new or have changed since the last look.",
)
def load() -> None:
    """Load what the ledger has not seen, and emit an event for each feed of which something was published."""
    from parc.loading import not_built, overlooked
    from parc.settings import Settings

    context = get_current_context()
    settings = Settings.from_env()
    first, last = dates_of(context)
    log.info("business dates %s to %s", first, last)
    accepted_dates = accepted_dates_of(context, last)
    refuse_dates(accepted_dates, "business date", [first, last])
    published = load_deliveries(new_deliveries(settings, first, last), accepted_dates=accepted_dates)
    if context["dag_run"].run_type == "scheduled":
        for stray in overlooked(settings, first):
            log.warning("%s", stray)
    if context["ti"].try_number > 1:  # what an earlier try published before it was killed
        for feed in IN_LOADING_ORDER:
            for day in not_built(settings, feed) - published.get(feed, {}).keys():
                published.setdefault(feed, {})[day] = 0
    if not published:
        raise AirflowSkipException("nothing in the landing zone is new, or nothing new could be published")
    for feed, rows_by_date in published.items():
        context["outlet_events"][LATE].add(feed_asset(feed), extra=event_of(rows_by_date))


def dates_of(context: Mapping[str, Any]) -> tuple[date, date]:
    """The first and the last business date of a look: those of the trigger form, else the last nights."""
    run = context["dag_run"]
    dates = business_dates(context["params"], None)
    if dates:
        return dates[0], dates[-1]
    return dates_looked_at(night_of(run.logical_date or run.run_after))
