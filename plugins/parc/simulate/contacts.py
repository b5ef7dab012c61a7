"""Why and when customers call: a need, met or not by the first call, and the calls that follow from it.

A need belongs to the day of its first call and is drawn whole on that day, repeats included. A business
date is made of what the needs of the last `HORIZON` days send to it, so it comes out the same wherever a
range begins.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np

from parc.feeds.declaration import MARKETS
from parc.simulate.chance import Choices, Floats, Ints, stream
from parc.simulate.clock import HALF_HOUR, business_day, local_half_hours
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.geography import Geography
from parc.simulate.population import NATION_LINES, Population

HORIZON = 14
CALLS_A_DAY = 220_000
# Calls per line of each market against the mean of all lines.
_MARKET_RATE = np.array([0.88, 1.15, 1.03])
_CALL_AGAIN = 0.20
_MAX_CALLS = 4
# Calls per need that follow from _CALL_AGAIN, as measured over a year.
_CALLS_PER_NEED = 1.24
# Weights of the days until the next call, from the same day to a week later.
_GAP_DAYS = np.array([0.36, 0.20, 0.12, 0.09, 0.07, 0.06, 0.05, 0.05])
_SAME_REASON = 0.8
# Same-day repeats come between these local half-hours.
_MORNING, _EVENING = 16, 41

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


@dataclass(frozen=True)
class Contacts:
    """Calls as customers make them: arrays of one length.

    `day` is the ordinal of the business date, `offered_at` seconds since 1970 UTC, `market` the line's,
    `reason` a place in REASONS[market], `attempt` 1 for the first call of a need, `next_gap` the seconds
    until its next call (-1: none).
    """

    day: Ints
    offered_at: Ints
    customer: Ints
    department: Ints
    market: Ints
    reason: Ints
    attempt: Ints
    next_gap: Ints

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, rows: Ints) -> Contacts:
        """Some of the contacts, in the order of `rows`."""
        return Contacts(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concat(parts: list[Contacts]) -> Contacts:
        """All contacts of several parts."""
        return Contacts(
            *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Contacts))
        )


def ramp(days_live: Ints, effects: Effects) -> Floats:
    """How much of an effect is reached: 0 where not live, 1 from the end of the ramp on."""
    reached: Floats = np.clip((days_live + 1) / effects.ramp_days, 0.0, 1.0)
    return reached


class ContactBook:
    """The contacts of any business date."""

    def __init__(
        self, geography: Geography, population: Population, demand: Demand, effects: Effects, *, seed: int
    ) -> None:
        """Nothing is drawn yet."""
        self._geography = geography
        self._population = population
        self._demand = demand
        self._effects = effects
        self._seed = seed
        self._reasons = Choices(_REASON_WEIGHTS)
        self._needs: dict[date, Contacts] = {}

    def on(self, day: date) -> Contacts:
        """The contacts of `day` in order of time; those of the days before are kept for the next call."""
        first = day - timedelta(days=HORIZON)
        self._needs = {start: needs for start, needs in self._needs.items() if first <= start <= day}
        parts = []
        for age in range(HORIZON, -1, -1):
            start = day - timedelta(days=age)
            if start not in self._needs:
                self._needs[start] = self._draw(start)
            needs = self._needs[start]
            parts.append(needs.take(np.flatnonzero(needs.day == day.toordinal())))
        found = Contacts.concat(parts)
        return found.take(np.lexsort((found.attempt, found.customer, found.offered_at)))

    def _draw(self, start: date) -> Contacts:
        """All calls of the needs that begin on `start`."""
        geography, demand = self._geography, self._demand
        rng = stream(self._seed, "needs", start)
        zones = geography.department_zones(start)
        live = ramp(geography.days_live(start), self._effects)[geography.department_region]
        rate = CALLS_A_DAY / NATION_LINES / _CALLS_PER_NEED * _MARKET_RATE
        expected = (
            self._population.lines_in(start)
            * rate
            * demand.intensity(start).sum(axis=1)[zones][:, None]
            * demand.surprise(start)[geography.department_region][:, None]
            * (1 + self._effects.call_rate * live)
        )
        # A cell without customers has nobody to call.
        count = rng.poisson(np.where(self._population.lines > 0, expected, 0.0)).ravel()
        cell = np.repeat(np.arange(count.size), count)
        department, market = cell // len(MARKETS), cell % len(MARKETS)
        total = len(cell)
        clock = _Clock(geography, demand, start)
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
        )
        again = _CALL_AGAIN * (1 + self._effects.repeat * live)
        parts = []
        for attempt in range(2, _MAX_CALLS + 1):
            rows = np.flatnonzero(rng.random(len(call)) < again[call.department, call.market])
            before = call.take(rows)
            age, offered_at = clock.again(
                zones[before.department],
                before.day - start.toordinal(),
                before.offered_at,
                *rng.random((3, len(rows))),
            )
            within = age <= HORIZON
            call.next_gap[rows[within]] = (offered_at - before.offered_at)[within]
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
            ).take(np.flatnonzero(within))
        return Contacts.concat([*parts, call])


class _Clock:
    """When in the days after a start calls come, per zone."""

    def __init__(self, geography: Geography, demand: Demand, start: date) -> None:
        days = [start + timedelta(days=age) for age in range(HORIZON + 1)]
        stretches = [business_day(day) for day in days]
        self._zones = len(geography.zone_codes)
        widest = max(stretch.half_hours for stretch in stretches)
        table = np.zeros((HORIZON + 1, self._zones, widest))
        for age, day in enumerate(days):
            table[age, :, : stretches[age].half_hours] = demand.intensity(day)
        self._half_hours = Choices(table.reshape(-1, widest))
        self._starts_at = np.array([stretch.starts_at for stretch in stretches])
        level = table.sum(axis=2)
        gaps = np.zeros((HORIZON + 1, self._zones, len(_GAP_DAYS)))
        for age in range(HORIZON + 1):
            ahead = np.minimum(age + np.arange(len(_GAP_DAYS)), HORIZON)
            gaps[age] = (level[ahead] * _GAP_DAYS[:, None]).T
        self._gap_days = Choices(gaps.reshape(-1, len(_GAP_DAYS)))
        self._evening = np.empty((HORIZON + 1, self._zones), dtype=np.int64)
        for zone, name in enumerate(geography.zone_time_zone):
            for age, day in enumerate(days):
                local = [half_hour for _, half_hour in local_half_hours(day, name)]
                last = max(n for n, half_hour in enumerate(local) if _MORNING <= half_hour < _EVENING)
                self._evening[age, zone] = stretches[age].starts_at + (last + 1) * HALF_HOUR

    def moment(self, zone: Ints, age: Ints, slot_unit: Floats, second_unit: Floats) -> Ints:
        """An instant in the business date `age` days after the start, by the zone's habits."""
        slot = self._half_hours.draw(age * self._zones + zone, slot_unit)
        moment: Ints = self._starts_at[age] + slot * HALF_HOUR + (second_unit * HALF_HOUR).astype(np.int64)
        return moment

    def again(
        self,
        zone: Ints,
        age: Ints,
        offered_at: Ints,
        gap_unit: Floats,
        slot_unit: Floats,
        second_unit: Floats,
    ) -> tuple[Ints, Ints]:
        """The next call after one: days since the start (beyond HORIZON: never) and instant."""
        gap = self._gap_days.draw(age * self._zones + zone, gap_unit)
        left = self._evening[age, zone] - offered_at
        # Too late today: tomorrow.
        gap = np.where((gap == 0) & (left < HALF_HOUR), 1, gap)
        today = offered_at + 120 + (slot_unit**2 * (left - 120)).astype(np.int64)
        later = self.moment(zone, np.minimum(age + gap, HORIZON), slot_unit, second_unit)
        return age + gap, np.where(gap == 0, today, later)
