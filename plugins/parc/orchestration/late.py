"""The task that loads what came late, was restated or was sent again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from airflow.sdk import AssetAlias, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from parc.orchestration.assets import feed_asset
from parc.orchestration.dates import given_dates, night_of
from parc.orchestration.ingest import believed_of, event_of, load_deliveries, refuse_dates
from parc.orchestration.limits import LOADING

log = logging.getLogger(__name__)

LATE = AssetAlias("late_deliveries")
"""Stands for the feeds of which a run finds something new: which, only the run knows."""

NIGHTS = 35
"""How far back a look goes: the month that may still be restated, and its first snapshots."""


@task(
    outlets=[LATE],
    pool=LOADING,
    doc_md="Read, check and publish what lies in the landing zone otherwise than when it was looked at last.",
)
def load() -> None:
    """Load what the ledger has not seen, and tell the consumers of the feeds of which something is new."""
    from parc.feeds import FEEDS
    from parc.loading import not_built, unseen
    from parc.settings import Settings

    context = get_current_context()
    settings = Settings.from_env()
    first, last = dates_looked_at(context)
    log.info("business dates %s to %s", first, last)
    believed = believed_of(context, last)
    refuse_dates(believed, "business date", [first, last])
    published = load_deliveries(unseen(settings, first, last), believed=believed)
    if context["ti"].try_number > 1:  # what a try published that was killed before it could tell
        for feed in FEEDS:
            for day in not_built(settings, feed) - published.get(feed, {}).keys():
                published.setdefault(feed, {})[day] = 0
    if not published:
        raise AirflowSkipException(
            "nothing new lies in the landing zone, or nothing of it could be published"
        )
    for feed, rows_by_date in published.items():
        context["outlet_events"][LATE].add(feed_asset(feed), extra=event_of(rows_by_date))


def dates_looked_at(context: Mapping[str, Any]) -> tuple[date, date]:
    """First and last business date of a look: those of the trigger form, else the nights before it."""
    given = given_dates(context["params"])
    if given:
        return given[0], given[-1]
    run = context["dag_run"]
    last = night_of(run.logical_date or run.run_after)
    return last - timedelta(days=NIGHTS - 1), last
