"""How busy each site was, from the legs of its calls and the positions planned for it."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby

import numpy as np
import polars as pl

from parc.simulate.chance import Bools, Ints
from parc.simulate.clock import HALF_HOUR, business_day, local_half_hours
from parc.simulate.geography import Geography, Site

BUSY_PERCENT = 85
"""A half-hour is busy if its work fills more than this share of the positions planned."""


def open_positions(geography: Geography, day: date) -> Ints:
    """The positions planned per (site, half-hour of the business date); 0 where the site is closed."""

    def planned(number: int, site: Site, local: date, half_hour: int) -> float:
        holidays = geography.holidays.get(site.holiday_calendar, frozenset())
        of_weekday = geography.positions.get((number, local.isoweekday()))
        if of_weekday is None or not site.is_open(local) or local in holidays:
            return 0
        return float(of_weekday[half_hour])

    return np.array(
        [
            [planned(number, site, *local) for local in local_half_hours(day, site.time_zone)]
            for number, site in enumerate(geography.sites)
        ],
        dtype=np.int64,
    )


class SiteWork:
    """Collects the work of a range, date by date, and tells which half-hours were busy."""

    def __init__(self, geography: Geography) -> None:
        """Know the sites' numbers."""
        self._geography = geography
        self._numbers = {site.code: number for number, site in enumerate(geography.sites)}
        self._seconds: dict[date, Ints] = {}

    def add(self, day: date, legs: pl.DataFrame) -> None:
        """Add the legs of the calls of a date, as delivered: its half-hours and those of the next date."""
        span = business_day(day)
        half_hours = span.half_hours + business_day(day + timedelta(days=1)).half_hours
        seconds = np.zeros((len(self._numbers), half_hours), dtype=np.int64)
        moment = pl.col("answered_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="UTC")
        answered = legs.filter(pl.col("outcome") == "answered").select(
            site=pl.col("site_code").replace_strict(self._numbers, return_dtype=pl.Int64),
            starts=moment.dt.epoch("s") - span.starts_at,
            lasts=pl.sum_horizontal(pl.col("talk_s", "hold_s", "wrap_up_s").cast(pl.Int64)),
        )
        site, starts, lasts = (answered[name].to_numpy() for name in ("site", "starts", "lasts"))
        ends = np.minimum(starts + lasts, half_hours * HALF_HOUR)
        half_hour = starts // HALF_HOUR
        while len(site):
            until = np.minimum(ends, (half_hour + 1) * HALF_HOUR)
            worked = until - np.maximum(starts, half_hour * HALF_HOUR)
            np.add.at(seconds, (site, half_hour), worked)
            goes_on = until < ends
            site, starts, ends, half_hour = (x[goes_on] for x in (site, starts, ends, half_hour + 1))
        self._seconds[day] = seconds

    def busy(self, day: date) -> dict[str, dict[str, int]]:
        """The sites that were busy in any half-hour of the date: `busy_half_hours`, and `longest_run`, the
        most of them one after the other. Work of the day before is known if that day was added too."""
        half_hours = business_day(day).half_hours
        seconds = self._seconds[day][:, :half_hours].copy()
        before = self._seconds.get(day - timedelta(days=1))
        if before is not None:
            seconds += before[:, -half_hours:]
        positions = open_positions(self._geography, day)
        is_busy: Bools = (positions > 0) & (seconds * 100 > BUSY_PERCENT * positions * HALF_HOUR)
        figures = {}
        for code, number in self._numbers.items():
            runs = [len(list(run)) for busy, run in groupby(is_busy[number].tolist()) if busy]
            if runs:
                figures[code] = {"busy_half_hours": sum(runs), "longest_run": max(runs)}
        return figures
