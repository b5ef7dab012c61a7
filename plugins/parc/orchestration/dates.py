"""The business dates of a run: from its parameters, else from its schedule; never from a clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

PARIS = ZoneInfo("Europe/Paris")


def date_param(title: str, description: str) -> Param:
    """An optional date in the trigger form."""
    return Param(None, type=["null", "string"], format="date", title=title, description=description)


def night_of(logical_date: datetime) -> date:
    """The business date a nightly tick works on: the day that ended before it, in Europe/Paris."""
    return logical_date.astimezone(PARIS).date() - timedelta(days=1)


def business_dates(context: Mapping[str, Any]) -> list[date]:
    """Business dates of a run: `first_date` to `last_date` of its parameters, else the night of its tick.

    Raises AirflowFailException when a run without a tick names no date.
    """
    params = context["params"]
    first, last = params.get("first_date"), params.get("last_date")
    if first or last:
        start, end = date.fromisoformat(first or last), date.fromisoformat(last or first)
        if end < start:
            raise AirflowFailException(f"first_date {start} is after last_date {end}; swap them")
        return [start + timedelta(days=day) for day in range((end - start).days + 1)]
    logical_date = context["dag_run"].logical_date
    if logical_date is None:
        raise AirflowFailException(
            "this run has no scheduled date: trigger it with first_date (and last_date for a range)"
        )
    return [night_of(logical_date)]
