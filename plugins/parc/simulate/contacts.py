"""Why and when customers call: a need, its first call, and the calls and visits that follow.

A need belongs to the day of its first call. The whole need is drawn on that day: its later calls and its
boutique visits too. A business date collects what the needs of the last `HORIZON` days send to it, so it
comes out the same wherever the simulated range begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from parc.feeds.declaration import MARKETS
from parc.simulate.chance import Bools, Choices, Floats, Ints, stream
from parc.simulate.clock import HALF_HOUR, local_half_hours
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.population import NATION_LINES, Population
from parc.simulate.rhythm import Rhythm
from parc.simulate.rows import DatedRows

HORIZON = 14
CALLS_A_DAY = 220_000
# The rest follow a boutique visit or a field unit's job.
_NEEDS_SHARE = 0.93
# Calls per line of each market, relative to the mean of all lines.
MARKET_RATE = np.array([0.88, 1.15, 1.03])
CALL_AGAIN = 0.20
_MAX_CALLS = 4
# Calls per need that result from CALL_AGAIN, measured over a year.
_CALLS_PER_NEED = 1.24
# Weights of the number of days until the next call, from 0 to 7.
GAP_DAYS = np.array([0.36, 0.20, 0.12, 0.09, 0.07, 0.06, 0.05, 0.05])
_SAME_REASON = 0.8
# Same-day repeats come between these local half-hours.
MORNING, EVENING = 16, 41
_TO_SHOP = 0.04
# Weights of the number of days until the visit, which is never on the same day.
_SHOP_GAP_DAYS = np.array([0.0, 0.30, 0.22, 0.16, 0.13, 0.11, 0.08])

REASONS = (
    ("LINE_FAULT", "BILLING", "CONTRACT", "ORDER", "MOVE", "INFORMATION"),
    ("SYNC_LOSS", "BILLING", "WIFI", "TV", "ORDER", "CONTRACT"),
    ("BILLING", "MOBILE_OPTION", "SYNC_LOSS", "CONTRACT", "ORDER", "INFORMATION"),
)
_REASON_WEIGHTS = np.array(
    [
        [0.30, 0.24, 0.16, 0.12, 0.10, 0.08],
        [0.30, 0.19, 0.15, 0.13, 0.13, 0.10],
        [0.27, 0.22, 0.19, 0.14, 0.10, 0.08],
    ]
)
SHOP_REASONS = ("PURCHASE", "MOBILE", "BILLING", "EQUIPMENT", "FAULT", "CONTRACT", "INFORMATION")
# The boutique's reason for each of REASONS, and the reverse.
_AT_SHOP = np.array([[4, 2, 5, 0, 5, 6], [3, 2, 3, 3, 0, 5], [2, 1, 3, 5, 0, 6]])
AT_CALL = np.array([[3, 2, 1, 0, 0, 2, 5], [4, 5, 1, 2, 0, 5, 3], [4, 1, 0, 2, 2, 3, 5]])


@dataclass(frozen=True)
class Contacts(DatedRows):
    """Calls as customers make them.

    `day` is the ordinal of the business date, `offered_at` seconds since 1970 UTC, `market` the line's
    market, `reason` an index in REASONS[market], `attempt` 1 for the first call of a need, `next_gap` the
    seconds until the need's next call (-1: none). `is_made` marks the calls that are made, `without` those
    that would have been made had no region gone live, and `again_without` those of the latter that another
    would follow.
    """

    offered_at: Ints
    customer: Ints
    department: Ints
    market: Ints
    reason: Ints
    attempt: Ints
    next_gap: Ints
    is_made: Bools
    without: Bools
    again_without: Bools

    def in_order(self) -> Contacts:
        """The contacts in order of time."""
        return self.take(np.lexsort((self.attempt, self.customer, self.offered_at)))


@dataclass(frozen=True)
class Visits(DatedRows):
    """Boutique visits as customers make them.

    `day` is the ordinal of the business date, `arrived_at` seconds since 1970 UTC, `department` the
    boutique's department, `reason` an index in SHOP_REASONS.
    """

    arrived_at: Ints
    customer: Ints
    department: Ints
    reason: Ints


def ramp(days_live: Ints, effects: Effects) -> Floats:
    """Share of an effect that is reached: 0 where not live, 1 once the ramp has ended."""
    reached: Floats = np.clip((days_live + 1) / effects.ramp_days, 0.0, 1.0)
    return reached


def relative_call_rate(effects: Effects, reached: Floats | float) -> Floats:
    """Relative change of a line's calls that belong to needs, given the share of the effects `reached`."""
    chain = np.arange(_MAX_CALLS)

    def calls(again: Floats) -> Floats:
        made: Floats = (again[..., None] ** chain).sum(axis=-1)
        return made

    share = np.asarray(reached, dtype=np.float64)
    usual = calls(np.full_like(share, CALL_AGAIN))
    return (1 + effects.call_rate * share) * calls(CALL_AGAIN * (1 + effects.repeat * share)) / usual - 1


