"""The charts of the page of a region or directorate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from parc.ui import drawing
from parc.ui.drawing import layer
from parc.ui.figures import FigureRow, Spec, written
from parc.ui.language import NOTHING, Texts

HEIGHT = 150
EVENTS = {"go_live": "good", "storm": "warn", "restatement": "other", "release": "muted"}
"""What is marked on every chart of days or weeks, and the colour of each."""


class OverTime:
    """Draws figures over days or weeks, with what happened then."""

    def __init__(self, step_days: int, events: list[FigureRow], texts: Texts) -> None:
        """`events` are rows of `area_queries.EVENTS`."""
        self._step = timedelta(days=step_days)
        self._events = events
        self._texts = texts

    @property
    def dataset(self) -> str:
        """The name of the events among the page's datasets (`events`)."""
        return f"events_{self._step.days}"

    def events(self) -> list[dict[str, Any]]:
        """What happened, once for all charts of the page: repeated in each, it was most of the page."""
        t = self._texts
        return [
            {
                "start": self._place(event["event_date"]),
                "day": event["event_date"].toordinal(),
                "code": event["event"],
                "event": t(f"event.{event['event']}"),
                "words": event["event_words"],
                "day_words": t.day(event["event_date"]),
            }
            for event in self._events
        ]

    def metric(self, kind: str) -> Callable[[list[FigureRow], Texts], Spec]:
        """A chart of rows with `metric_value`, its natural limits and signals."""

        def draw(rows: list[FigureRow], t: Texts) -> Spec:
            shown = [self._said(row, kind) for row in rows]
            limited = next((row for row in reversed(rows) if row.get("upper_limit") is not None), None)
            value = drawing.quantity("value", kind)
            signals = [row for row in shown if row["signal"]]
            said = drawing.words(
                t,
                start_words="start_date",
                value_words="metric_value",
                count_words="case_count",
                signal_words="signal",
            )
            return drawing.chart(
                t(f"figures.{rows[0]['metric']}.title"),
                HEIGHT,
                shown,
                [
                    *self._behind(rows),
                    *(self._limits(rows, limited, kind) if limited else ()),
                    layer(
                        {"type": "line", "stroke": "var(--link)", "strokeWidth": 1.5, "aria": False},
                        x=self._x(rows),
                        y=value,
                    ),
                    layer(
                        {"type": "circle", "size": 34, "opacity": 1, "fill": "var(--link)"},
                        x=self._x(rows),
                        y=value,
                        tooltip=said,
                    ),
                    layer(
                        {
                            "type": "point",
                            "shape": "diamond",
                            "size": 130,
                            "stroke": "var(--bad)",
                            "strokeWidth": 2,
                        },
                        signals,
                        x=self._x(rows),
                        y=value,
                        tooltip=said,
                    ),
                ],
            )

        return draw

    def lines(self, kind: str, **fields: str) -> Callable[[list[FigureRow], Texts], Spec]:
        """A chart of several columns of the rows, each a line of this colour."""

        def draw(rows: list[FigureRow], t: Texts) -> Spec:
            names = {t(f"columns.{field}"): colour for field, colour in fields.items()}
            shown = [
                {
                    "start": row["start_date"].isoformat(),
                    "value": float(row[field]),
                    "line": t(f"columns.{field}"),
                    "start_words": t.day(row["start_date"]),
                    "value_words": written(t, row[field], kind),
                }
                for row in rows
                for field in fields
                if row[field] is not None
            ]
            encoding: dict[str, Any] = {
                "x": self._x(rows),
                "y": drawing.quantity("value", kind, zero=True),
                "color": drawing.colours(names, field="line"),
            }
            said = drawing.words(t, start_words="start_date", line="line", value_words="metric_value")
            return drawing.chart(
                ", ".join(names),
                HEIGHT,
                shown,
                [
                    *self._behind(rows),
                    layer({"type": "line", "strokeWidth": 1.5, "aria": False}, **encoding),
                    layer({"type": "circle", "size": 34, "opacity": 1}, **encoding, tooltip=said),
                ],
            )

        return draw

    def _x(self, rows: list[FigureRow]) -> drawing.Encoding:
        return drawing.day("start", self._texts, at=[row["start_date"].isoformat() for row in rows])

    def _span(self, first: date, last: date) -> dict[str, str]:
        """From half a step before the first date to half a step after the last."""
        half = self._step / 2
        return {
            "start": drawing.instant(first, -half),
            "end": drawing.instant(last, half),
        }

    def _behind(self, rows: list[FigureRow]) -> list[Spec]:
        """Hatching where figures are provisional; lines where something happened."""
        t = self._texts
        first, last = rows[0]["start_date"], rows[-1]["start_date"] + self._step
        provisional = [
            self._span(row["start_date"], row["start_date"]) for row in rows if not row["is_final"]
        ]
        happened = {each["event"] for each in self._events if first <= each["event_date"] <= last}
        return [
            layer(
                {"type": "rect", "fill": drawing.HATCHED, "aria": False},
                provisional,
                x=self._x(rows),
                x2={"field": "end"},
            ),
            *(
                layer(
                    {"type": "rule", "strokeWidth": 2, "stroke": f"var(--{colour})", "opacity": 0.9},
                    x=self._x(rows),
                    tooltip=drawing.words(t, day_words="event_date", event="event", words="event_words"),
                )
                | {
                    "data": {"name": self.dataset},
                    "transform": [
                        {"filter": {"field": "code", "equal": event}},
                        {"filter": {"field": "day", "range": [first.toordinal(), last.toordinal()]}},
                    ],
                }
                for event, colour in EVENTS.items()
                if event in happened
            ),
        ]

    def _place(self, day: date) -> str:
        """Where a date lies between the points, which stand for whole steps."""
        return drawing.instant(day, timedelta(days=0.5) - self._step / 2)

    def _limits(self, rows: list[FigureRow], limited: FigureRow, kind: str) -> list[Spec]:
        t = self._texts
        span = self._span(rows[0]["start_date"], rows[-1]["start_date"])
        ends = {name: float(limited[name]) for name in ("lower_limit", "mean_value", "upper_limit")}
        said = "; ".join(f"{t(f'columns.{name}')} {written(t, value, kind)}" for name, value in ends.items())
        across = {"x": self._x(rows), "x2": {"field": "end"}}
        return [
            layer(
                {"type": "rect", "fill": "var(--bar)", "opacity": 0.22, "description": said},
                [span | ends],
                **across,
                y=drawing.quantity("lower_limit", kind),
                y2={"field": "upper_limit"},
            ),
            layer(
                {"type": "rule", "stroke": "var(--muted)", "strokeDash": [4, 3], "aria": False},
                [span | ends],
                **across,
                y=drawing.quantity("mean_value", kind),
            ),
        ]

    def _said(self, row: FigureRow, kind: str) -> FigureRow:
        t = self._texts
        signal = row.get("signal")
        return {
            "start": row["start_date"].isoformat(),
            "value": float(row["metric_value"]),
            "signal": signal,
            "start_words": t.day(row["start_date"]),
            "value_words": written(t, row["metric_value"], kind),
            "count_words": t.number(row["case_count"]),
            "signal_words": t(f"signal.{signal}") if signal else NOTHING,
        }


