"""When people visit the boutiques, and how busy the staff is then."""

from __future__ import annotations

from datetime import date

import numpy as np

from parc.simulate.chance import Floats
from parc.simulate.clock import business_day, local_half_hours
from parc.simulate.geography import Geography

# Boutiques open from 09:30 to 19:00: visitors per half-hour as weights, normalised below, and the staff.
_OPENS = 19
_WEEKDAY = np.array([5, 7, 8.5, 9, 8.5, 7, 5.5, 5, 5.5, 6.5, 7, 7.5, 8, 8.5, 9, 9, 8.5, 6.5, 4])
_SATURDAY = np.array([5, 8, 9, 10, 9.5, 8, 6, 6, 8, 9.5, 10.5, 11, 11, 11, 10.5, 10, 9, 7.5, 5])
_SHAPES = (_WEEKDAY / _WEEKDAY.sum(), _SATURDAY / _SATURDAY.sum())
_STAFF = np.array([6, 7, 8, 8.5, 8.5, 6.5, 5, 5, 6.5, 8, 8, 8, 8, 8, 8, 8, 8, 7.5, 6])
_SATURDAY_STAFF = 0.92 * _STAFF
_STAFF_SHARE = (_STAFF / _STAFF.sum(), _SATURDAY_STAFF / _STAFF.sum())

_DAY_LEVEL = np.array([0.95, 0.85, 1.05, 0.86, 1.00, 1.50, 0.0])
_MONTH_LEVEL = np.array([1.02, 0.93, 0.95, 0.95, 0.93, 0.96, 0.97, 0.85, 1.05, 1.00, 1.02, 1.34])
_WEEKDAY_LEVEL, _SEASON_LEVEL = _DAY_LEVEL / _DAY_LEVEL.mean(), _MONTH_LEVEL / _MONTH_LEVEL.mean()
# Scales an average year, with its closed days, to a mean of 1.
_YEAR_LEVEL = 1.031
_USUAL_LOAD = 0.78


class Footfall:
    """Expected visitors over the day, and the load they put on the staff, before any randomness."""

    def __init__(self, geography: Geography) -> None:
        """Compute nothing yet."""
        self._geography = geography
        self._tables: dict[date, tuple[Floats, Floats]] = {}

    def intensity(self, day: date) -> Floats:
        """Visitors per (zone, half-hour of the Paris day); an average day sums to 1.

        Boutiques follow their own clock, weekdays and holidays.
        """
        return self._table(day)[0]

    def load(self, day: date) -> Floats:
        """Planned load of the staff per (zone, half-hour of the Paris day); 0 where boutiques are closed.

        Staffing follows the weekdays fully and the seasons by half.
        """
        return self._table(day)[1]

    def _table(self, day: date) -> tuple[Floats, Floats]:
        if day not in self._tables:
            geography = self._geography
            shape = (len(geography.zone_codes), business_day(day).half_hours)
            visitors, load = np.zeros(shape), np.zeros(shape)
            for zones in geography.zones_alike:
                hours = local_half_hours(day, geography.zone_time_zone[zones[0]])
                for slot, (local, half_hour) in enumerate(hours):
                    place = half_hour - _OPENS
                    weekday, season = _WEEKDAY_LEVEL[local.weekday()], _SEASON_LEVEL[local.month - 1]
                    is_open = 0 <= place < len(_STAFF) and weekday > 0
                    if not is_open or geography.is_holiday(zones[0], local):
                        continue
                    is_saturday = local.weekday() == 5
                    share = _SHAPES[is_saturday][place]
                    visitors[zones, slot] = weekday * season * _YEAR_LEVEL * share
                    load[zones, slot] = (
                        _USUAL_LOAD * np.sqrt(season) * share / _STAFF_SHARE[is_saturday][place]
                    )
            self._tables[day] = visitors, load
        return self._tables[day]