def thinned(unit: Floats, change: Floats | float) -> tuple[Bools, Bools]:
    """Of events drawn at `drawn_rate(change)`: which happen, and which would have without the change.

    `change` is the relative change of their number, `unit` a number in [0, 1) for each.
    """
    scaled = unit * drawn_rate(change)
    return scaled < 1 + change, scaled < 1.0


def drawn_rate(change: Floats | float) -> Floats:
    """How many events to draw for each one that would happen without the change."""
    rate: Floats = np.maximum(1.0, 1 + np.asarray(change))
    return rate


class ContactBook:
    """The contacts of any business date that belong to needs, and the boutique visits that follow."""

    def __init__(
        self,
        geography: Geography,
        population: Population,
        demand: Demand,
        footfall: Footfall,
        effects: Effects,
        *,
        seed: int,
    ) -> None:
        """Draw nothing yet."""
        self._geography = geography
        self._population = population
        self._demand = demand
        self._footfall = footfall
        self._effects = effects
        self._seed = seed
        self._reasons = Choices(_REASON_WEIGHTS)
        self._needs: dict[date, tuple[Contacts, Visits]] = {}

    def on(self, day: date) -> tuple[Contacts, Visits]:
        """The contacts and visits of `day`. Needs drawn for earlier days are kept for the next request."""
        first = day - timedelta(days=HORIZON)
        self._needs = {start: needs for start, needs in self._needs.items() if first <= start <= day}
        calls, visits = [], []
        for age in range(HORIZON, -1, -1):
            start = day - timedelta(days=age)
            if start not in self._needs:
                self._needs[start] = self._draw(start)
            called, visited = self._needs[start]
            calls.append(called)
            visits.append(visited)
        return Contacts.of_day(calls, day), Visits.of_day(visits, day)

    def _draw(self, start: date) -> tuple[Contacts, Visits]:
        """Draw all calls of the needs that begin on `start`, and the visits that follow."""
        geography, demand = self._geography, self._demand
        rng = stream(self._seed, "needs", start)
        zones = geography.department_zones(start)
        live = ramp(geography.days_live(start), self._effects)[geography.department_region]
        rarer = self._effects.call_rate * live
        rate = CALLS_A_DAY * _NEEDS_SHARE / NATION_LINES / _CALLS_PER_NEED * MARKET_RATE
        expected = (
            self._population.lines_in(start)
            * rate
            * demand.intensity(start).sum(axis=1)[zones][:, None]
            * demand.daily_factor(start)[geography.department_region][:, None]
            * drawn_rate(rarer)
        )
        # In a cell without customers nobody calls.
        count = rng.poisson(np.where(self._population.lines > 0, expected, 0.0)).ravel()
        cell = np.repeat(np.arange(count.size), count)
        department, market = cell // len(MARKETS), cell % len(MARKETS)
        total = len(cell)
        clock = _Clock(geography, demand, start)
        made, without = thinned(rng.random(total), rarer[department, market])
        call = Contacts(
            day=np.full(total, start.toordinal()),
            offered_at=clock.moment(
                zones[department], np.zeros(total, dtype=np.int64), *rng.random((2, total))
            ),
            customer=self._population.draw(department, market, rng.random(total)),
            department=department,
            market=market,
            reason=self._reasons.draw(market, rng.random(total)),
            attempt=np.ones(total, dtype=np.int64),
            next_gap=np.full(total, -1),
            is_made=made,
            without=without,
            again_without=np.zeros(total, dtype=np.bool_),
        )
        again = CALL_AGAIN * (1 + self._effects.repeat * live)
        parts = []
        for attempt in range(2, _MAX_CALLS + 1):
            unit = rng.random(len(call))
            calls_again = call.is_made & (unit < again[call.department, call.market])
            calls_again_without = call.without & (unit < CALL_AGAIN)
            rows = np.flatnonzero(calls_again | calls_again_without)
            before = call.take(rows)
            age, offered_at = clock.again(
                zones[before.department],
                before.day - start.toordinal(),
                before.offered_at,
                *rng.random((3, len(rows))),
            )
            within = age <= HORIZON
            gap = np.where(calls_again[rows], offered_at - before.offered_at, -1)
            call.next_gap[rows[within]] = gap[within]
            call.again_without[rows[within]] = calls_again_without[rows[within]]
            parts.append(call)
            other_reason = self._reasons.draw(before.market, rng.random(len(rows)))
            call = Contacts(
                day=start.toordinal() + age,
                offered_at=offered_at,
                customer=before.customer,
                department=before.department,
                market=before.market,
                reason=np.where(rng.random(len(rows)) < _SAME_REASON, before.reason, other_reason),
                attempt=np.full(len(rows), attempt),
                next_gap=np.full(len(rows), -1),
                is_made=calls_again[rows],
                without=calls_again_without[rows],
                again_without=np.zeros(len(rows), dtype=np.bool_),
            ).take(within)
        calls = Contacts.concat([*parts, call])
        return calls, self._to_the_shop(start, calls.take(calls.is_made))

    def _to_the_shop(self, start: date, calls: Contacts) -> Visits:
        """Visits of customers whom a call did not help enough."""
        rng = stream(self._seed, "call then visit", start)
        rhythm = Rhythm(self._footfall.intensity, start, horizon=HORIZON, gap_days=_SHOP_GAP_DAYS)
        gone = calls.take(rng.random(len(calls)) < _TO_SHOP)
        zone = self._geography.department_zones(start)[gone.department]
        age = gone.day - start.toordinal()
        gap_unit, slot_unit, second_unit = rng.random((3, len(gone)))
        age = age + rhythm.gap(zone, age, gap_unit)
        return Visits(
            day=start.toordinal() + age,
            arrived_at=rhythm.moment(zone, age, slot_unit, second_unit),
            customer=gone.customer,
            department=gone.department,
            reason=_AT_SHOP[gone.market, gone.reason],
        ).take(age <= HORIZON)


