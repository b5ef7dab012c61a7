"""A process behaviour chart as a small SVG: the weeks as a line, the band of the limits, the mean."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from parc.weekly.reading import WEEKS_DRAWN, ChartedWeek
from parc.weekly.week import IsoWeek

WIDTH, HEIGHT, MARGIN = 150, 40, 5
LINE, BAND, MEAN, SIGNAL = "#1f4e79", "#dfe8f1", "#8aa4bf", "#b3261e"


def chart(series: Sequence[ChartedWeek], week: IsoWeek) -> str:
    """The chart of a figure up to the week, oldest first; empty if it has no value. Weeks that do not count
    are hollow, signals are red."""
    points = [(each, each.metric_value) for each in series if each.metric_value is not None]
    if not points:
        return ""
    now = points[-1][0]
    values = [value for _, value in points]
    lines = [each for each in (now.lower_limit, now.mean_value, now.upper_limit) if each is not None]
    lowest, highest = min(values + lines), max(values + lines)
    room = highest - lowest or Decimal(1)

    def x(each: ChartedWeek) -> float:
        weeks_ago = (week.monday - each.week_start_date).days // 7
        return WIDTH - MARGIN - weeks_ago * (WIDTH - 2 * MARGIN) / (WEEKS_DRAWN - 1)

    def y(value: Decimal) -> float:
        return HEIGHT - MARGIN - float((value - lowest) / room) * (HEIGHT - 2 * MARGIN)

    parts = []
    if now.lower_limit is not None and now.upper_limit is not None and now.mean_value is not None:
        top, bottom = y(now.upper_limit), y(now.lower_limit)
        parts.append(
            f'<rect x="0" y="{top:.1f}" width="{WIDTH}" height="{max(bottom - top, 0.5):.1f}" fill="{BAND}"/>'
        )
        mean = f"{y(now.mean_value):.1f}"
        parts.append(
            f'<line x1="0" y1="{mean}" x2="{WIDTH}" y2="{mean}" stroke="{MEAN}" stroke-width="0.8"/>'
        )
    line = " ".join(f"{x(each):.1f},{y(value):.1f}" for each, value in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.2"/>')
    for each, value in points:
        colour = SIGNAL if each.signal else LINE
        fill = colour if each.is_complete and not each.is_event_week else "#ffffff"
        radius = 3 if each.week_start_date == week.monday else 1.6
        parts.append(
            f'<circle cx="{x(each):.1f}" cy="{y(value):.1f}" r="{radius}" fill="{fill}" stroke="{colour}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )
