"""Charts in Vega-Lite, made of a few parts: an axis of dates, layers over it, words in tooltips."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from parc.ui.figures import FigureRow, Spec
from parc.ui.language import Texts

Encoding = dict[str, Any]

MOST_TICKS = 8
HATCHED = "url(#provisional)"


def chart(description: str, height: int, rows: list[FigureRow], layers: list[Spec]) -> Spec:
    """Layers over each other, as wide as their place, of rows that are JSON already. `description` is read
    aloud."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": description,
        "data": {"values": rows},
        "layer": [each for each in layers if "data" not in each or each["data"].get("values") != []],
    }


def layer(mark: Spec, rows: list[FigureRow] | None = None, **encoding: Any) -> Spec:
    """Marks for the rows of the chart, or for rows of its own. Without any, there is no layer."""
    data = {} if rows is None else {"data": {"values": rows}}
    return {**data, "mark": mark, "encoding": encoding}


def day(field: str, texts: Texts, *, at: Sequence[str] = (), months: bool = False, **more: Any) -> Encoding:
    """A date on an axis that all layers of a chart share: its ticks are months, or the dates `at`, as many as
    fit."""
    axis: dict[str, Any] = {
        "title": None,
        "format": texts("format.axis_month" if months else "format.axis_day"),
        "grid": False,
    }
    ticks = list(dict.fromkeys(at))
    if ticks:
        axis["values"] = [{"expr": f"toDate('{tick}')"} for tick in ticks[:: -(-len(ticks) // MOST_TICKS)]]
    else:
        axis["tickCount"] = MOST_TICKS
    return {"field": field, "type": "temporal", "scale": {"type": "utc"}, "axis": axis, **more}


def quantity(field: str, kind: str, *, title: str | None = None, zero: bool = False, **more: Any) -> Encoding:
    """A number on an axis, written by its kind (`figures.FORMATS`)."""
    axis = {"title": title, "format": AXIS_FORMATS[kind], "tickCount": 5}
    scale = {"zero": zero, "nice": True}
    return {"field": field, "type": "quantitative", "axis": axis, "scale": scale, **more}


AXIS_FORMATS = {"count": ",.0f", "seconds": ",.0f", "decimal": ",.1f", "share": ".1~%"}
"""In the notation of d3-format."""


def words(texts: Texts, **fields: str) -> list[Encoding]:
    """What a tooltip says: of each field its name in `columns` and its value, which is written already."""
    return [
        {"field": field, "type": "nominal", "title": texts(f"columns.{column}")}
        for field, column in fields.items()
    ]


def colours(codes: dict[str, str], **more: Any) -> Encoding:
    """A colour (of the page's style) for each word."""
    scale = {"domain": list(codes), "range": [f"var(--{colour})" for colour in codes.values()]}
    return {"type": "nominal", "scale": scale, "legend": {"title": None}, **more}


def instant(day: date, later: timedelta) -> str:
    """An instant near the beginning of a date, as JSON has it."""
    return (datetime.combine(day, time(), UTC) + later).isoformat().replace("+00:00", "Z")


def after(day: date, days: int = 1) -> str:
    """The date some days later, as JSON has it."""
    return (day + timedelta(days=days)).isoformat()
