"""The page of routing: what the switch has, what the last plan would change, and who decided what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from parc.ledger import history, plans, releases
from parc.ui import drawing, explaining, figures, rollout
from parc.ui.drawing import layer
from parc.ui.figures import Figure, FigureRow, Shown, Spec
from parc.ui.language import NOTHING, Spoken, Texts
from parc.ui.site_charts import level
from parc.ui.visitors import Platform, SignedIn

router = APIRouter()

EVENTS_SHOWN = 12
MARKET_OF_WAVES = "fixe"

RELEASES = """
select
    kind,
    version,
    business_date,
    effective_date,
    live_from_at,
    live_until_at,
    calls_moved_share,
    requested_by,
    approved_by
from marts.mart_releases
where live_from_at is not null
order by live_from_at desc
limit 50
"""


def draw_moved(rows: list[FigureRow], t: Texts) -> Spec | None:
    """A bar for each region (or zone) and market whose calls move."""
    shown = [
        {
            "pair": f"{row['zone_code']}, {t('market.' + row['market'])}",
            "calls": float(row["moved_calls"]),
            "words": t.number(row["moved_calls"]),
            "share": t.share(row["moved_share"]),
        }
        for row in rows
    ]
    said = drawing.words(t, pair="zone_code", words="moved_calls", share="moved_share")
    return drawing.chart(
        t("figures.moved.title"),
        22 * len(shown) + 10,
        shown,
        [
            layer(
                {"type": "bar", "fill": "var(--bar)"},
                x=drawing.quantity("calls", "count", zero=True),
                y=_names("pair"),
                tooltip=said,
            )
        ],
    )


def draw_site_loads(rows: list[FigureRow], t: Texts) -> Spec | None:
    """A line for each site from the occupancy now to that with the plan, in its tightest half-hour."""
    shown = [
        {
            "site": row["site_code"],
            "before": float(row["occupancy_before"]),
            "after": float(row["occupancy"]),
            "before_words": t.share(row["occupancy_before"]),
            "after_words": t.share(row["occupancy"]),
            "level": t(f"occupancy_level.{level(row['occupancy'])}"),
        }
        for row in rows
        if row["occupancy"] is not None and row["occupancy_before"] is not None
    ]
    if not shown:
        return None
    now, then = t("routing.now"), t("routing.then")
    legend = {
        "type": "nominal",
        "scale": {"domain": [now, then], "range": ["var(--muted)", "var(--link)"]},
        "legend": {"title": None},
    }
    said = drawing.words(
        t, site="site_code", before_words="occupancy_before", after_words="occupancy", level="occupancy"
    )
    sites = _names("site")
    return drawing.chart(
        t("figures.site_loads.title"),
        18 * len(shown) + 10,
        shown,
        [
            layer(
                {"type": "rule", "stroke": "var(--muted)", "aria": False},
                x=drawing.quantity("before", "share", zero=True),
                x2={"field": "after"},
                y=sites,
            ),
            layer(
                {"type": "circle", "size": 60, "opacity": 1},
                x=drawing.quantity("before", "share", zero=True),
                y=sites,
                color={"datum": now, **legend},
                tooltip=said,
            ),
            layer(
                {"type": "circle", "size": 90, "opacity": 1},
                x=drawing.quantity("after", "share", zero=True),
                y=sites,
                color={"datum": then, **legend},
                tooltip=said,
            ),
        ],
    )


MOVED = Figure(
    "moved",
    "",
    {
        "zone_code": "text",
        "market": "market",
        "calls": "count",
        "moved_calls": "count",
        "moved_share": "share",
    },
    draw_moved,
)
SITE_LOADS = Figure(
    "site_loads",
    "",
    {
        "site_code": "text",
        "calls_a_week_before": "count",
        "calls_a_week": "count",
        "weekday": "weekday",
        "half_hour_local": "text",
        "position_count": "count",
        "occupancy_before": "share",
        "occupancy": "share",
    },
    draw_site_loads,
)
CHANGES = Figure(
    "changes",
    "",
    {"table": "routing_table", "change": "change", "row": "text", "before": "text", "after": "text"},
    lambda rows, t: None,
)
OF_THE_PLAN = (MOVED, SITE_LOADS, CHANGES)
RELEASED = Figure(
    "releases",
    RELEASES,
    {
        "version": "text",
        "kind": "release_kind",
        "effective_date": "date",
        "live_from_at": "instant",
        "live_until_at": "instant",
        "calls_moved_share": "share",
        "requested_by": "text",
        "approved_by": "text",
    },
    lambda rows, t: None,
)
[WAVES] = [figure for figure in rollout.FIGURES if figure.name == "waves"]


@router.get("/routing")
def show_routing(request: Request, settings: Platform, visitor: SignedIn, t: Spoken) -> HTMLResponse:
    """Show what is live, what the last plan would change, the waves, and who decided what; and ask where the
    calls of a number go."""
    with figures.marts(settings, {"market": MARKET_OF_WAVES}) as marts:
        content = plans.newest_content(marts.connection)
        shown = marts.show([RELEASED, WAVES], t)
        shown |= {figure.name: Shown(figure, planned(content, figure.name), t, "") for figure in OF_THE_PLAN}
        live = releases.last_activated(marts.connection)
        return figures.chart_page(
            request,
            "routing",
            t,
            shown=shown,
            live=live,
            visitor=visitor,
            question=explaining.form_of(marts, live),
            stops=[
                (what, stop)
                for what, stop in (
                    ("hold", releases.hold(marts.connection)),
                    ("kill_switch", releases.kill_switch(marts.connection)),
                )
                if stop
            ],
            plan=plans.newest(marts.connection),
            content=content,
            open_question=plans.open_question(marts.connection),
            events=history.events(marts.connection, EVENTS_SHOWN),
            figures_of_plan=[figure.name for figure in OF_THE_PLAN],
        )


@router.get("/routing/{name}.csv")
def download_routing(settings: Platform, t: Spoken, name: str) -> Response:
    """A figure of this page as CSV."""
    figure = figures.one([RELEASED, WAVES, *OF_THE_PLAN], name)
    with figures.marts(settings, {"market": MARKET_OF_WAVES}) as marts:
        if figure in OF_THE_PLAN:
            return figures.attached(
                Shown(figure, planned(plans.newest_content(marts.connection), name), t, "")
            )
        return marts.download(figure, t)


def planned(content: Mapping[str, Any] | None, name: str) -> list[FigureRow]:
    """What the plan says, as rows of a figure."""
    if content is None:
        return []
    if name == "moved":
        return [{**row, "moved_share": row["share"]} for row in content["calls_moved"]]
    if name == "site_loads":
        return list(content["site_loads"])
    return [_changed(table, row) for table, rows in content["changes"].items() for row in rows]


def _changed(table: str, row: Mapping[str, Any]) -> FigureRow:
    """A changed row of a table; of exceptions, how many go from one zone to another."""
    if "key" not in row:
        return {
            "table": table,
            "change": row["change"],
            "row": f"{row['rows']} ×",
            "before": row["before"] or NOTHING,
            "after": row["after"] or NOTHING,
        }
    return {
        "table": table,
        "change": row["change"],
        **{
            name: _written(row[key])
            for name, key in (("row", "key"), ("before", "before"), ("after", "after"))
        },
    }


def _written(columns: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in columns.items()) if columns else NOTHING


def _names(field: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190}}
