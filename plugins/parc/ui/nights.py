"""The page of the last nights: when each feed came and BI saw it, and how long that took over the weeks."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from parc.ledger import due
from parc.ui import punctuality
from parc.ui.html import page
from parc.ui.language import Spoken
from parc.ui.visitors import Platform
from parc.warehouse import connect

router = APIRouter()

NIGHTS_SHOWN = 35


@router.get("/nights")
def show_nights(request: Request, settings: Platform, t: Spoken) -> HTMLResponse:
    """Show the last nights, and the weeks that they make."""
    now = datetime.now(UTC)
    with connect(settings, "reader") as connection:
        newest = due.newest_night(connection)
        found = punctuality.nights(settings, connection, newest, NIGHTS_SHOWN) if newest else []
    while found and not any(each.passage for each in found[-1].feeds):
        found.pop()  # before the first delivery
    weeks = list(punctuality.weeks(found, now))
    return page(request, "nights", t=t, nights=found, weeks=weeks, now=now)
