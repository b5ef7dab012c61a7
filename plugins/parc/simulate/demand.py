"""When customers call, and how busy the sites are then."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from parc.instants import PARIS
from parc.simulate.chance import Floats, stream
from parc.simulate.clock import business_day, local_half_hours
from parc.simulate.geography import Geography

# Weights of a day's first contacts per local half-hour, starting at 00:00; normalised below.
_WEEKDAY = np.concatenate(
    [
        [4, 3, 2, 2, 1, 1, 1, 1, 1, 1, 2, 3, 5, 7, 11, 18],
        [150, 215, 290, 345, 365, 360, 325, 275, 205, 185, 210, 255],
        [300, 320, 318, 305, 298, 290, 285, 280, 272, 255, 225, 190],
        [120, 95, 78, 60, 42, 28, 16, 8],
    ]
)
_WEEKEND = np.concatenate(
    [
        [6, 5, 4, 3, 2, 2, 1, 1, 1, 1, 2, 3, 4, 6, 10, 17],
        [95, 150, 225, 290, 340, 355, 340, 300, 220, 180, 195, 230],
        [255, 265, 260, 250, 240, 230, 220, 210, 195, 175, 150, 130],
        [95, 80, 66, 52, 38, 26, 16, 9],
    ]
)
_SHAPES = (_WEEKDAY / _WEEKDAY.sum(), _WEEKEND / _WEEKEND.sum())
_DAY_LEVEL = np.array([1.25, 1.15, 1.09, 1.06, 1.09, 0.86, 0.26])
_WEEKDAY_LEVEL = _DAY_LEVEL / _DAY_LEVEL.mean()
_MONTH_LEVEL = np.array([1.05, 1.02, 1.01, 0.98, 0.95, 0.98, 0.96, 0.90, 1.07, 1.06, 1.02, 1.00])
_HOLIDAY_LEVEL = 0.24
# Scales an average year, with its eleven holidays, to a mean of 1.
_YEAR_LEVEL = 1.025

_NATION_SIGMA = 0.05
_REGION_SIGMA = 0.04
_EVENT_LEVELS = (1.5, 1.2)

_USUAL_LOAD = 0.80
_PARTNER_LOAD = 0.72
# The usual load is set from this week, which has no holiday.
_REFERENCE_MONDAY = date(2012, 3, 12)


class Demand:
    """Expected first contacts over the day, and the load they put on the sites, before any randomness.

    Neither depends on the scale: a smaller operator has proportionally fewer lines and fewer agents.
    """

    def __init__(self, geography: Geography, *, seed: int) -> None:
        """Set the usual load from the reference week."""
        self._geography = geography
        self._seed = seed
        self._intensity: dict[date, Floats] = {}
        zones = geography.department_zones(_REFERENCE_MONDAY)
        weight = geography.department_weight / geography.department_weight.sum()
        self._zone_share = np.bincount(zones, weights=weight, minlength=len(geography.zone_codes))
        self._unit_load = 1.0
        week = [_REFERENCE_MONDAY + timedelta(days=n) for n in range(7)]
        calls = np.concatenate([self._national_intensity(day) for day in week])
        staffed = np.concatenate([self._positions(day) for day in week])
        # Weighted by calls: the load that a caller experiences.
        open_hours = staffed > 0
        busy = np.average(calls[open_hours] / staffed[open_hours], weights=calls[open_hours])
        self._unit_load = _USUAL_LOAD / float(busy)

    def intensity(self, day: date) -> Floats:
        """First contacts per (zone, half-hour of the Paris day); an average day sums to 1.

        Zones follow their own clocks, weekdays and holidays.
        """
        if day not in self._intensity:
            geography = self._geography
            table = np.zeros((len(geography.zone_codes), business_day(day).half_hours))
            for zones in geography.zones_alike:
                hours = local_half_hours(day, geography.zone_time_zone[zones[0]])
                shapes = {local: self._shape(zones[0], local) for local in {local for local, _ in hours}}
                table[zones] = [shapes[local][half_hour] for local, half_hour in hours]
            self._intensity[day] = table
        return self._intensity[day]

    def level(self, day: date) -> float:
        """The nation's first contacts on `day`; 1 is an average day."""
        return float(self._zone_share @ self.intensity(day).sum(axis=1))

    def daily_factor(self, day: date) -> Floats:
        """The unplanned part of demand: a factor per region, on contacts and on load."""
        regions = len(self._geography.region_codes)
        rng = stream(self._seed, "surprise", day)
        nation = rng.standard_normal() * _NATION_SIGMA
        factor: Floats = np.exp(nation + rng.standard_normal(regions) * _REGION_SIGMA)
        for age, level in enumerate(_EVENT_LEVELS):
            for happened_on, region in self._geography.events:
                if happened_on == day - timedelta(days=age):
                    factor[slice(None) if region is None else region] *= level
        return factor

    def load(self, day: date) -> Floats:
        """Planned load (contacts / positions) of the metropolitan sites per half-hour of the Paris day."""
        staffed = self._positions(day)
        load = np.full(len(staffed), _PARTNER_LOAD)
        calls = self._national_intensity(day)
        np.divide(calls * self._unit_load, staffed, out=load, where=staffed > 0)
        clipped: Floats = np.clip(load, 0.3, 1.3)
        return clipped

    @property
    def partner_load(self) -> float:
        """Planned load of the partners, who take calls round the clock."""
        return _PARTNER_LOAD

    def _shape(self, zone: int, local: date) -> Floats:
        """First contacts per half-hour of a local day in a zone."""
        level = _level(local) * (_HOLIDAY_LEVEL if self._geography.is_holiday(zone, local) else 1.0)
        shape: Floats = level * _SHAPES[local.weekday() >= 5]
        return shape

    def _national_intensity(self, day: date) -> Floats:
        national: Floats = self._zone_share @ self.intensity(day)
        return national

    def _positions(self, day: date) -> Floats:
        """Agents of the metropolitan sites per half-hour of the Paris day."""
        total = np.zeros(business_day(day).half_hours)
        for number, site in enumerate(self._geography.sites):
            if site.is_partner or site.time_zone != PARIS.key or not site.is_open(day):
                continue
            for slot, (local, half_hour) in enumerate(local_half_hours(day, site.time_zone)):
                planned = self._geography.positions.get((number, local.isoweekday()))
                if planned is not None:
                    total[slot] += planned[half_hour]
        return total


def _level(day: date) -> float:
    return float(_WEEKDAY_LEVEL[day.weekday()] * _MONTH_LEVEL[day.month - 1] * _YEAR_LEVEL)
