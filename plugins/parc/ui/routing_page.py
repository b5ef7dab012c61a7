"""The page of routing: what the switch has, what the last plan would change, and who decided what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from parc.ledger import history, plans, releases
from parc.ui import drawing, explaining, figures, plan_words, rollout
from parc.ui.drawing import layer
from parc.ui.figures import Figure, FigureRow, Shown, Spec
from parc.ui.language import NOTHING, Spoken, Texts
from parc.ui.plan_words import PlanNames, named
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
            "pair": f"{row['zone_name']}, {t('market.' + row['market'])}",
            "calls": float(row["moved_calls"]),
            "words": t.number(row["moved_calls"]),
            "share": t.share(row["moved_share"]),
        }
        for row in rows
    ]
    said = drawing.words(t, pair="zone_name", words="moved_calls", share="moved_share")
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
            "site": row["site_name"],
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
        t, site="site_name", before_words="occupancy_before", after_words="occupancy", level="occupancy"
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
        "zone_name": "text",
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
        "site_name": "text",
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
        rows = PlanRows(content, t, plan_words.names(marts))
        shown |= {figure.name: Shown(figure, rows.of(figure.name), t, "") for figure in OF_THE_PLAN}
        live = releases.last_activated(marts.connection)
        return figures.chart_page(
            request,
            "routing",
            t,
            shown=shown,
            live=live,
            visitor=visitor,
            words=plan_words.spoken(marts, t),
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
            rows = PlanRows(plans.newest_content(marts.connection), t, plan_words.names(marts))
            return figures.attached(Shown(figure, rows.of(name), t, ""))
        return marts.download(figure, t)


@dataclass(frozen=True)
class PlanRows:
    """What a plan says, as rows of the figures, with the names of zones and sites."""

    content: Mapping[str, Any] | None
    texts: Texts
    names: PlanNames

    def of(self, name: str) -> list[FigureRow]:
        """The rows of this figure; none if there is no plan."""
        if self.content is None:
            return []
        if name == "moved":
            return [
                {**row, "zone_name": self._named(row["zone_code"]), "moved_share": row["share"]}
                for row in self.content["calls_moved"]
            ]
        if name == "site_loads":
            return [{**row, "site_name": self._named(row["site_code"])} for row in self.content["site_loads"]]
        return [self._changed(table, row) for table, rows in self.content["changes"].items() for row in rows]

    def _named(self, code: str) -> str:
        return named(code, self.texts, self.names)

    def _changed(self, table: str, row: Mapping[str, Any]) -> FigureRow:
        """A changed row of a table; of exceptions, how many go from one zone to another."""
        given = {"table": table, "change": row["change"]}
        if "key" not in row:
            ends = {end: self._named(row[end]) if row[end] else NOTHING for end in ("before", "after")}
            return {**given, "row": f"{row['rows']} ×", **ends}
        columns = (("row", "key"), ("before", "before"), ("after", "after"))
        return {**given, **{name: self._written(row[key]) for name, key in columns}}

    def _written(self, columns: Mapping[str, Any] | None) -> str:
        return ", ".join(self._cell(*each) for each in columns.items()) if columns else NOTHING

    def _cell(self, name: str, value: Any) -> str:
        if name in ("zone_code", "site_code"):
            return self._named(str(value))
        if name == "market":
            return str(self.texts.at("market").get(value, value))
        return f"{name} {value}"


def _names(field: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190}}
