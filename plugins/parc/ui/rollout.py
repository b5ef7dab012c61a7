"""The page of the rollout: which regions are live, the waves against their plan, who answers."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, BeforeValidator, Field

from parc.ui import drawing, figures
from parc.ui.drawing import layer
from parc.ui.figures import Figure, Row, Spec, written
from parc.ui.language import NOTHING, Spoken, Texts
from parc.ui.tiles import tile_map
from parc.ui.visitors import Platform

router = APIRouter()

Market = Literal["fixe", "internet", "open"]
MARKETS: tuple[Market, ...] = ("fixe", "internet", "open")
STATUSES = ("live", "stalled", "late", "reverted", "planned", "unplanned")
"""As in mart_parc_rollout_daily."""
LEVELS = 5
"""Colours of the home-region rate, each for a fifth."""
ANSWERED_BY = {
    "home_in_hours": "home",
    "home_off_hours": "home-off",
    "other_directorate": "other",
    "offshore_in_hours": "overflow",
    "offshore_off_hours": "offshore",
    "other_site": "elsewhere",
}
"""Who answers, as the six counts of mart_service_quality_daily tell them, and the colour of each."""


class Wanted(BaseModel):
    """Which market, which day (the newest if blank), and what the map's colours say."""

    market: Market = "fixe"
    day: Annotated[date | None, BeforeValidator(lambda text: text or None), Field(alias="date")] = None
    colour: Literal["status", "rate"] = "status"

    def parameters(self) -> dict[str, Any]:
        """As the queries take them."""
        return {"market": self.market, "day": self.day}

    @property
    def query(self) -> str:
        """As part of an address."""
        return urlencode(self.model_dump(by_alias=True, exclude_none=True))


HISTORY = """
select
    region_code,
    business_date,
    status,
    (sum(home_in_hours_count) over last_7_dates)::bigint as home_in_hours_count,
    (sum(in_hours_known_answered_count) over last_7_dates)::bigint as in_hours_known_answered_count
from marts.mart_parc_rollout_daily
where market = %(market)s
window last_7_dates as (
    partition by region_code order by business_date range between interval '6 days' preceding and current row
)
order by region_code, business_date
"""

MAP = """
with newest as (
    select max(business_date) as business_date
    from marts.mart_parc_rollout_daily
    where business_date <= coalesce(%(day)s, 'infinity'::date)
)

select
    newest.business_date,
    region_code,
    dim_region.region_name,
    max(status) filter (where daily.business_date = newest.business_date) as status,
    max(planned_go_live_date) as planned_go_live_date,
    max(observed_go_live_date) as observed_go_live_date,
    sum(home_in_hours_count) as home_in_hours_count,
    sum(in_hours_known_answered_count) as in_hours_known_answered_count,
    round(sum(home_in_hours_count) / nullif(sum(in_hours_known_answered_count), 0), 4) as home_region_rate
from marts.mart_parc_rollout_daily as daily
inner join newest on daily.business_date between newest.business_date - 6 and newest.business_date
inner join marts.dim_region using (region_code)
where market = %(market)s
group by newest.business_date, region_code, dim_region.region_name
order by region_code
"""

WAVES = """
select
    wave,
    region_code,
    region_name,
    planned_go_live_date,
    observed_go_live_date,
    slip_days,
    status,
    as_of_date
from marts.mart_parc_rollout
inner join marts.dim_region using (region_code)
where market = %(market)s and wave is not null
order by wave, planned_go_live_date, region_code
"""

ANSWERS = """
with weeks as (
    select
        date_trunc('week', business_date::timestamp)::date as week_start_date,
        sum(home_in_hours_count)::bigint as home_in_hours,
        sum(home_off_hours_count)::bigint as home_off_hours,
        sum(other_directorate_count)::bigint as other_directorate,
        sum(offshore_in_hours_count)::bigint as offshore_in_hours,
        sum(offshore_off_hours_count)::bigint as offshore_off_hours,
        sum(other_site_count)::bigint as other_site,
        count(distinct business_date) = 7 as is_whole_period
    from marts.mart_service_quality_daily
    where market = %(market)s
    group by 1
)

select
    week_start_date,
    answered_by,
    answered_count,
    round(answered_count / nullif(sum(answered_count) over week, 0), 4) as answered_share,
    is_whole_period
from weeks
cross join lateral (
    values
    (1, 'home_in_hours', home_in_hours),
    (2, 'home_off_hours', home_off_hours),
    (3, 'other_directorate', other_directorate),
    (4, 'offshore_in_hours', offshore_in_hours),
    (5, 'offshore_off_hours', offshore_off_hours),
    (6, 'other_site', other_site)
) as answers (position, answered_by, answered_count)
window week as (partition by week_start_date)
order by week_start_date, position
"""


