"""The pages' addresses, who may see them, and what a browser may do with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

import psycopg
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException as RoutingException

from parc import desk
from parc.desk.go_live import next_go_live
from parc.errors import ParcError
from parc.feeds import FACTS, FEEDS
from parc.findings import FindingKind
from parc.host import supervision
from parc.ledger import builds, deliveries, due, history, notices, pages, quarantine, releases
from parc.ledger.pages import DeliveryRow
from parc.loading import lying
from parc.settings import Settings
from parc.ui import (
    answering,
    areas,
    delivery_calendar,
    docs,
    explaining,
    figures,
    nights,
    plan_words,
    punctuality,
    reading,
    rollout,
    routing_page,
    sites,
    vega,
)
from parc.ui import quarantine as quarantine_pages
from parc.ui.html import PAGE_HEADERS, page
from parc.ui.language import Spoken
from parc.ui.outage import explained, outage_page
from parc.ui.visitors import Platform, SignedIn
from parc.warehouse import bi_address, connect

QUARANTINE_SHOWN = 200
EVENTS_SHOWN = 200

# Airflow does not protect the apps of plugins. Whoever may see its plugins may read every page here.
app = FastAPI(
    title="PARC",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
)
app.include_router(answering.router)
app.include_router(areas.router)
app.include_router(delivery_calendar.router)
app.include_router(docs.router)
app.include_router(explaining.router)
app.include_router(nights.router)
app.include_router(quarantine_pages.router)
app.include_router(rollout.router)
app.include_router(routing_page.router)
app.include_router(sites.router)
app.include_router(vega.router)


@app.middleware("http")
async def _restrict(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Tell the browser what it may do with each answer, errors too."""
    response = await call_next(request)
    for name, value in PAGE_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@app.get("/")
def show_desk(request: Request, settings: Platform, visitor: SignedIn, t: Spoken) -> HTMLResponse:
    """Show what needs attention, the last nights, the last builds and the switch."""
    findings = desk.findings(settings)
    if any(finding.kind is FindingKind.SCHEMA for finding in findings):
        return page(request, "schema", findings=findings)
    now = datetime.now(UTC)
    with connect(settings, "reader") as connection:
        newest = due.newest_night(connection)
        names = plan_words.names(figures.Marts(connection, {}))
        return page(
            request,
            "desk",
            t=t,
            visitor=visitor,
            now=now,
            night=punctuality.nights(settings, connection, newest, 1)[0] if newest else None,
            bi_address=bi_address(settings),
            findings=sorted(findings, key=lambda finding: not finding.is_wrong),
            nights=reading.last_nights(connection),
            builds=pages.builds(connection, 6),
            published=builds.published(connection),
            last_dates={feed: deliveries.newest_built_date(connection, feed) for feed in FACTS},
            release=releases.last_activated(connection),
            go_live=next_go_live(settings, connection),
            pairs_named=partial(plan_words.pairs_named, t=t, names=names),
            restarts=supervision.last(settings),
        )


@app.get("/builds")
def show_builds(request: Request, settings: Platform) -> HTMLResponse:
    """Show the last builds."""
    with connect(settings, "reader") as connection:
        return page(request, "builds", builds=pages.builds(connection, 100))


@app.get("/builds/{build_id}")
def show_build(request: Request, settings: Platform, build_id: int) -> HTMLResponse:
    """Show a build: what failed, then every model with its tests."""
    with connect(settings, "reader") as connection:
        build = reading.build_page(connection, build_id)
        if build is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no build {build_id}.")
        return page(request, "build", builds=[build], run=None)


@app.get("/releases")
def show_releases(request: Request, settings: Platform, t: Spoken) -> HTMLResponse:
    """Show what was planned for the switch, who answered, and what became of it."""
    with figures.marts(settings, {}) as marts:
        found = history.events(marts.connection, EVENTS_SHOWN)
        words = plan_words.spoken(marts, t)
    return page(request, "releases", t=t, events=found, most=EVENTS_SHOWN, words=words)


