"""A week: Monday to Sunday, named as ISO 8601 does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

_NAME = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
_YEARS = range(1990, 2100)
"""Of all business dates that are ever accepted; the weeks around the first and the last are dates too."""


@dataclass(frozen=True)
class IsoWeek:
    """The week that begins on this Monday."""

    monday: date

    @classmethod
    def of(cls, day: date) -> Self:
        """The week that a date is in."""
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def named(cls, name: str) -> Self:
        """The week of a name such as `2012-W17`. Raises ValueError if there is none of this name."""
        found = _NAME.fullmatch(name)
        if not found:
            raise ValueError(f"'{name}' is not a week such as 2012-W17")
        if int(found[1]) not in _YEARS:
            raise ValueError(f"'{name}' is not a week of the years {_YEARS[0]} to {_YEARS[-1]}")
        return cls(date.fromisocalendar(int(found[1]), int(found[2]), 1))

    @property
    def name(self) -> str:
        """Such as `2012-W17`."""
        return f"{self.year}-W{self.number:02}"

    @property
    def year(self) -> int:
        """The year of the ISO week, which is not always that of its Monday."""
        return self.monday.isocalendar().year

    @property
    def number(self) -> int:
        """1 to 53."""
        return self.monday.isocalendar().week

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    @property
    def days(self) -> list[date]:
        """Monday to Sunday."""
        return [self.monday + timedelta(days=day) for day in range(7)]

    def earlier(self, weeks: int) -> Self:
        """The week this many weeks before."""
        return type(self)(self.monday - timedelta(weeks=weeks))