class _Clock(Rhythm):
    """When calls come in the days after a start, repeat calls included."""

    def __init__(self, geography: Geography, demand: Demand, start: date) -> None:
        super().__init__(demand.intensity, start, horizon=HORIZON, gap_days=GAP_DAYS)
        self._evening = np.empty((HORIZON + 1, len(geography.zone_codes)), dtype=np.int64)
        for zones in geography.zones_alike:
            name = geography.zone_time_zone[zones[0]]
            for age in range(HORIZON + 1):
                local = [half_hour for _, half_hour in local_half_hours(self.days[age], name)]
                last = max(n for n, half_hour in enumerate(local) if MORNING <= half_hour < EVENING)
                self._evening[age, zones] = self.business_days[age].starts_at + (last + 1) * HALF_HOUR

    def again(
        self,
        zone: Ints,
        age: Ints,
        offered_at: Ints,
        gap_unit: Floats,
        slot_unit: Floats,
        second_unit: Floats,
    ) -> tuple[Ints, Ints]:
        """The call that follows each one: days since the start (beyond HORIZON: never) and instant."""
        gap = self.gap(zone, age, gap_unit)
        left = self._evening[age, zone] - offered_at
        # Too late for another call today: it comes tomorrow.
        gap = np.where((gap == 0) & (left < HALF_HOUR), 1, gap)
        today = offered_at + 120 + (slot_unit**2 * (left - 120)).astype(np.int64)
        later = self.moment(zone, np.minimum(age + gap, HORIZON), slot_unit, second_unit)
        return age + gap, np.where(gap == 0, today, later)
