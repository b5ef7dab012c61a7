"""Refuses a trigger form whose run would fail because of its dates: at once, in one sentence.

Airflow checks each field of a form alone, so that it takes an empty one, swapped dates and next year's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException
from starlette.types import ASGIApp, Receive, Send

from parc.instants import PARIS
from parc.orchestration.dates import business_dates
from parc.ui import bodies

TRIGGER = re.compile(r"/api/v2/dags/(?P<dag_id>[\w.-]+)/dagRuns/?$")
DATED = re.compile(r"(?P<ingest>ingest_(?!late$)\w+)|ingest_late|export_routing|send_weekly_pages")
"""The DAGs that take business dates. Those that load one feed have no dates of their own."""
MOST_BODY_BYTES = 1 << 20


class TriggerForm:
    """ASGI middleware around all of Airflow's API server: sees each run that a person starts."""

    def __init__(self, app: ASGIApp, today: Callable[[], date] = lambda: datetime.now(PARIS).date()) -> None:
        """`today` returns the date in Paris."""
        self._app = app
        self._today = today

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass on what starts no run; a run unless it is certain to fail."""
        found = TRIGGER.search(scope["path"]) if scope["type"] == "http" else None
        if not found or scope["method"] != "POST" or not DATED.fullmatch(found["dag_id"]):
            await self._app(scope, receive, send)
            return
        body = await bodies.read(receive, MOST_BODY_BYTES)
        if body is None:
            await bodies.refuse(send, 413, f"A form has at most {MOST_BODY_BYTES} bytes.")
        elif why := problem(found["dag_id"], body, self._today()):
            await bodies.refuse(send, 400, why)
        else:
            await self._app(scope, bodies.again(body, receive), send)


def problem(dag_id: str, body: bytes, today: date) -> str | None:
    """Why a run with this form would fail; None if that is not certain."""
    try:
        form = json.loads(body).get("conf") or {}
        days = business_dates(form, None)
        is_accepted = form.get("accept_date")
    except AirflowFailException as error:
        return f"{dag_id}: {error}."
    except (ValueError, AttributeError):  # Airflow says what is wrong with it
        return None
    if not days:
        dated = DATED.fullmatch(dag_id)
        if dated and dated["ingest"]:
            return f"{dag_id} needs a business date: give the first one, and the last for several."
        return None
    if days[-1] > today and not is_accepted:
        way_out = " If it is right, tick Accept the date." if dag_id.startswith("ingest_") else ""
        return f"{dag_id}: {days[-1]} is after today, {today}.{way_out}"
    return None
