"""The field units' working days, and local clock times."""

from __future__ import annotations

import numpy as np

from parc.simulate.chance import Ints
from parc.simulate.clock import FIRST_DAY, LAST_DAY, local_noons
from parc.simulate.geography import Geography

_NOON = 12 * 3_600
_DAY = 24 * 3_600


class FieldDays:
    """Working days (Monday to Friday without holidays) of every zone; days are ordinals."""

    def __init__(self, geography: Geography) -> None:
        """Count the working days of every zone."""
        self._first = FIRST_DAY.toordinal()
        ordinals = np.arange(self._first, LAST_DAY.toordinal() + 1)
        self._width = len(ordinals)
        zones = range(len(geography.zone_codes))
        is_working = np.tile((ordinals - 1) % 7 < 5, (len(zones), 1))
        for zone in zones:
            holidays = geography.holidays.get(geography.zone_calendar[zone], frozenset())
            days = np.array([day.toordinal() for day in holidays], dtype=np.int64) - self._first
            is_working[zone, days[(days >= 0) & (days < self._width)]] = False
        # One increasing sequence: each zone starts above the last count of the previous zone.
        self._count = np.cumsum(is_working, axis=1) + self._width * np.arange(len(zones))[:, None]
        self._counts = self._count.ravel()
        self._noon = np.array([local_noons(name) for name in geography.zone_time_zone])

    def after(self, zone: Ints, day: Ints, number: Ints) -> Ints:
        """The `number`th working day after `day`, counted from 1."""
        position = self._count[zone, day - self._first] + number
        found: Ints = np.searchsorted(self._counts, position) - zone * self._width + self._first
        return found

    def at(self, zone: Ints, day: Ints, second: Ints) -> Ints:
        """The instant at which the local clock is `second` seconds into `day` (not valid at night)."""
        instant: Ints = self._noon[zone, day - self._first] - _NOON + second
        return instant

    def local_day(self, zone: Ints, near: Ints, instant: Ints) -> Ints:
        """The local day of an instant that lies close to the day `near`."""
        elapsed = instant - self._noon[zone, near - self._first] + _NOON
        local: Ints = near + elapsed // _DAY
        return local
