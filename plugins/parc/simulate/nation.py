"""The nation's calls before chance plays its part: what positions are sized by, and plans are tried on."""

from __future__ import annotations

from datetime import date

import numpy as np

from parc.simulate.chance import Floats
from parc.simulate.clock import local_half_hours
from parc.simulate.contacts import CALL_AGAIN, CALLS_A_DAY, EVENING, GAP_DAYS, MARKET_RATE, MORNING
from parc.simulate.demand import Demand
from parc.simulate.geography import Geography
from parc.simulate.population import Population

# As measured over half a year of simulated calls at scale 1.
OFFERED_SHARE = 0.905
"""Of all calls, those that come to a queue."""
UNKNOWN_SHARE = 0.044
"""Of these, the ones of which nobody knows the zone."""
HANDLE_SECONDS = 378
"""Talk, hold and wrap-up that an offered call brings, on average."""


def offered_calls(geography: Geography, population: Population, demand: Demand, day: date) -> Floats:
    """Calls offered at scale 1 on a `day` without surprises, per (zone, market, half-hour of the Paris day)
    of the call's first queue. `population` may have any scale."""
    zones, lines = geography.department_zones(day), population.lines_in(day)
    by_zone = np.zeros((len(geography.zone_codes), lines.shape[1]))
    np.add.at(by_zone, zones, lines / population.lines.sum())
    calls = CALLS_A_DAY * OFFERED_SHARE * by_zone * MARKET_RATE
    offered: Floats = calls[:, :, None] * _with_repeats(geography, demand, day)[:, None, :]
    unknown = offered.sum(axis=0) * UNKNOWN_SHARE
    offered *= 1 - UNKNOWN_SHARE
    offered[0] += unknown
    return offered


def _with_repeats(geography: Geography, demand: Demand, day: date) -> Floats:
    """The day's calls per (zone, half-hour), 1 on an average day: those that come again on the same day stand
    where they come, soon after the first and before the evening ends."""
    calls = demand.intensity(day).copy()
    for zones in geography.zones_alike:
        local = [half_hour for _, half_hour in local_half_hours(day, geography.zone_time_zone[zones[0]])]
        evening = 1 + max(n for n, half_hour in enumerate(local) if MORNING <= half_hour < EVENING)
        halves = np.arange(len(local)) + 0.5
        left = np.maximum(evening - halves[:, None], 0)
        # As ContactBook draws them: the square of a uniform number, of what is left of the day.
        reached = np.sqrt(np.clip((halves + 0.5 - halves[:, None]) / np.maximum(left, 1), 0, 1))
        again = CALL_AGAIN * GAP_DAYS[0] * np.diff(reached, axis=1, prepend=0) * (left >= 1)
        once = calls[zones]
        for _ in range(3):
            repeats = calls[zones] @ again
            calls[zones] = once * (1 - repeats.sum(axis=1) / once.sum(axis=1))[:, None] + repeats
    return calls
