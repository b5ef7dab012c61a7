"""The reference feeds: each delivery is a full snapshot as of its date."""

from __future__ import annotations

from datetime import date

import polars as pl

from parc.feeds.declaration import MARKETS
from parc.simulate.geography import Geography
from parc.simulate.population import REASONS, Population

_MONTHS = 3


def active_lines(geography: Geography, population: Population, day: date) -> pl.DataFrame:
    """The feed `active_lines`: the month of `day` and the two months before it."""
    months = [_month_before(day, ago) for ago in range(_MONTHS - 1, -1, -1)]
    cells = [(department, market) for department in geography.department_codes for market in MARKETS]
    return pl.concat(
        pl.DataFrame(
            {
                "month": [month.isoformat()] * len(cells),
                "department_code": [department for department, _ in cells],
                "market": [market for _, market in cells],
                "lines": population.lines_in(month).ravel(),
            }
        )
        for month in months
    )


def line_assignments(geography: Geography, population: Population, day: date) -> pl.DataFrame:
    """The feed `line_assignments`: the numbers whose prefix does not reveal the department."""
    listed = population.listed(day)
    return pl.DataFrame(
        {
            "number": "+" + pl.Series(listed.number).cast(pl.String),
            "department_code": pl.Series(geography.department_codes).gather(listed.department),
            "reason": pl.Series(REASONS).gather(listed.kind),
        }
    )


def _month_before(day: date, ago: int) -> date:
    month = day.year * 12 + day.month - 1 - ago
    return date(month // 12, month % 12 + 1, 1)
