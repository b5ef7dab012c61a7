"""When the night's work is done, and the business dates of a run: from its parameters, else from its
schedule; never from a clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

PARIS = ZoneInfo("Europe/Paris")

DEADLINE = time(5, 0)
"""When the marts are built with what has come by then (Europe/Paris)."""

WAIT_ENDS = timedelta(minutes=15)
"""So long before the deadline an ingest no longer waits for its delivery: time to load what there is, and to
say what is missing."""

LOOK_EVERY = timedelta(minutes=5)
"""How often a run that waits for its delivery looks for it."""


ACCEPT_DATE = Param(
    False,
    type="boolean",
    title="Accept the date",
    description="The date is right, however far it is from what is published.",
)
"""Of a trigger form that names business dates to load."""


def date_param(title: str, description: str) -> Param:
    """An optional date in the trigger form."""
    return Param(None, type=["null", "string"], format="date", title=title, description=description)


def cron_of(moment: time) -> str:
    """The cron expression of a daily tick."""
    return f"{moment.minute} {moment.hour} * * *"


def night_of(logical_date: datetime) -> date:
    """The business date a nightly tick works on: the day that ended before it, in Europe/Paris."""
    return logical_date.astimezone(PARIS).date() - timedelta(days=1)


def waits_until(logical_date: datetime) -> datetime:
    """The instant (UTC) up to which a nightly tick waits for its delivery."""
    deadline = datetime.combine(logical_date.astimezone(PARIS).date(), DEADLINE, PARIS)
    return deadline.astimezone(UTC) - WAIT_ENDS


def given_dates(params: Mapping[str, Any]) -> list[date]:
    """Business dates `first_date` to `last_date` of a trigger form; none where it names none.

    Raises AirflowFailException when they are the wrong way round.
    """
    given = [params[name] for name in ("first_date", "last_date") if params.get(name)]
    if not given:
        return []
    start, end = date.fromisoformat(given[0]), date.fromisoformat(given[-1])
    if end < start:
        raise AirflowFailException(f"first_date {start} is after last_date {end}; swap them")
    return [start + timedelta(days=day) for day in range((end - start).days + 1)]


def business_dates(context: Mapping[str, Any]) -> list[date]:
    """Business dates of a run: those of its trigger form, else the night of its tick.

    Raises AirflowFailException when a run without a tick names no date.
    """
    given = given_dates(context["params"])
    if given:
        return given
    logical_date = context["dag_run"].logical_date
    if logical_date is None:
        raise AirflowFailException(
            "this run has no scheduled date: trigger it with first_date (and last_date for a range)"
        )
    return [night_of(logical_date)]