def draw_effect(rows: list[FigureRow], t: Texts) -> Spec | None:
    """Each effect, and how small a one its weeks would show, in multiples of the effect planned for."""
    shown = []
    for row in rows:
        if not row["planning_effect"]:
            continue
        planned, estimate = row["planning_effect"], row["estimate"]
        seen = row["minimum_detectable_effect"]
        shown.append(
            {
                "what": t("market." + row["market"]) + " · " + t("outcome." + row["outcome"]),
                "low": -float(seen / planned) if seen is not None else None,
                "high": float(seen / planned) if seen is not None else None,
                "value": float(estimate / planned) if estimate is not None else None,
                "value_words": written(t, estimate, "effect"),
                "seen_words": written(t, seen, "effect"),
                "chance_words": written(t, row["p_value"], "decimal"),
                "day_words": written(t, row["detectable_date"], "date"),
            }
        )
    if not any(row["low"] is not None or row["value"] is not None for row in shown):
        return None
    what = {"field": "what", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 260}}
    said = drawing.words(
        t,
        what="outcome",
        value_words="estimate",
        seen_words="minimum_detectable_effect",
        chance_words="p_value",
        day_words="detectable_date",
    )
    return drawing.chart(
        t("figures.effect.title"),
        24 * len(shown),
        shown,
        [
            layer(
                {"type": "rule", "stroke": "var(--muted)", "strokeDash": [2, 3], "aria": False},
                [{"at": -1}, {"at": 0}, {"at": 1}],
                x=drawing.quantity("at", "decimal", zero=True, title=t("area.multiples")),
            ),
            layer(
                {"type": "bar", "height": 10, "fill": "var(--bar)", "opacity": 0.5},
                [row for row in shown if row["low"] is not None],
                x=drawing.quantity("low", "decimal", zero=True, title=t("area.multiples")),
                x2={"field": "high"},
                y=what,
                tooltip=said,
            ),
            layer(
                {"type": "circle", "size": 90, "opacity": 1, "fill": "var(--link)"},
                [row for row in shown if row["value"] is not None],
                x=drawing.quantity("value", "decimal", zero=True),
                y=what,
                tooltip=said,
            ),
        ],
    )
