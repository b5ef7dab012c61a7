"""When events happen in the days after a start, by each zone's habits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from parc.simulate.chance import Choices, Floats, Ints
from parc.simulate.clock import HALF_HOUR, business_day

Intensity = Callable[[date], Floats]


class Rhythm:
    """The days from a start onwards, each with its intensity per (zone, half-hour of the Paris day)."""

    def __init__(self, intensity: Intensity, start: date, *, horizon: int, gap_days: Floats) -> None:
        """`gap_days` are the weights of 0, 1, 2, ... days until the next event.

        Next events can be drawn for events up to `horizon` days after `start`.
        """
        self.days = [start + timedelta(days=age) for age in range(horizon + len(gap_days))]
        self.business_days = [business_day(day) for day in self.days]
        tables = [intensity(day) for day in self.days]
        self._zones = len(tables[0])
        widest = max(table.shape[1] for table in tables)
        padded = np.zeros((len(tables), self._zones, widest))
        for age, table in enumerate(tables):
            padded[age, :, : table.shape[1]] = table
        level = padded.sum(axis=2)
        # Nothing is drawn where nothing happens, but the distribution must still be valid.
        padded[level == 0, 0] = 1.0
        self._half_hours = Choices(padded.reshape(-1, widest))
        self._starts_at = np.array([day.starts_at for day in self.business_days])
        ahead = np.arange(horizon + 1)[:, None] + np.arange(len(gap_days))
        gaps = np.swapaxes(level[ahead] * gap_days[:, None], 1, 2)
        gaps[gaps.sum(axis=2) == 0, 0] = 1.0
        self._gap_days = Choices(gaps.reshape(-1, len(gap_days)))

    def moment(self, zone: Ints, age: Ints, slot_unit: Floats, second_unit: Floats) -> Ints:
        """Draw an instant in the business date `age` days after the start."""
        slot = self._half_hours.draw(age * self._zones + zone, slot_unit)
        moment: Ints = self._starts_at[age] + slot * HALF_HOUR + (second_unit * HALF_HOUR).astype(np.int64)
        return moment

    def gap(self, zone: Ints, age: Ints, unit: Floats) -> Ints:
        """Draw the days from an event `age` days after the start to the next one."""
        return self._gap_days.draw(age * self._zones + zone, unit)
