"""The pages of the sites: when they are busy, whom they planned, what the routing table was to bring them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from parc.ledger import site_work
from parc.ui import figures
from parc.ui import site_queries as queries
from parc.ui.figures import Figure, FigureRow, Marts, Shown
from parc.ui.language import Spoken
from parc.ui.site_charts import draw_load, draw_runs, draw_sites, lines
from parc.ui.visitors import Platform

router = APIRouter()

DAYS_SHOWN = 28
"""Four of each weekday."""

SITES = Figure(
    "sites",
    queries.SITES,
    {
        "site_name": "place",
        "directorate_name": "place",
        "occupancy": "share",
        "busy_half_hour_count": "count",
        "open_half_hour_count": "count",
        "longest_busy_run_half_hours": "count",
        "answered_count": "count",
    },
    draw_sites,
)
PREDICTED = Figure(
    "predicted",
    queries.ACTUAL,
    {
        "weekday": "weekday",
        "half_hour_local": "time",
        "predicted_work_agents": "decimal",
        "work_agents": "decimal",
        "predicted_queued_leg_count": "decimal",
        "queued_leg_count": "decimal",
        "date_count": "count",
    },
    lines(predicted_work_agents="warn", work_agents="link"),
)
OF_A_SITE = [
    Figure(
        "load",
        queries.LOAD,
        {
            "weekday": "weekday",
            "half_hour_local": "time",
            "occupancy": "share",
            "handle_seconds": "seconds",
            "position_seconds": "count",
            "queued_leg_count": "count",
            "date_count": "count",
        },
        draw_load,
    ),
    Figure(
        "positions",
        queries.POSITIONS,
        {
            "half_hour_local": "time",
            "position_count": "decimal",
            "agent_count": "decimal",
            "work_agents": "decimal",
            "date_count": "count",
        },
        lines(position_count="good", agent_count="warn", work_agents="link"),
    ),
    Figure(
        "runs",
        queries.RUNS,
        {
            "business_date": "date",
            "longest_busy_run_half_hours": "count",
            "busy_half_hour_count": "count",
            "open_half_hour_count": "count",
            "is_final": "flag",
        },
        draw_runs,
    ),
]


@router.get("/sites")
def show_sites(request: Request, settings: Platform, t: Spoken) -> HTMLResponse:
    """Show all sites, the busiest first."""
    with figures.marts(settings, {"days": DAYS_SHOWN}) as marts:
        shown = marts.show([SITES], t)
        return figures.chart_page(request, "sites", t, shown=shown, is_built=marts.is_built, days=DAYS_SHOWN)


@router.get("/sites.csv")
def download_sites(settings: Platform, t: Spoken) -> Response:
    """All sites as CSV."""
    with figures.marts(settings, {"days": DAYS_SHOWN}) as marts:
        return marts.download(SITES, t)


@router.get("/sites/{code}")
def show_site(request: Request, settings: Platform, t: Spoken, code: str) -> HTMLResponse:
    """Show a site."""
    with figures.marts(settings, {"site": code, "days": DAYS_SHOWN}) as marts:
        site = _site(marts, code)
        shown = marts.show(OF_A_SITE, t)
        shown["predicted"] = Shown(PREDICTED, predicted(marts, code), t, "")
    return figures.chart_page(
        request,
        "site",
        t,
        site=site,
        shown=shown,
        address=f"{request.scope.get('root_path', '')}/sites/{code}",
        days=DAYS_SHOWN,
    )


@router.get("/sites/{code}/{name}.csv")
def download_site(settings: Platform, t: Spoken, code: str, name: str) -> Response:
    """A figure of a site as CSV."""
    figure = figures.one([*OF_A_SITE, PREDICTED], name)
    with figures.marts(settings, {"site": code, "days": DAYS_SHOWN}) as marts:
        _site(marts, code)
        if figure is PREDICTED:
            return figures.attached(Shown(PREDICTED, predicted(marts, code), t, ""))
        return marts.download(figure, t)


def predicted(marts: Marts, code: str) -> list[FigureRow]:
    """By half-hour of the week, the agents that the live release was to keep busy at a site, and those that
    its calls have kept busy since; none if nothing was predicted."""
    expected = site_work.of_live_release(marts.connection, code)
    if not expected:
        return []
    marts.parameters["since"] = expected[0].effective_date
    actual: dict[Any, FigureRow] = {
        (row["weekday"], row["half_hour_local"]): row for row in marts.rows(queries.ACTUAL)
    }
    rows = []
    for each in expected:
        found = actual.get((each.weekday, each.half_hour_local), {})
        rows.append(
            {
                "weekday": each.weekday,
                "half_hour_local": each.half_hour_local,
                "predicted_work_agents": each.handle_seconds / queries.HALF_HOUR_SECONDS,
                "work_agents": found.get("work_agents"),
                "predicted_queued_leg_count": each.call_count,
                "queued_leg_count": found.get("queued_leg_count"),
                "date_count": found.get("date_count", 0),
            }
        )
    return rows


def _site(marts: Marts, code: str) -> FigureRow | None:
    found = marts.rows(queries.SITE)
    if marts.is_built and not found:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no site {code}.")
    return found[0] if found else None