@app.get("/notices")
def show_notices(request: Request, settings: Platform) -> HTMLResponse:
    """Show what was reported of failures, to whom, and when they were mended."""
    with connect(settings, "reader") as connection:
        found = notices.reported(connection, EVENTS_SHOWN)
    return page(request, "notices", notices=found, most=EVENTS_SHOWN)


@app.get("/deliveries")
def show_deliveries(
    request: Request,
    settings: Platform,
    feed: str | None = None,
    day: Annotated[date | None, Query(alias="date")] = None,
) -> HTMLResponse:
    """Show the last deliveries; of one feed or date if these are given."""
    with connect(settings, "reader") as connection:
        found = pages.deliveries(connection, feed=feed, business_date=day)
    there = None
    if feed and feed in FEEDS and day and not found:
        there = lying(settings, [(feed, day)]).get((feed, day))
    rows = _with_docs(settings, found)
    return page(request, "deliveries", deliveries=rows, feed=feed, day=day, run=None, lying=there)


@app.get("/deliveries/{delivery_id}")
def show_delivery(request: Request, settings: Platform, delivery_id: int) -> HTMLResponse:
    """Show a delivery: its row in the ledger and its rows in quarantine."""
    with connect(settings, "reader") as connection:
        found = _with_docs(settings, pages.deliveries(connection, delivery_ids=[delivery_id]))
        if not found:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no delivery {delivery_id}.")
        delivery = found[0]
        same_day = pages.deliveries(connection, feed=delivery.feed, business_date=delivery.business_date)
        return page(
            request,
            "delivery",
            delivery=delivery,
            same_day=same_day,
            reasons=pages.rule_counts(connection, delivery_id),
            kept=quarantine.count(connection, delivery_id),
            rows=quarantine.rows(connection, delivery_id, QUARANTINE_SHOWN),
            rows_shown=quarantine.shown,
        )


@app.get("/run/models")
def show_models_of_run(request: Request, settings: Platform, dag_id: str, run_id: str) -> HTMLResponse:
    """Show the builds of an Airflow run: its own, else those with what it loaded or released."""
    with connect(settings, "reader") as connection:
        run = pages.products(connection, dag_id, run_id)
        builds = [found for each in run.build_ids if (found := reading.build_page(connection, each))]
    return page(request, "build", builds=builds, run=run)


@app.get("/run/deliveries")
def show_deliveries_of_run(request: Request, settings: Platform, dag_id: str, run_id: str) -> HTMLResponse:
    """Show the deliveries of an Airflow run: those it read, else those new in its builds."""
    with connect(settings, "reader") as connection:
        run = pages.products(connection, dag_id, run_id)
        found = pages.deliveries(connection, delivery_ids=run.delivery_ids) if run.delivery_ids else []
    return page(request, "deliveries", deliveries=_with_docs(settings, found), feed=None, day=None, run=run)


@app.exception_handler(RoutingException)
def _refuse(request: Request, problem: RoutingException) -> HTMLResponse:
    status = HTTPStatus(problem.status_code)
    return page(request, "problem", status=status, title=status.phrase, what=problem.detail, steps=())


@app.exception_handler(RequestValidationError)
def _bad_request(request: Request, problem: RequestValidationError) -> HTMLResponse:
    fields = ", ".join(str(error["loc"][-1]) for error in problem.errors())
    if request.method == "POST":
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        what = f"Nothing was recorded: {fields} is empty or not valid."
        return page(request, "problem", status=status, title=status.phrase, what=what, steps=())
    what = f"No page has this address: {fields} is not valid."
    return page(request, "problem", status=HTTPStatus.NOT_FOUND, title="Not Found", what=what, steps=())


@app.exception_handler(ParcError)
@app.exception_handler(psycopg.Error)
@app.exception_handler(DBAPIError)
def _server_error(request: Request, problem: Exception) -> HTMLResponse:
    return outage_page(request, *explained(Settings.from_env(), problem))


def _with_docs(settings: Settings, rows: list[DeliveryRow]) -> list[DeliveryRow]:
    """These deliveries, without links to pages that maintenance has deleted."""
    return [
        row if row.docs_page and docs.find(settings, row.docs_page) else replace(row, docs_page=None)
        for row in rows
    ]
