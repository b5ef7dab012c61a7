"""Business days in Europe/Paris as intervals of UTC, and instants as the feeds write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from parc.instants import PARIS
from parc.simulate.chance import Ints

HALF_HOUR = 1_800
FIRST_DAY, LAST_DAY = date(1998, 12, 1), date(2037, 12, 31)
"""First and last day of all tables of days; index 0 is the first day."""


@dataclass(frozen=True)
class BusinessDay:
    """One Europe/Paris day, in seconds since 1970 UTC; it has 46, 48 or 50 half-hours."""

    day: date
    starts_at: int
    ends_at: int

    @property
    def half_hours(self) -> int:
        """How many half-hours the day has."""
        return (self.ends_at - self.starts_at) // HALF_HOUR


@lru_cache(maxsize=64)
def business_day(day: date) -> BusinessDay:
    """The interval of UTC that is `day` in Paris."""
    midnights = (datetime.combine(d, time(), PARIS) for d in (day, day + timedelta(days=1)))
    starts_at, ends_at = (int(midnight.timestamp()) for midnight in midnights)
    return BusinessDay(day, starts_at, ends_at)


@lru_cache(maxsize=2_048)
def local_half_hours(day: date, time_zone: str) -> tuple[tuple[date, int], ...]:
    """For each half-hour of the business date: the local date and half-hour (0-47) in `time_zone`."""
    span = business_day(day)
    place = ZoneInfo(time_zone)
    moments = (datetime.fromtimestamp(span.starts_at + n * HALF_HOUR, place) for n in range(span.half_hours))
    return tuple((moment.date(), moment.hour * 2 + moment.minute // 30) for moment in moments)


@lru_cache(maxsize=32)
def local_noons(time_zone: str) -> Ints:
    """Local noon on every day from FIRST_DAY to LAST_DAY, in seconds since 1970 UTC.

    Clocks change at night, so adding a few hours to noon, or subtracting them, stays correct by the local
    clock.
    """
    place = ZoneInfo(time_zone)
    ordinals = range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1)
    noons = (datetime.combine(date.fromordinal(day), time(12), place) for day in ordinals)
    return np.array([int(noon.timestamp()) for noon in noons])


@lru_cache(maxsize=1)
def _midnights() -> Ints:
    ordinals = range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1)
    midnights = (datetime.combine(date.fromordinal(day), time(), PARIS) for day in ordinals)
    return np.array([int(midnight.timestamp()) for midnight in midnights])


def business_dates(seconds: Ints) -> Ints:
    """Ordinals of the business dates (Europe/Paris) of instants."""
    found: Ints = np.searchsorted(_midnights(), seconds, side="right") - 1 + FIRST_DAY.toordinal()
    return found


def iso_paris(seconds: Ints, present: pl.Series | None = None) -> pl.Series:
    """ISO 8601 texts with the offset of Paris at each instant; null where not `present`."""
    moments = pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(PARIS.key)
    texts = moments.dt.to_string("%Y-%m-%dT%H:%M:%S%:z")
    if present is None:
        return texts
    return texts.zip_with(present, pl.Series([None], dtype=pl.String))


def week_number(day: date) -> int:
    """Running number of the Monday-to-Sunday week that contains `day`."""
    return (day.toordinal() - 1) // 7
