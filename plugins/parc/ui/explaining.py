"""Where the calls of one number go, by the table on the switch as the warehouse recorded it.

The number comes in the body of a form and stays in this process: it is in no address, no answer, no log and
no table. The database gets its key and first digits, and gives the rows that decide the call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time
from http import HTTPStatus
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import StringConstraints

from parc import routing
from parc.instants import PARIS
from parc.ledger import releases
from parc.ledger.releases import RecordedRelease
from parc.ledger.write_questions import AskedTooOften
from parc.loading.dates import EARLIEST, LATEST
from parc.numbers import e164
from parc.routing.table.decision import Decision
from parc.routing.table.desired import horizon
from parc.settings import Settings
from parc.ui import figures
from parc.ui.figures import FigureRow, Marts
from parc.ui.html import page
from parc.ui.language import Spoken, Texts
from parc.ui.visitors import Platform, SignedIn, Visitor, from_our_pages
from parc.warehouse import connect

router = APIRouter()

LONGEST_NUMBER = 64
BUSY_TIME = time(10)
"""When sites are open: asked about first where the table is not made for today."""

SERVICES = "select dialled_number, market from marts.routing_services order by dialled_number"
REGION = """
select
    zones.region_code,
    dim_region.region_name,
    rollout.status,
    rollout.planned_go_live_date,
    rollout.as_of_date
from reference.zones as zones
inner join marts.dim_region as dim_region on zones.region_code = dim_region.region_code
left join marts.mart_parc_rollout as rollout
    on zones.region_code = rollout.region_code and rollout.market = %(market)s
where zones.zone_code = %(zone_code)s
"""

Dialled = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9+*#]{1,32}$")]


@dataclass(frozen=True)
class QuestionForm:
    """What the form offers and shows: the service numbers, the one chosen, and when. Never a number."""

    services: list[FigureRow]
    dialled: str
    at: datetime | None


@dataclass(frozen=True)
class NumberAnswer:
    """What is said about a number: a decision, or the sentence why there is none; with `retry_seconds` if it
    may be asked again."""

    decision: Decision | None = None
    sentence: str = ""
    status: HTTPStatus = HTTPStatus.OK
    retry_seconds: int | None = None


def may_explain(visitor: SignedIn, t: Spoken) -> None:
    """Raises HTTPException (403) unless the visitor is an engineer or an approver."""
    if not visitor.may_explain:
        raise HTTPException(HTTPStatus.FORBIDDEN, t("explain.may_not"))


@router.post("/routing/explain", dependencies=[Depends(from_our_pages), Depends(may_explain)])
def explain_number(
    request: Request,
    settings: Platform,
    visitor: SignedIn,
    t: Spoken,
    dialled: Annotated[Dialled, Form()],
    number: Annotated[str, Form()] = "",
    at: Annotated[datetime | None, Form()] = None,
) -> HTMLResponse:
    """Show where a call goes and what decides it, as `parc routing explain` does; `at` is in Paris time."""
    when = at or datetime.now(PARIS)
    when = when if when.tzinfo else when.replace(tzinfo=PARIS)
    answer = _answer(settings, visitor, t, number, dialled, when)
    decision = answer.decision
    parameters = {"zone_code": decision and decision.zone_code, "market": decision and decision.market}
    with figures.marts(settings, parameters) as marts:
        shown = page(
            request,
            "explained",
            t=t,
            status=answer.status,
            answer=answer,
            region=next(iter(marts.rows(REGION)), None) if decision else None,
            live=releases.last_activated(marts.connection),
            dialled=dialled,
            when=when,
            question=QuestionForm(marts.rows(SERVICES), dialled, at),
        )
    if answer.retry_seconds:
        shown.headers["Retry-After"] = str(answer.retry_seconds)
    return shown


def form_of(marts: Marts, live: RecordedRelease | None) -> QuestionForm:
    """The form as it is before anything is asked. Where the table's windows do not cover today, it asks about
    the day that the table was made for."""
    services = marts.rows(SERVICES)
    at = None
    if live and live.effective_date:
        first, end = horizon(live.effective_date)
        if not first <= datetime.now(PARIS).date() < end:
            at = datetime.combine(live.effective_date, BUSY_TIME)
    return QuestionForm(services, services[0]["dialled_number"] if services else "", at)


def _answer(
    settings: Settings, visitor: Visitor, t: Texts, number: str, dialled: str, when: datetime
) -> NumberAnswer:
    if not EARLIEST.year <= when.year <= LATEST.year:
        return NumberAnswer(None, t("explain.no_instant"), HTTPStatus.UNPROCESSABLE_ENTITY)
    known = pl.select(e164(pl.lit(number))).item() if len(number) <= LONGEST_NUMBER else ""
    if known is None:
        return NumberAnswer(None, t("explain.withheld"))
    if not known:
        return NumberAnswer(None, t("explain.no_number"), HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with connect(settings, "reader") as connection:
            decision = routing.explain_recorded(
                settings, connection, known, dialled, when, asked_by=visitor.name
            )
    except AskedTooOften as refused:
        seconds = max(math.ceil((refused.free_at - datetime.now(PARIS)).total_seconds()), 1)
        free_at = f"{refused.free_at.astimezone(PARIS):%H:%M:%S}"
        sentence = t("explain.too_often", most=refused.most_questions, free_at=free_at)
        return NumberAnswer(None, sentence, HTTPStatus.TOO_MANY_REQUESTS, seconds)
    return NumberAnswer(decision, "" if decision else t("explain.not_recorded"))
