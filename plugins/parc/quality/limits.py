"""A day's limits: those its suite declares, adjusted to like days and widened to allow for chance."""

from __future__ import annotations

from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from parc.quality import chance
from parc.quality.chance import Limits, UsualShare
from parc.quality.declared import DeclaredSuite, QualityError
from parc.quality.history import LIKE_DAYS, History
from parc.quality.verdict import Measures

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

VOLUME, VOLUME_OVER_4_DAYS = "percent_of_usual", "percent_of_usual_over_4_days"
HOURS_SHIFTED, SHIFT_EXPLAINS = "hours_shifted", "shift_explains_percent"


class DayComparison:
    """The measures of a day, compared with those of its like days."""

    def __init__(self, declared: DeclaredSuite, measured: Measures, history: History) -> None:
        """`measured` is the row returned by the suite's SQL.

        Raises QualityError if the suite refers to a measure that its SQL does not return.
        """
        self._declared = declared
        self._measured = measured
        self._history = history
        named = {name for share in declared.shares.values() for name in (share.count, share.of)}
        named |= {declared.volume.rows} if declared.volume else set()
        named |= {declared.profile} if declared.profile else set()
        if missing := sorted(named - set(measured)):
            raise QualityError(
                f"suite {declared.name} needs {', '.join(missing)}, which its SQL does not measure"
            )

    @cached_property
    def measures(self) -> Measures:
        """The measures derived from the suite's counts: shares, volume, shift of the hours."""
        found: Measures = {}
        for name, share in self._declared.shares.items():
            found[name] = _percent(self._measured, share.count, share.of)
        if self._declared.volume:
            usual, rows = self._history.usual_rows, self._measured[self._declared.volume.rows]
            volume = 100.0 * rows / usual if usual and rows is not None else None
            found[VOLUME] = volume
            found[VOLUME_OVER_4_DAYS] = volume if self._history.like_days == LIKE_DAYS else None
        if self._declared.profile:
            found[HOURS_SHIFTED], found[SHIFT_EXPLAINS] = self._shift(self._declared.profile)
        return found

    def limits(self, expectation: Expectation) -> Limits:
        """The limits that replace an expectation's own for this day; empty if they are not to be replaced."""
        measure = getattr(expectation, "column", "")
        given = {
            name: float(value)
            for name in ("min_value", "max_value")
            if (value := getattr(expectation, name, None)) is not None
        }
        if self.measures.get(measure) is None:
            return {}
        if measure in self._declared.shares:
            of = self._measured[self._declared.shares[measure].of]
            usual, odds = self._usual(measure), (expectation.meta or {}).get("odds")
            if usual is not None and odds is not None:
                margin = self._declared.margin_percent
                given = chance.limits_by_usual(given, usual, odds, margin, self._declared.chance)
            return chance.share_limits(given, of, self._declared.chance)
        if self._declared.volume and measure in (VOLUME, VOLUME_OVER_4_DAYS):
            rows, days = self._history.usual_rows, self._history.like_days
            assert rows
            return chance.volume_limits(given, rows, days, self._declared.volume.chance)
        return {}

    def usual_words(self, measure: str) -> str:
        """The usual value of a share, as messages append it; empty if like days have none."""
        usual = self._usual(measure) if measure in self._declared.shares else None
        return f" (days like this: {usual.percent:.3g} %)" if usual else ""

    def _usual(self, measure: str) -> UsualShare | None:
        share = self._declared.shares[measure]
        had = [
            (percent, past.measures[share.of])
            for past in self._history.like
            if (percent := _percent(past.measures, share.count, share.of)) is not None
        ]
        if not had:
            return None
        return UsualShare(median(percent for percent, _ in had), sum(of for _, of in had))

    def _shift(self, profile: str) -> tuple[int | None, float | None]:
        profiles = [past.measures[profile] for past in self._history.like if past.measures.get(profile)]
        if not profiles:
            return None, None
        usual = [sum(hour) for hour in zip(*profiles, strict=True)]
        return chance.shift(self._measured[profile], usual, self._declared.chance)


def _percent(measures: Any, count: str, of: str) -> float | None:
    part, total = measures.get(count), measures.get(of)
    return 100.0 * part / total if total and part is not None else None
