"""The page of the rollout: which regions are live, the waves against their plan, who answers."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, BeforeValidator, Field

from parc.ui import figures
from parc.ui import rollout_queries as queries
from parc.ui.figures import Figure, FigureRow, written
from parc.ui.language import Spoken
from parc.ui.rollout_charts import draw_answers, draw_waves
from parc.ui.tiles import tile_map
from parc.ui.visitors import Platform

router = APIRouter()

Market = Literal["fixe", "internet", "open"]
MARKETS: tuple[Market, ...] = ("fixe", "internet", "open")
STATUSES = ("live", "stalled", "late", "reverted", "planned", "unplanned")
"""As in mart_parc_rollout_daily."""
DAYS_SHOWN = 7 * 53
LEVELS = 5
"""Colours of the home-region rate, each for a fifth."""


class WantedRollout(BaseModel):
    """Which market, which day (the newest if blank), and what the map's colours say."""

    market: Market = "fixe"
    day: Annotated[date | None, BeforeValidator(lambda text: text or None), Field(alias="date")] = None
    colour: Literal["status", "rate"] = "status"

    def parameters(self) -> dict[str, Any]:
        """As the queries take them."""
        return {"market": self.market, "day": self.day, "days": DAYS_SHOWN}

    @property
    def query(self) -> str:
        """As part of an address."""
        return urlencode(self.model_dump(by_alias=True, exclude_none=True))


FIGURES = [
    Figure(
        "map",
        queries.MAP,
        {
            "business_date": "date",
            "region_code": "text",
            "region_name": "place",
            "status": "status",
            "planned_go_live_date": "date",
            "observed_go_live_date": "date",
            "home_in_hours_count": "count",
            "in_hours_known_answered_count": "count",
            "home_region_rate": "share",
        },
        lambda rows, t: None,
    ),
    Figure(
        "waves",
        queries.WAVES,
        {
            "wave": "count",
            "region_code": "text",
            "region_name": "place",
            "planned_go_live_date": "date",
            "observed_go_live_date": "date",
            "slip_days": "count",
            "status": "status",
        },
        draw_waves,
    ),
    Figure(
        "answers",
        queries.ANSWERS,
        {
            "week_start_date": "date",
            "answered_by": "answered_by",
            "answered_count": "count",
            "answered_share": "share",
            "is_whole_period": "flag",
        },
        draw_answers,
    ),
]


@router.get("/rollout")
def show_rollout(
    request: Request, settings: Platform, t: Spoken, wanted: Annotated[WantedRollout, Query()]
) -> HTMLResponse:
    """Show where the rollout stands: a map of any day, the waves, and who answers."""
    with figures.marts(settings, wanted.parameters()) as marts:
        past = marts.rows(queries.HISTORY)
        shown = marts.show(FIGURES, t, wanted.query)
    found, dates = shown["map"].rows, history(past)
    day = found[0]["business_date"] if found else None
    return figures.chart_page(
        request,
        "rollout",
        t,
        wanted=wanted,
        markets=MARKETS,
        statuses=STATUSES,
        levels=LEVELS,
        shown=shown,
        day=day,
        regions={row["region_code"]: row for row in found},
        tiles=tile_map(settings),
        level=level,
        written=written,
        history=dates,
        place=dates["dates"].index(str(day)) if str(day) in dates["dates"] else 0,
    )


@router.get("/rollout/{name}.csv")
def download_figure(
    settings: Platform, t: Spoken, name: str, wanted: Annotated[WantedRollout, Query()]
) -> Response:
    """A figure of this page as CSV."""
    figure = figures.one(FIGURES, name)
    with figures.marts(settings, wanted.parameters()) as marts:
        return marts.download(figure, t)


def level(home: int, known: int) -> str:
    """The colour of a home-region rate."""
    return str(min(int(LEVELS * home / known), LEVELS - 1)) if known else "none"


def history(rows: list[FigureRow]) -> dict[str, Any]:
    """For the slider: the dates, and of each region its status (as a place in `STATUSES`) and its percentage
    on each."""
    dates = sorted({row["business_date"] for row in rows})
    regions: dict[str, dict[str, list[int | None]]] = {}
    for row in rows:
        home, known = row["home_in_hours_count"], row["in_hours_known_answered_count"]
        region = regions.setdefault(row["region_code"], {"status": [], "rate": []})
        region["status"].append(STATUSES.index(row["status"]))
        region["rate"].append(int(100 * home / known) if known else None)
    return {"dates": [day.isoformat() for day in dates], "regions": regions}
