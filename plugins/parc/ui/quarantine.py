"""The rows in quarantine across feeds, on a page and as a table to download."""

from __future__ import annotations

import csv
from dataclasses import fields
from datetime import date
from io import StringIO
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, BeforeValidator, Field

from parc.feeds import FEEDS
from parc.ledger import quarantine
from parc.ledger.quarantine import RejectedRowOfDelivery
from parc.printable import csv_cell
from parc.settings import Settings
from parc.ui.html import page
from parc.ui.language import Spoken
from parc.ui.visitors import Platform
from parc.warehouse import connect

router = APIRouter()

RULES_SHOWN = ROWS_SHOWN = 200
ROWS_DOWNLOADED = 100_000

_Blank = BeforeValidator(lambda text: text or None)


class Wanted(BaseModel):
    """Which rows are asked for; what a form leaves blank is any."""

    feed: Annotated[str | None, _Blank] = None
    day: Annotated[date | None, _Blank, Field(alias="date")] = None
    reason: Annotated[str | None, _Blank] = None

    @property
    def query(self) -> str:
        """As part of an address."""
        return urlencode(self.model_dump(by_alias=True, exclude_none=True))

    def rows(self, settings: Settings, limit: int) -> list[RejectedRowOfDelivery]:
        """The first of these rows."""
        with connect(settings, "reader") as connection:
            return quarantine.rows_across_feeds(
                connection, feed=self.feed, business_date=self.day, reason=self.reason, limit=limit
            )


@router.get("/quarantine")
def show_quarantine(
    request: Request, settings: Platform, t: Spoken, wanted: Annotated[Wanted, Query()]
) -> HTMLResponse:
    """Show which rules were broken, how often and in which deliveries, then the rows."""
    with connect(settings, "reader") as connection:
        rules = quarantine.by_rule(connection, wanted.feed, wanted.day)
    found = [rule for rule in rules if wanted.reason in (None, rule.reason)]
    broken = {rule.delivery_id: rule.rows_rejected for rule in found}
    return page(
        request,
        "quarantine",
        t=t,
        wanted=wanted,
        feeds=sorted(FEEDS),
        reasons=sorted({rule.reason for rule in rules}),
        rules=found,
        listed_count=sum(rule.row_count for rule in found),
        broken_count=sum(broken.values()),
        delivery_count=len(broken),
        rows=wanted.rows(settings, ROWS_SHOWN),
        rules_shown=RULES_SHOWN,
        rows_downloaded=ROWS_DOWNLOADED,
    )


@router.get("/quarantine.csv")
def download_quarantine(settings: Platform, wanted: Annotated[Wanted, Query()]) -> Response:
    """The rows as CSV, personal columns masked."""
    columns = [field.name for field in fields(RejectedRowOfDelivery)]
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in wanted.rows(settings, ROWS_DOWNLOADED):
        values = (getattr(row, name) for name in columns)
        writer.writerow([csv_cell(",".join(each) if isinstance(each, list) else each) for each in values])
    attached = {"Content-Disposition": 'attachment; filename="quarantine.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=attached)
