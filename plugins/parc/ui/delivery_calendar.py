"""The page of a year of deliveries: what became of each, how far a backfill is, which rules were broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from psycopg import Connection
from pydantic import BaseModel

from parc.feeds import FEEDS
from parc.ledger import due, nights, quarantine
from parc.ledger.quarantine import RejectedRows
from parc.ui import drawing, figures
from parc.ui.drawing import layer
from parc.ui.figures import Figure, FigureRow, Shown, Spec
from parc.ui.language import Spoken, Texts
from parc.ui.visitors import Platform
from parc.warehouse import connect

router = APIRouter()

DATES_SHOWN = 371
"""A year and the rest of its first week."""
RULES_SHOWN = 12
STATES = {
    "published": "good",
    "late": "warn",
    "restated": "link",
    "loading": "other",
    "expected": "line",
    "missing": "muted",
    "refused": "bad",
}
"""What became of a delivery (`parc.ledger.nights`), and its colour."""
DERIVED = [
    {"calculate": "utcOffset('day', toDate(datum.day), 1)", "as": "next_day"},
    {"calculate": "utcFormat(toDate(datum.day), '%-d %b %Y')", "as": "words"},
    {"calculate": "utcdate(toDate(datum.day))", "as": "day_of_month"},
    {"calculate": "'deliveries?feed=' + datum.code + '&date=' + datum.day", "as": "address"},
]
"""What the browser computes of each mark: a year of them is sent."""
ARRIVED = ("published", "late", "restated")


class WantedFeed(BaseModel):
    """The feed that is shown by month."""

    feed: str = "calls"

    @property
    def query(self) -> str:
        """As part of an address."""
        return urlencode(self.model_dump())


@dataclass(frozen=True)
class BrokenRule:
    """A rule that rows of a feed broke in deliveries that count: in how many rows and deliveries, the last of
    them, and a row with personal columns masked."""

    feed: str
    reason: str
    row_count: int
    delivery_count: int
    newest_date: date
    sample: str | None

    @property
    def query(self) -> str:
        """The rows on the page of quarantine, as part of its address."""
        return urlencode({"feed": self.feed, "reason": self.reason})


def draw_year(rows: list[FigureRow], t: Texts) -> Spec:
    """A line for each feed, a mark for each date; a mark leads to its deliveries."""
    feeds = {"field": "feed", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190}}
    spec = drawing.chart(
        t("figures.year.title"),
        26 * len({row["feed"] for row in rows}) + 10,
        [_mark(row, t) for row in rows],
        [
            layer(
                {"type": "rect", "cursor": "pointer"},
                x=drawing.day("day", t, months=True),
                x2={"field": "next_day"},
                y=feeds,
                **_of_a_date(t),
            )
        ],
    )
    return spec | {"transform": DERIVED}


def draw_months(rows: list[FigureRow], t: Texts) -> Spec:
    """A line for each month, a square for each day of it; what is not simply published has a sign."""
    months, signs = t.at("format.short_months"), t.at("night_sign")
    marks = [
        _mark(row, t)
        | {
            "month": f"{months[row['business_date'].month - 1]} {row['business_date'].year}",
            "sign": signs.get(row["state"], ""),
        }
        for row in rows
    ]
    grid: dict[str, Any] = {
        "x": {"field": "day_of_month", "type": "ordinal", "axis": {"title": None, "labelAngle": 0}},
        "y": {"field": "month", "type": "ordinal", "sort": None, "axis": {"title": None}},
    }
    spec = drawing.chart(
        t("figures.months.title"),
        24 * len({mark["month"] for mark in marks}),
        marks,
        [
            layer(
                {"type": "rect", "stroke": "var(--ground)", "strokeWidth": 2, "cursor": "pointer"},
                **grid,
                **_of_a_date(t),
            ),
            layer(
                {
                    "type": "text",
                    "fill": "var(--ground)",
                    "fontWeight": "bold",
                    "aria": False,
                    "tooltip": None,
                },
                **grid,
                text={"field": "sign"},
            )
            | {"transform": [{"filter": "datum.sign"}]},
        ],
    )
    return spec | {"transform": DERIVED}


def draw_progress(rows: list[FigureRow], t: Texts) -> Spec:
    """A bar for each feed: the share of what was due that is there."""
    shown = [
        {
            "feed": t(f"feed.{row['feed']}"),
            "share": float(row["arrived_share"] or 0),
            "words": f"{t.number(row['arrived_count'])} / {t.number(row['due_count'])}",
        }
        for row in rows
    ]
    feeds = {"field": "feed", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190}}
    said = drawing.words(t, feed="feed", words="arrived_count")
    share = drawing.quantity("share", "share", zero=True)
    share["scale"] = {"domain": [0, 1]}
    return drawing.chart(
        t("figures.progress.title"),
        26 * len(rows),
        shown,
        [
            layer({"type": "bar", "fill": "var(--bar)"}, x=share, y=feeds, tooltip=said),
            layer(
                {"type": "text", "align": "left", "dx": 4, "fill": "var(--ink)", "aria": False},
                x={"datum": 0, "type": "quantitative"},
                y=feeds,
                text={"field": "words"},
            ),
        ],
    )


_OF_A_DATE = {
    "feed": "feed",
    "business_date": "date",
    "state": "night",
    "delivery_id": "text",
    "rows_published": "count",
    "rows_quarantined": "count",
    "is_built": "flag",
}
YEAR = Figure("year", "", {"feed": "feed", "business_date": "date", "state": "night"}, draw_year)
MONTHS = Figure("months", "", _OF_A_DATE, draw_months)
PROGRESS = Figure(
    "progress",
    "",
    {
        "feed": "feed",
        "due_count": "count",
        "arrived_count": "count",
        "arrived_share": "share",
        "refused_count": "count",
        "missing_count": "count",
        "oldest_missing_date": "date",
    },
    draw_progress,
)


@router.get("/calendar")
def show_calendar(
    request: Request, settings: Platform, t: Spoken, wanted: Annotated[WantedFeed, Query()]
) -> HTMLResponse:
    """Show what became of each delivery of a year, how far a backfill is, and which rules were broken."""
    if wanted.feed not in FEEDS:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no feed {wanted.feed}.")
    with connect(settings, "reader") as connection:
        rows = year(connection)
        rules = broken_rules(connection)
    refused = [row for row in reversed(rows) if row["state"] == "refused"]
    return figures.chart_page(
        request,
        "calendar",
        t,
        wanted=wanted,
        feeds=list(FEEDS),
        shown={
            each.figure.name: each
            for each in (
                Shown(YEAR, rows, t, wanted.query),
                Shown(MONTHS, of_feed(rows, wanted.feed), t, wanted.query),
                Shown(PROGRESS, progress(rows), t, wanted.query),
            )
        },
        refused=refused[:RULES_SHOWN],
        rules=rules,
    )


@router.get("/calendar/{name}.csv")
def download_calendar(
    settings: Platform, t: Spoken, name: str, wanted: Annotated[WantedFeed, Query()]
) -> Response:
    """A figure of this page as CSV."""
    figure = figures.one((YEAR, MONTHS, PROGRESS), name)
    with connect(settings, "reader") as connection:
        rows = year(connection)
    found = {"year": rows, "months": of_feed(rows, wanted.feed), "progress": progress(rows)}[name]
    return figures.attached(Shown(figure, found, t, ""))


def year(connection: Connection[Any]) -> list[FigureRow]:
    """What was due or arrived in the year up to the newest night, by feed and date. From the ledger: what
    waits for a build is there already."""
    newest = due.newest_night(connection)
    if newest is None:
        return []
    found = nights.nights(connection, newest - timedelta(days=DATES_SHOWN - 1))
    order = list(FEEDS)
    rows = [asdict(each) for each in found if each.business_date <= newest]
    return sorted(rows, key=lambda row: (order.index(row["feed"]), row["business_date"]))


def of_feed(rows: Sequence[FigureRow], feed: str) -> list[FigureRow]:
    """The rows of one feed."""
    return [row for row in rows if row["feed"] == feed]


def progress(rows: Sequence[FigureRow]) -> list[FigureRow]:
    """How much of what was due is there, by feed."""
    found = []
    for feed in FEEDS:
        of = of_feed(rows, feed)
        arrived = [row for row in of if row["state"] in ARRIVED]
        missing = [row["business_date"] for row in of if row["state"] == "missing"]
        if of:
            found.append(
                {
                    "feed": feed,
                    "due_count": len(of),
                    "arrived_count": len(arrived),
                    "arrived_share": len(arrived) / len(of),
                    "refused_count": sum(row["state"] == "refused" for row in of),
                    "missing_count": len(missing),
                    "oldest_missing_date": min(missing, default=None),
                }
            )
    return found


def broken_rules(connection: Connection[Any]) -> list[BrokenRule]:
    """The rules that most rows broke, with a row of each."""
    by_rule: dict[tuple[str, str], list[RejectedRows]] = {}
    for each in quarantine.by_rule(connection):
        by_rule.setdefault((each.feed, each.reason), []).append(each)
    found = sorted(by_rule.items(), key=lambda item: -sum(each.row_count for each in item[1]))
    return [_broken(connection, feed, reason, each) for (feed, reason), each in found[:RULES_SHOWN]]


def _broken(
    connection: Connection[Any], feed: str, reason: str, deliveries: Sequence[RejectedRows]
) -> BrokenRule:
    sample = quarantine.rows_across_feeds(connection, feed=feed, business_date=None, reason=reason, limit=1)
    return BrokenRule(
        feed,
        reason,
        row_count=sum(each.row_count for each in deliveries),
        delivery_count=len({each.delivery_id for each in deliveries}),
        newest_date=max(each.business_date for each in deliveries),
        sample=sample[0].row_text if sample else None,
    )


def _mark(row: FigureRow, t: Texts) -> dict[str, Any]:
    return {
        "day": row["business_date"].isoformat(),
        "code": row["feed"],
        "feed": t(f"feed.{row['feed']}"),
        "state": t(f"night.{row['state']}"),
    }


def _of_a_date(t: Texts) -> dict[str, Any]:
    colours = {t(f"night.{state}"): colour for state, colour in STATES.items()}
    return {
        "color": drawing.colours(colours, field="state"),
        "href": {"field": "address", "type": "nominal"},
        "tooltip": drawing.words(t, feed="feed", words="business_date", state="state"),
    }
