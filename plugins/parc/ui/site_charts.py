"""The charts of the pages of the sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parc.ui import drawing
from parc.ui.drawing import layer
from parc.ui.figures import FigureRow, Spec, written
from parc.ui.language import Texts

LEVELS = {1: 0.3, 2: 0.5, 3: 0.7, 4: 0.85, 5: 1.0}
"""The highest occupancy of each level; above the last one is another."""
LEVEL_COLOURS = {1: "raised", 2: "line", 3: "bar", 4: "link", 5: "warn", 6: "bad"}
HEIGHT = 220


def level(occupancy: float) -> int:
    """The level of an occupancy."""
    return next((number for number, highest in LEVELS.items() if occupancy <= highest), len(LEVELS) + 1)


def draw_sites(rows: list[FigureRow], t: Texts) -> Spec | None:
    """A bar for each site with planned agents, coloured by its level."""
    shown = [
        {
            "site": row["site_name"],
            "occupancy": float(row["occupancy"]),
            "level": t(f"occupancy_level.{level(row['occupancy'])}"),
            "share": t.share(row["occupancy"]),
            "run": t.number(row["longest_busy_run_half_hours"]),
            "address": f"sites/{row['site_code']}",
        }
        for row in rows
        if row["occupancy"] is not None
    ]
    if not shown:
        return None
    return drawing.chart(
        t("figures.sites.title"),
        18 * len(shown),
        shown,
        [
            layer(
                {"type": "bar", "cursor": "pointer"},
                x=drawing.quantity("occupancy", "share", zero=True),
                y=_names("site"),
                color=_levels(t),
                href={"field": "address"},
                tooltip=drawing.words(
                    t, site="site_name", share="occupancy", run="longest_busy_run_half_hours"
                ),
            )
        ],
    )


def draw_load(rows: list[FigureRow], t: Texts) -> Spec | None:
    """A square for each weekday and half-hour, coloured by its level."""
    shown = [
        {
            "weekday": t(f"weekday.{row['weekday']}"),
            "time": f"{row['half_hour_local']:%H:%M}",
            "level": t(f"occupancy_level.{level(row['occupancy'])}"),
            "share": t.share(row["occupancy"]),
            "calls": t.number(row["queued_leg_count"]),
        }
        for row in rows
        if row["occupancy"] is not None
    ]
    if not shown:
        return None
    times = {"title": None, "labelAngle": 0, "labelExpr": "slice(datum.value, 3) == '00' ? datum.value : ''"}
    return drawing.chart(
        t("figures.load.title"),
        HEIGHT,
        shown,
        [
            layer(
                {"type": "rect", "stroke": "var(--ground)", "strokeWidth": 1},
                x={"field": "time", "type": "ordinal", "axis": times},
                y={
                    "field": "weekday",
                    "type": "ordinal",
                    "axis": {"title": None},
                    "sort": [t(f"weekday.{number}") for number in range(1, 8)],
                },
                color=_levels(t),
                tooltip=drawing.words(
                    t, weekday="weekday", time="half_hour_local", share="occupancy", calls="queued_leg_count"
                ),
            )
        ],
    )


def draw_runs(rows: list[FigureRow], t: Texts) -> Spec:
    """A bar for each date; provisional ones are hatched."""
    shown = [
        {
            "day": row["business_date"].isoformat(),
            "next_day": drawing.after(row["business_date"]),
            "run": row["longest_busy_run_half_hours"],
            "words": t.day(row["business_date"]),
            "busy": f"{t.number(row['busy_half_hour_count'])} / {t.number(row['open_half_hour_count'])}",
            "is_final": row["is_final"],
        }
        for row in rows
    ]
    days: dict[str, Any] = {
        "x": drawing.day("day", t, at=[row["day"] for row in shown]),
        "x2": {"field": "next_day"},
    }
    heights: dict[str, Any] = {
        "y": drawing.quantity("run", "count", zero=True),
        "y2": {"datum": 0},
    }
    said = drawing.words(
        t, words="business_date", run="longest_busy_run_half_hours", busy="busy_half_hour_count"
    )
    return drawing.chart(
        t("figures.runs.title"),
        HEIGHT,
        shown,
        [
            layer(
                {"type": "rect", "fill": "var(--bar)", "stroke": "var(--ground)"},
                **days,
                **heights,
                tooltip=said,
            ),
            layer(
                {"type": "rect", "fill": drawing.HATCHED, "aria": False},
                [row for row in shown if not row["is_final"]],
                **days,
                **heights,
            ),
        ],
    )


def lines(**fields: str) -> Callable[[list[FigureRow], Texts], Spec | None]:
    """A chart of several columns over the half-hours of the rows, each a line of this colour. Rows with a
    weekday are those of a week."""

    def draw(rows: list[FigureRow], t: Texts) -> Spec | None:
        names = {t(f"columns.{field}"): colour for field, colour in fields.items()}
        shown = [
            {
                "place": _hours(row),
                "value": float(row[field]),
                "line": t(f"columns.{field}"),
                "when": _when(row, t),
                "words": written(t, row[field], "decimal"),
            }
            for row in rows
            for field in fields
            if row[field] is not None
        ]
        if not shown:
            return None
        is_week = "weekday" in rows[0]
        axis = {
            "title": None,
            "grid": is_week,
            "values": list(range(0, 24 * 7 + 1, 24)) if is_week else list(range(0, 25, 2)),
            "labelExpr": _label_of_day(t) if is_week else "datum.value + ':00'",
        }
        encoding: dict[str, Any] = {
            "x": {
                "field": "place",
                "type": "quantitative",
                "axis": axis,
                "scale": {"domain": [0, 24 * 7 if is_week else 24], "nice": False},
            },
            "y": drawing.quantity("value", "decimal", zero=True),
            "color": drawing.colours(names, field="line"),
        }
        said = drawing.words(t, when="half_hour_local", line="line", words="metric_value")
        return drawing.chart(
            ", ".join(names),
            HEIGHT,
            shown,
            [
                layer({"type": "line", "strokeWidth": 1.5, "aria": False}, **encoding),
                layer({"type": "circle", "size": 20, "opacity": 1}, **encoding, tooltip=said),
            ],
        )

    return draw


def _hours(row: FigureRow) -> float:
    """Hours since the beginning of the day or week."""
    start = row["half_hour_local"]
    return float(24 * (row.get("weekday", 1) - 1) + start.hour + start.minute / 60)


def _when(row: FigureRow, t: Texts) -> str:
    start = f"{row['half_hour_local']:%H:%M}"
    return f"{t('weekday.' + str(row['weekday']))} {start}" if "weekday" in row else start


def _label_of_day(t: Texts) -> str:
    names = ", ".join(f"'{t(f'weekday.{number}')}'" for number in range(1, 8))
    return f"[{names}, ''][datum.value / 24]"


def _names(field: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 190}}


def _levels(t: Texts) -> dict[str, Any]:
    colours = {t(f"occupancy_level.{number}"): colour for number, colour in LEVEL_COLOURS.items()}
    return drawing.colours(colours, field="level")
