"""The charts of the page of the rollout."""

from __future__ import annotations

from typing import Any

from parc.ui import drawing
from parc.ui.drawing import layer
from parc.ui.figures import FigureRow, Spec
from parc.ui.language import NOTHING, Texts

ANSWERED_BY = {
    "home_in_hours": "home",
    "home_off_hours": "home-off",
    "other_directorate": "other",
    "offshore_in_hours": "overflow",
    "offshore_off_hours": "offshore",
    "other_site": "elsewhere",
}
"""Who answers, as the six counts of mart_service_quality_daily tell them, and the colour of each."""


def draw_waves(rows: list[FigureRow], t: Texts) -> Spec:
    """A line for each region: a tick where it was planned, a point where it was seen to go live."""
    as_of = max(row["as_of_date"] for row in rows)
    shown = [
        {
            "region": t("rollout.wave_of_region", wave=row["wave"], region=row["region_name"]),
            "planned": row["planned_go_live_date"].isoformat(),
            "observed": row["observed_go_live_date"].isoformat() if row["observed_go_live_date"] else None,
            # Without a slip it is not due yet, or was live before the data begins: nobody knows since when.
            "end": (
                row["planned_go_live_date"]
                if row["slip_days"] is None
                else row["observed_go_live_date"] or as_of
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
        "axis": {"title": None, "labelLimit": 220, "labelOverlap": False, "grid": True},
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


def draw_answers(rows: list[FigureRow], t: Texts) -> Spec:
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
