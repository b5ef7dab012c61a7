"""The nation's expected calls, before any randomness: used to size positions and to try plans."""

from __future__ import annotations

from datetime import date

import numpy as np

from parc.simulate.chance import Floats
from parc.simulate.clock import local_half_hours
from parc.simulate.contacts import CALL_AGAIN, CALLS_A_DAY, EVENING, GAP_DAYS, MARKET_RATE, MORNING
from parc.simulate.demand import Demand
from parc.simulate.geography import Geography
from parc.simulate.population import Population

# Measured over half a year of simulated calls at scale 1.
OFFERED_SHARE = 0.905
"""Share of calls that reach a queue."""
UNKNOWN_SHARE = 0.044
"""Share of offered calls whose zone is unknown."""
HANDLE_SECONDS = 378
"""Mean talk, hold and wrap-up time of an offered call."""


def offered_calls(geography: Geography, population: Population, demand: Demand, day: date) -> Floats:
    """Calls offered at scale 1 on a `day` without surprises, per (zone, market, half-hour of the Paris day).

    Zone, market and half-hour are those of the call's first queue. `population` may have any scale.
    """
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
    """The day's calls per (zone, half-hour); an average day sums to 1.

    Same-day repeats count in the half-hour in which they come: soon after the first call, before the evening
    ends.
    """
    calls = demand.intensity(day).copy()
    for zones in geography.zones_alike:
        local = [half_hour for _, half_hour in local_half_hours(day, geography.zone_time_zone[zones[0]])]
        evening = 1 + max(n for n, half_hour in enumerate(local) if MORNING <= half_hour < EVENING)
        halves = np.arange(len(local)) + 0.5
        left = np.maximum(evening - halves[:, None], 0)
        # As ContactBook draws them: a squared uniform number times what is left of the day.
        reached = np.sqrt(np.clip((halves + 0.5 - halves[:, None]) / np.maximum(left, 1), 0, 1))
        again = CALL_AGAIN * GAP_DAYS[0] * np.diff(reached, axis=1, prepend=0) * (left >= 1)
        once = calls[zones]
        for _ in range(3):
            repeats = calls[zones] @ again
            calls[zones] = once * (1 - repeats.sum(axis=1) / once.sum(axis=1))[:, None] + repeats
    return calls
