"""The operator's boutiques: where they are, and when they open and close."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from parc.simulate.chance import Bools, Choices, Floats, Ints, apportion, hash_unit
from parc.simulate.geography import Geography
from parc.simulate.population import Population

NATION_BOUTIQUES = 1_200

_FIRST_OPENED, _LAST_OPENED = date(1996, 1, 1), date(2011, 11, 30)
# Shares of boutiques that open and that close during these two years; the first two of each department
# do neither.
_CHANGES_FROM, _CHANGES_UNTIL = date(2012, 1, 2), date(2013, 12, 30)
_OPENS, _CLOSES = 0.03, 0.03
_LASTING = 2
# How far ahead the snapshots announce an opening or a closing.
_ANNOUNCED = timedelta(days=62)
_DEPARTMENT_SPAN = 10_000


class Boutiques:
    """All boutiques of an operator, grouped by department; a boutique's number is its index in `codes`.

    `department` holds the geography's department numbers. `opened_on` and `closed_on` are day ordinals;
    `closed_on` is the first closed day, and lies beyond every date if the boutique never closes.
    """

    def __init__(self, geography: Geography, population: Population, *, scale: float, seed: int) -> None:
        """Spread the boutiques by population: at least one in each department that has customers."""
        has_customers = population.lines.sum(axis=1) > 0
        weight = geography.department_weight * has_customers
        count = np.where(has_customers, np.maximum(1, apportion(round(NATION_BOUTIQUES * scale), weight)), 0)
        self.department = np.repeat(np.arange(len(count)), count)
        first = np.cumsum(count) - count
        self._number = np.arange(len(self.department)) - first[self.department] + 1
        places = [
            (geography.department_codes[department], number)
            for department, number in zip(self.department.tolist(), self._number.tolist(), strict=True)
        ]
        self.codes = tuple(f"B{code}-{number:03d}" for code, number in places)
        self._names = tuple(f"Boutique {code}-{number:02d}" for code, number in places)
        self._department_codes = geography.department_codes

        # Identifies a boutique independently of the scale.
        identity = self.department * _DEPARTMENT_SPAN + self._number
        changes = hash_unit(seed, "boutique changes", identity)
        is_lasting = self._number <= _LASTING

        def between(purpose: str, earliest: date, latest: date) -> Ints:
            span = (latest - earliest).days
            days: Ints = np.floor(hash_unit(seed, purpose, identity) * span).astype(np.int64)
            return earliest.toordinal() + days

        before = between("boutique opened", _FIRST_OPENED, _LAST_OPENED)
        moved = between("boutique moved", _CHANGES_FROM, _CHANGES_UNTIL)
        opens = ~is_lasting & (changes < _OPENS)
        closes = ~is_lasting & (changes >= 1 - _CLOSES)
        self.opened_on = np.where(opens, moved, before)
        self.closed_on = np.where(closes, moved, date.max.toordinal())
        self._footfall = 0.5 + hash_unit(seed, "boutique footfall", identity)

    def is_open(self, day: date) -> Bools:
        """Which boutiques exist on `day`."""
        is_open: Bools = (self.opened_on <= day.toordinal()) & (day.toordinal() < self.closed_on)
        return is_open

    def draw(self, day: date, department: Ints, unit: Floats) -> Ints:
        """Draw a boutique open on `day` for each department; larger ones are drawn more often."""
        table = np.zeros((len(self._department_codes), len(self.codes)))
        table[self.department, np.arange(len(self.codes))] = self._footfall * self.is_open(day)
        # Keeps the row valid; nobody is drawn in a department without boutiques.
        table[table.sum(axis=1) == 0] = 1.0
        return Choices(table).draw(department, unit)

    def snapshot(self, day: date) -> pl.DataFrame:
        """The feed `boutiques` as it stands on `day`."""
        announced = (day + _ANNOUNCED).toordinal()
        epoch = date(1970, 1, 1).toordinal()
        known = np.flatnonzero(self.opened_on <= announced)
        closed_on = pl.Series(self.closed_on[known] - epoch)
        return pl.DataFrame(
            {
                "boutique_code": pl.Series(self.codes).gather(known),
                "name": pl.Series(self._names).gather(known),
                "department_code": pl.Series(self._department_codes).gather(self.department[known]),
                "opened_on": pl.Series(self.opened_on[known] - epoch).cast(pl.Int32).cast(pl.Date),
                "closed_on": closed_on.set(closed_on > announced - epoch, None).cast(pl.Int32).cast(pl.Date),
            }
        ).with_columns(pl.col("opened_on", "closed_on").dt.to_string("%Y-%m-%d"))
