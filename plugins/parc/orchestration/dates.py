"""The business dates of a run: from its trigger form, else from its schedule, never from a clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from parc.policy import night_of

ACCEPT_DATE = Param(
    False,
    type="boolean",
    title="Accept the date",
    description="The date is right, however far it is from the published dates.",
)
"""In the trigger form of a DAG that loads business dates."""


def date_param(title: str, description: str) -> Param:
    """An optional date in the trigger form."""
    return Param(None, type=["null", "string"], format="date", title=title, description=description)


def cron_of(moment: time) -> str:
    """The cron expression of a daily tick."""
    return f"{moment.minute} {moment.hour} * * *"


def business_dates(form: Mapping[str, Any], tick: datetime | None) -> list[date]:
    """The business dates of a run: `business_date`, or `first_date` to `last_date`, of its trigger form; else
    the night of its tick; none if it has neither.

    Raises AirflowFailException when the dates are the wrong way round, or are no dates.
    """
    names = ("business_date",) if form.get("business_date") else ("first_date", "last_date")
    given = [_date(name, form[name]) for name in names if form.get(name)]
    if not given:
        return [night_of(tick)] if tick else []
    first, last = given[0], given[-1]
    if last < first:
        raise AirflowFailException(f"first_date {first} is after last_date {last}; swap them")
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def _date(name: str, value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise AirflowFailException(f"{name} '{value}' is not a date such as 2012-04-25") from None