def draw_waves(rows: list[Row], t: Texts) -> Spec:
    """A line for each region: a tick where it was planned, a point where it was seen to go live."""
    as_of = max(row["as_of_date"] for row in rows)
    shown = [
        {
            "region": t("rollout.wave_of_region", wave=row["wave"], region=row["region_name"]),
            "planned": row["planned_go_live_date"].isoformat(),
            "observed": row["observed_go_live_date"].isoformat() if row["observed_go_live_date"] else None,
            "end": (
                row["observed_go_live_date"]
                or (as_of if row["status"] == "late" else row["planned_go_live_date"])
            ).isoformat(),
            "status": t(f"status.{row['status']}"),
            "planned_words": t.day(row["planned_go_live_date"]),
            "observed_words": t.day(row["observed_go_live_date"])
            if row["observed_go_live_date"]
            else NOTHING,
            "slip_words": NOTHING if row["slip_days"] is None else t.number(row["slip_days"]),
        }
        for row in rows
    ]
    regions = {
        "field": "region",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelLimit": 190, "labelOverlap": False, "grid": True},
    }
    said = drawing.words(
        t,
        region="region_name",
        status="status",
        planned_words="planned_go_live_date",
        observed_words="observed_go_live_date",
        slip_words="slip_days",
    )
    planned, observed, today = (t(f"rollout.{word}") for word in ("planned", "observed", "as_of"))
    legend = {
        "type": "nominal",
        "scale": {"domain": [planned, observed], "range": ["var(--muted)", "var(--good)"]},
    }
    seen = [row for row in shown if row["observed"]]
    return drawing.chart(
        t("figures.waves.title"),
        17 * len(rows),
        shown,
        [
            layer(
                {"type": "rule", "strokeDash": [2, 3], "stroke": "var(--muted)", "description": today},
                [{"at": as_of.isoformat(), "words": today}],
                x=drawing.day("at", t, months=True),
            ),
            layer(
                {"type": "rule", "stroke": "var(--warn)", "strokeWidth": 3, "aria": False},
                [row for row in shown if row["end"] != row["planned"]],
                x=drawing.day("planned", t, months=True),
                x2={"field": "end"},
                y=regions,
            ),
            layer(
                {"type": "tick", "thickness": 3, "size": 13},
                x=drawing.day("planned", t, months=True),
                y=regions,
                color={"datum": planned, **legend},
                tooltip=said,
            ),
            layer(
                {"type": "circle", "size": 80, "opacity": 1},
                seen,
                x=drawing.day("observed", t, months=True),
                y=regions,
                color={"datum": observed, **legend},
                tooltip=said,
            ),
        ],
    )


def draw_answers(rows: list[Row], t: Texts) -> Spec:
    """The shares of each week above each other; weeks of which dates are missing are hatched."""
    shown, low = [], 0.0
    for row in rows:
        low = 0.0 if row["answered_by"] == "home_in_hours" else low
        high = low + float(row["answered_share"] or 0)
        shown.append(
            {
                "week_start_date": row["week_start_date"].isoformat(),
                "week_end_date": drawing.after(row["week_start_date"], 7),
                "low": low,
                "high": high,
                "who": t(f"answered_by.{row['answered_by']}"),
                "week_words": t.day(row["week_start_date"]),
                "count_words": t.number(row["answered_count"]),
                "share_words": t.share(row["answered_share"] or 0),
            }
        )
        low = high
    mondays = [row["week_start_date"] for row in shown]
    weeks: dict[str, Any] = {
        "x": drawing.day("week_start_date", t, at=mondays),
        "x2": {"field": "week_end_date"},
    }
    parts = [row["week_start_date"].isoformat() for row in rows if not row["is_whole_period"]]
    return drawing.chart(
        t("figures.answers.title"),
        260,
        shown,
        [
            layer(
                {"type": "rect", "stroke": "var(--ground)", "strokeWidth": 1},
                **weeks,
                y=drawing.quantity("low", "share", zero=True),
                y2={"field": "high"},
                color=drawing.colours(
                    {t(f"answered_by.{who}"): colour for who, colour in ANSWERED_BY.items()}, field="who"
                ),
                tooltip=drawing.words(
                    t,
                    week_words="week_start_date",
                    who="answered_by",
                    share_words="answered_share",
                    count_words="answered_count",
                ),
            ),
            layer(
                {"type": "rect", "fill": drawing.HATCHED, "aria": False, "tooltip": None},
                [row for row in shown if row["week_start_date"] in parts and row["low"] == 0],
                **weeks,
                y={"datum": 0, "type": "quantitative"},
                y2={"datum": 1},
            ),
        ],
    )


FIGURES = [
    Figure(
        "map",
        MAP,
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
        WAVES,
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
        ANSWERS,
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
    request: Request, settings: Platform, t: Spoken, wanted: Annotated[Wanted, Query()]
) -> HTMLResponse:
    """Show where the rollout stands: a map of any day, the waves, and who answers."""
    with figures.marts(settings, wanted.parameters()) as marts:
        past = marts.rows(HISTORY)
        shown = marts.show(FIGURES, t, wanted.query)
    found = shown["map"].rows
    return figures.chart_page(
        request,
        "rollout",
        t,
        wanted=wanted,
        markets=MARKETS,
        statuses=STATUSES,
        levels=LEVELS,
        shown=shown,
        day=found[0]["business_date"] if found else None,
        regions={row["region_code"]: row for row in found},
        tiles=tile_map(settings),
        level=level,
        written=written,
        history=history(past),
    )


@router.get("/rollout/{name}.csv")
def download_figure(settings: Platform, t: Spoken, name: str, wanted: Annotated[Wanted, Query()]) -> Response:
    """A figure of this page as CSV."""
    figure = figures.one(FIGURES, name)
    with figures.marts(settings, wanted.parameters()) as marts:
        return marts.download(figure, t)


def level(home: int, known: int) -> str:
    """The colour of a home-region rate."""
    return str(min(int(LEVELS * home / known), LEVELS - 1)) if known else "none"


def history(rows: list[Row]) -> dict[str, Any]:
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
