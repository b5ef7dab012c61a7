"""The pages of the regions and directorates: how their customers are served, and whether going live changed
that."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from parc.ui import area_queries as queries
from parc.ui import area_sums, figures
from parc.ui.area_charts import EVENTS, OverTime, draw_effect
from parc.ui.area_queries import CHANNELS, METRICS, AreaKind, PeriodStep
from parc.ui.figures import Figure, FigureRow, Marts, written
from parc.ui.language import Spoken, Texts
from parc.ui.rollout import MARKETS
from parc.ui.visitors import Platform

router = APIRouter()

DAYS_SHOWN, WEEKS_SHOWN = 92, 53
FEWEST_WEEKS = 8
"""With fewer weeks of data, days are shown unless weeks are asked for."""
Code = Annotated[str, PathParameter(pattern=r"^\w+$")]
STEP_DAYS: dict[PeriodStep, int] = {"week": 7, "day": 1}


class WantedArea(BaseModel):
    """Which market, and whether in weeks or days."""

    market: Literal["all", "fixe", "internet", "open"] = "all"
    step: PeriodStep | None = None

    @property
    def query(self) -> str:
        """As part of an address."""
        return urlencode(self.model_dump(exclude_none=True))


class AreaPage:
    """A region or directorate, and the figures that are asked for."""

    def __init__(self, marts: Marts, kind: AreaKind, wanted: WantedArea) -> None:
        """Raises HTTPException (404) if a build is published and names none of this code."""
        self._marts, self.kind, self.wanted = marts, kind, wanted
        self.code = str(marts.parameters["code"])
        self.is_built = marts.is_built
        found = marts.rows(queries.AREAS[kind])
        if marts.is_built and not found:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no {kind} {self.code}.")
        area = found[0] if found else {"name": self.code, "regions": [], "directorates": []}
        self.name = area["name"]
        counted = marts.rows(queries.DATE_COUNT)
        has_few = not counted or counted[0]["date_count"] < 7 * FEWEST_WEEKS
        self.step: PeriodStep = wanted.step or ("day" if has_few else "week")
        marts.parameters |= {
            "regions": area["regions"],
            "directorates": area["directorates"],
            "market": wanted.market,
            "market_of_wave": "fixe" if wanted.market == "all" else wanted.market,
            "days": DAYS_SHOWN if self.step == "day" else 7 * WEEKS_SHOWN,
            "step": STEP_DAYS[self.step],
        }

    @property
    def has_limits(self) -> bool:
        """Whether the weeks have natural limits: those of a region, of all markets together."""
        return self.kind == "region" and self.step == "week" and self.wanted.market == "all"

    def over_time(self, events: list[FigureRow], t: Texts) -> tuple[OverTime, OverTime]:
        """What draws the charts of the step that is shown, and those that are always of weeks."""
        return OverTime(STEP_DAYS[self.step], events, t), OverTime(STEP_DAYS["week"], events, t)

    def figures(self, over_time: OverTime, weekly: OverTime) -> list[Figure]:
        """The figures of the page, in its order."""
        of_calls = queries.LIMITS if self.has_limits else area_sums.sums(self.kind, self.step)
        limits = {"mean_value", "lower_limit", "upper_limit"} if self.has_limits else set()
        return [
            *(
                Figure(
                    name,
                    of_calls,
                    {
                        "start_date": "date",
                        "metric_value": kind,
                        "case_count": "count",
                        "is_final": "flag",
                        **(dict.fromkeys(sorted(limits), kind) | {"signal": "signal"} if limits else {}),
                    },
                    over_time.metric(kind),
                    metric=name,
                )
                for name, kind in METRICS.items()
            ),
            Figure(
                "waits",
                area_sums.waits(self.kind, self.step, self.wanted.market),
                {
                    "start_date": "date",
                    "p50_seconds": "count",
                    "p95_seconds": "count",
                    "case_count": "count",
                    "is_final": "flag",
                },
                over_time.lines("seconds", p50_seconds="link", p95_seconds="overflow"),
            ),
            Figure(
                "compared",
                area_sums.compared(self.kind),
                {
                    "start_date": "date",
                    "call_rate": "decimal",
                    "not_yet_live_call_rate": "decimal",
                    "not_yet_live_region_count": "count",
                    "is_final": "flag",
                },
                weekly.lines("decimal", call_rate="link", not_yet_live_call_rate="elsewhere"),
            ),
            Figure(
                "effect",
                queries.EFFECT,
                {
                    "market": "market",
                    "outcome": "outcome",
                    "status": "effect_status",
                    "estimate": "effect",
                    "p_value": "decimal",
                    "smallest_p_value": "decimal",
                    "minimum_detectable_effect": "effect",
                    "planning_effect": "effect",
                    "detectable_date": "date",
                    "effect_reason": "reason",
                },
                draw_effect,
            ),
            *(
                Figure(
                    name,
                    area_sums.channels(self.step),
                    {"start_date": "date", "metric_value": kind, "case_count": "count", "is_final": "flag"},
                    over_time.metric(kind),
                    metric=name,
                )
                for name, kind in CHANNELS.items()
            ),
            EVENTS_FIGURE,
        ]

    def show(self, request: Request, t: Texts) -> HTMLResponse:
        """The page."""
        drawn = self.over_time(self._marts.rows(queries.EVENTS), t)
        return figures.chart_page(
            request,
            "area",
            t,
            area=self,
            address=f"{request.scope.get('root_path', '')}/{self.kind}s/{self.code}",
            shown=self._marts.show(self.figures(*drawn), t, self.wanted.query),
            datasets={each.dataset: each.events() for each in drawn},
            of_calls=list(METRICS),
            of_channels=list(CHANNELS),
            states=self._marts.rows(queries.STATES),
            neighbours=self._marts.rows(queries.NEIGHBOURS),
            markets=("all", *MARKETS),
            event_colours=EVENTS,
            written=written,
        )

    def download(self, name: str, t: Texts) -> Response:
        """A figure of the page as CSV."""
        return self._marts.download(figures.one(self.figures(*self.over_time([], t)), name), t)


EVENTS_FIGURE = Figure(
    "events",
    queries.EVENTS,
    {"event_date": "date", "event": "event", "event_words": "text"},
    lambda rows, t: None,
)


@router.get("/regions/{code}")
def show_region(
    request: Request, settings: Platform, t: Spoken, code: Code, wanted: Annotated[WantedArea, Query()]
) -> HTMLResponse:
    """Show a region of 2012."""
    with figures.marts(settings, {"code": code}) as marts:
        return AreaPage(marts, "region", wanted).show(request, t)


@router.get("/regions/{code}/{name}.csv")
def download_region(
    settings: Platform, t: Spoken, code: Code, name: str, wanted: Annotated[WantedArea, Query()]
) -> Response:
    """A figure of a region as CSV."""
    with figures.marts(settings, {"code": code}) as marts:
        return AreaPage(marts, "region", wanted).download(name, t)


@router.get("/directorates/{code}")
def show_directorate(
    request: Request, settings: Platform, t: Spoken, code: Code, wanted: Annotated[WantedArea, Query()]
) -> HTMLResponse:
    """Show a regional directorate."""
    with figures.marts(settings, {"code": code}) as marts:
        return AreaPage(marts, "directorate", wanted).show(request, t)


@router.get("/directorates/{code}/{name}.csv")
def download_directorate(
    settings: Platform, t: Spoken, code: Code, name: str, wanted: Annotated[WantedArea, Query()]
) -> Response:
    """A figure of a directorate as CSV."""
    with figures.marts(settings, {"code": code}) as marts:
        return AreaPage(marts, "directorate", wanted).download(name, t)
