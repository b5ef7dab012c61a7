"""The feed `interventions`: the field units' jobs, from the call that requests one to its outcome.

A job belongs to the day of the call that requests it. The whole job is drawn on that day: its slots, its
states, the calls it causes, and a repair that the same line may need within a month. A business date
collects what the jobs of the last `HORIZON` days send to it, so it comes out the same wherever the
simulated range begins. A state due later than that is dropped: the job stays open.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
import polars as pl

from parc.feeds.declaration import MARKETS
from parc.simulate.chance import Bools, Choices, Floats, Ints, stream
from parc.simulate.clock import business_dates, iso_paris
from parc.simulate.contacts import Contacts, ramp, thinned
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.field_days import FieldDays
from parc.simulate.geography import Geography
from parc.simulate.population import NATION_LINES, Population
from parc.simulate.rhythm import Rhythm
from parc.simulate.rows import DatedRows, Rows
from parc.simulate.words import moments, words

HORIZON = 84
KINDS = ("installation", "repair")
_INSTALLATION, _REPAIR = range(2)
RESULTS = ("done", "incomplete", "customer_absent", "technician_absent", "cancelled")
_DONE, _INCOMPLETE, _CUSTOMER_ABSENT, _TECHNICIAN_ABSENT, _CANCELLED = range(5)
SLOT_OUTCOMES = (
    "kept",
    "arrived_outside",
    "customer_absent",
    "technician_absent",
    "moved_by_customer",
    "moved_by_operator",
    "cancelled",
)
_KEPT, _OUTSIDE, _NOBODY_HOME, _NO_SHOW, _MOVED_BY_CUSTOMER, _MOVED_BY_OPERATOR, _CALLED_OFF = range(7)
_MOVERS = ("customer", "operator")
_BY_CUSTOMER, _BY_OPERATOR, _CANCELS, _KEEPS = range(4)
CAUSES = (
    "LINE_CUT",
    "DISTRIBUTION_POINT",
    "EXCHANGE",
    "CUSTOMER_EQUIPMENT",
    "NO_FAULT_FOUND",
    "NETWORK_WORKS",
    "PARTS_MISSING",
    "NO_ACCESS",
    "CUSTOMER_REQUEST",
    "OVERRUN",
)
_REPAIR_CAUSES = Choices(np.array([[0.24, 0.26, 0.14, 0.22, 0.14, 0, 0, 0, 0, 0]]))
_INCOMPLETE_CAUSES = Choices(np.array([[0, 0, 0, 0, 0, 0.35, 0.40, 0.25, 0, 0]]))
_NETWORK_WORKS, _CUSTOMER_REQUEST, _OVERRUN = 5, 8, 9

# Jobs requested per day (without repeat repairs on the same line), and requests per line of each market,
# relative to the mean of all lines.
_JOBS_A_DAY = np.array([2_600, 4_000])
_MARKET_RATE = np.array([[0.55, 1.45, 1.45], [0.85, 1.15, 1.15]])
# Indices in REASONS[market] of calls that request each kind; installations use MOVE and ORDER.
_CALL_REASONS = np.array([[[3, 4], [0, 0]], [[4, 4], [0, 0]], [[4, 4], [2, 2]]])

_SLOT_AT_ONCE = 0.82
# Working days until the slot: the minimum, and the mean of the days added; a few wait for network works.
_LEAD_LEAST, _LEAD_MEAN = np.array([3, 1]), np.array([5.5, 1.5])
_LONG_LEAD, _LONG_LEAD_DAYS = np.array([0.03, 0.0]), (16, 32)
_SLOT_STARTS = np.array([8, 10, 13, 15]) * 3_600
_SLOT_LENGTH = 2 * 3_600
_OFFICE_OPENS, _OFFICE_HOURS = 8.5 * 3_600, 10 * 3_600
# Shares of slots: moved by the customer, moved by the operator, cancelled; nobody comes, nobody is home.
_BEFORE_SLOT = np.cumsum([0.07, 0.045, 0.025])
_AT_SLOT = np.cumsum([0.035, 0.05])
_CUSTOMER_MOVES_DAYS, _OPERATOR_MOVES_DAYS = 3.0, 4.5
_LATE, _EARLY = 0.07, 0.01
_IS_INCOMPLETE = np.array([0.15, 0.11])
_ARRIVAL_REPORTED = 0.75
_GOES_ON = 0.86
_WORKS_DAYS = (18, 33)
_ATTEMPTS = 5

_COMES_BACK = np.array([0.055, 0.075])
_COMES_BACK_DAYS = 28
_KNOWN_LATE, _NEVER_KNOWN = 0.045, 0.005
_FOREIGN_UNIT = 0.02
# Chance of a call by what happened last: done, another result, a slot moved by the operator.
_CALL_AFTER_DONE, _CALL_AFTER_OTHER, _CALL_AFTER_MOVE = 0.13, 0.34, 0.18


@dataclass(frozen=True)
class _Requested(Rows):
    """Requested jobs; `local_day` is the day by the zone's clock."""

    number: Ints
    kind: Ints
    market: Ints
    customer: Ints
    department: Ints
    zone: Ints
    reason: Ints
    requested_at: Ints
    local_day: Ints


@dataclass(frozen=True)
class States(DatedRows):
    """Jobs as they stand after a change; -1 means absent, or not yet present.

    `day` is the business date of the change, `job` the job's unique number, `known` whether the customer is
    known. `next_day` is the business date of the job's next change (-1: none).
    """

    job: Ints
    updated_at: Ints
    unit: Ints
    kind: Ints
    market: Ints
    customer: Ints
    known: Bools
    department: Ints
    requested_at: Ints
    first_slot: Ints
    slot_start: Ints
    slot_end: Ints
    moved_by: Ints
    arrived_at: Ints
    closed_at: Ints
    result: Ints
    cause: Ints
    next_day: Ints


@dataclass(frozen=True)
class Requests(DatedRows):
    """Requested jobs: the business date of `requested_at`, kind and department."""

    kind: Ints
    department: Ints


@dataclass(frozen=True)
class ClosedJobs(DatedRows):
    """Closed jobs: the business date of `closed_at`, kind, an index in RESULTS, and the business date of the
    next change, which reopens the job (-1: never)."""

    kind: Ints
    result: Ints
    next_day: Ints


@dataclass(frozen=True)
class Slots(DatedRows):
    """Promised slots: the business date on which each ends, the job's kind, and an index in SLOT_OUTCOMES."""

    kind: Ints
    outcome: Ints


@dataclass(frozen=True)
class FieldDay:
    """Everything that jobs produce, for one business date or for one day of requests."""

    states: States
    requests: Requests
    closings: ClosedJobs
    slots: Slots
    calls: Contacts


class JobBook:
    """The job states of any business date, and the calls around jobs."""

    def __init__(
        self, geography: Geography, population: Population, demand: Demand, effects: Effects, *, seed: int
    ) -> None:
        """Draw nothing yet."""
        self._geography = geography
        self._population = population
        self._demand = demand
        self._effects = effects
        self._seed = seed
        self._days = FieldDays(geography)
        self._born: dict[date, FieldDay] = {}
        self._reached: dict[date, Floats] = {}

    def on(self, day: date) -> FieldDay:
        """Everything that happens on a business date; states are in order of time."""
        first = day - timedelta(days=HORIZON)
        self._born = {start: born for start, born in self._born.items() if first <= start <= day}
        self._reached = {start: reached for start, reached in self._reached.items() if start >= first}
        starts = [first + timedelta(days=age) for age in range(HORIZON + 1)]
        for start in starts:
            if start not in self._born:
                self._born[start] = self._draw(start)
        born = [self._born[start] for start in starts]
        states = States.of_day([part.states for part in born], day)
        return FieldDay(
            states=states.take(np.lexsort((states.job, states.updated_at))),
            requests=Requests.of_day([part.requests for part in born], day),
            closings=ClosedJobs.of_day([part.closings for part in born], day),
            slots=Slots.of_day([part.slots for part in born], day),
            calls=Contacts.of_day([part.calls for part in born], day),
        )

    def frame(self, states: States) -> pl.DataFrame:
        """The feed `interventions` for these states."""
        geography = self._geography
        no_text = pl.Series([None], dtype=pl.String)
        return pl.DataFrame(
            {
                "job_id": "J" + pl.Series(states.job).cast(pl.String),
                "updated_at": iso_paris(states.updated_at),
                "unit_code": words(geography.unit_codes, states.unit),
                "kind": words(KINDS, states.kind),
                "market": words(MARKETS, states.market),
                "customer_ref": self._population.customer_refs(states.customer).zip_with(
                    pl.Series(states.known), no_text
                ),
                "line_ref": self._population.line_refs(states.customer),
                "department_code": words(geography.department_codes, states.department),
                "requested_at": iso_paris(states.requested_at),
                "first_slot_offered_at": moments(states.first_slot),
                "slot_start": moments(states.slot_start),
                "slot_end": moments(states.slot_end),
                "rescheduled_by": words(_MOVERS, states.moved_by),
                "arrived_at": moments(states.arrived_at),
                "closed_at": moments(states.closed_at),
                "result": words(RESULTS, states.result),
                "cause_code": words(CAUSES, states.cause),
            }
        )

    def _draw(self, start: date) -> FieldDay:
        """Draw the jobs requested on `start`, later repairs on the same lines, and the calls of both."""
        rng = stream(self._seed, "jobs", start)
        requested, called_at = self._request(start, rng)
        lifecycle = _JobLifecycle(self._days, requested, rng)
        back = self._come_back(requested, lifecycle, rng)
        again = _JobLifecycle(self._days, back, rng)
        live = self._live(start)
        calls = [
            self._calls(start, requested, called_at, live, rng),
            self._calls(start, back, back.requested_at - 420, live, rng),
            self._calls_after(start, requested, lifecycle, live, rng),
            self._calls_after(start, back, again, live, rng),
        ]
        jobs = _Requested.concat([requested, back])
        states = self._states(start, jobs, _Changes.concat([lifecycle.changes, again.changes]), rng)
        closed = states.take(states.closed_at >= 0)
        return FieldDay(
            states=states,
            requests=Requests(business_dates(jobs.requested_at), jobs.kind, jobs.department),
            closings=ClosedJobs(
                business_dates(closed.closed_at), closed.kind, closed.result, closed.next_day
            ),
            slots=Slots.concat([lifecycle.slots, again.slots]),
            calls=Contacts.concat(calls),
        )

    def _request(self, start: date, rng: np.random.Generator) -> tuple[_Requested, Ints]:
        """Draw the jobs requested by the calls of a day, and the times of these calls."""
        geography = self._geography
        zones = geography.department_zones(start)
        daily_factor = self._demand.daily_factor(start)[geography.department_region]
        expected = (
            (_JOBS_A_DAY[:, None] / NATION_LINES * _MARKET_RATE)[:, None, :]
            * self._population.lines
            * self._demand.intensity(start).sum(axis=1)[zones][:, None]
            # Storms cut lines, which brings repairs but no new orders.
            * np.stack([np.ones_like(daily_factor), daily_factor])[:, :, None]
        )
        count = rng.poisson(expected).ravel()
        cell = np.repeat(np.arange(count.size), count)
        kind, department, market = (
            place.astype(np.int64) for place in np.unravel_index(cell, expected.shape)
        )
        total = len(cell)
        zone = zones[department]
        rhythm = Rhythm(self._demand.intensity, start, horizon=0, gap_days=np.ones(1))
        called_at = rhythm.moment(zone, np.zeros(total, dtype=np.int64), *rng.random((2, total)))
        requested = _Requested(
            number=start.toordinal() * 100_000 + np.arange(total),
            kind=kind,
            market=market,
            customer=self._population.draw(department, market, rng.random(total)),
            department=department,
            zone=zone,
            reason=_CALL_REASONS[market, kind, (rng.random(total) < 0.5).astype(np.int64)],
            requested_at=called_at + 240 + (600 * rng.random(total)).astype(np.int64),
            local_day=self._days.local_day(zone, np.full(total, start.toordinal()), called_at),
        )
        return requested, called_at

    def _come_back(
        self, requested: _Requested, lifecycle: _JobLifecycle, rng: np.random.Generator
    ) -> _Requested:
        """Draw repairs on lines where a job was done within the previous month."""
        chance = np.where(lifecycle.result == _DONE, _COMES_BACK[requested.kind], 0.0)
        rows = np.flatnonzero(rng.random(len(requested)) < chance)
        before = requested.take(rows)
        gap = 1 + np.floor(_COMES_BACK_DAYS * rng.random(len(rows)) ** 1.5).astype(np.int64)
        day = lifecycle.local_day[rows] + np.minimum(gap, _COMES_BACK_DAYS)
        second = _OFFICE_OPENS + _OFFICE_HOURS * rng.random((2, len(rows))).mean(axis=0)
        return _Requested(
            number=requested.number.max(initial=-1) + 1 + np.arange(len(rows)),
            kind=np.full(len(rows), _REPAIR),
            market=before.market,
            customer=before.customer,
            department=before.department,
            zone=before.zone,
            reason=_CALL_REASONS[before.market, _REPAIR, 0],
            requested_at=self._days.at(before.zone, day, second.astype(np.int64)),
            local_day=day,
        )

    def _calls(
        self, start: date, jobs: _Requested, offered_at: Ints, live: Floats, rng: np.random.Generator
    ) -> Contacts:
        """A call by the customer of each job; rarer where the region is `live` by then (see `_live`)."""
        total = len(jobs)
        day = business_dates(offered_at)
        age = np.minimum(day - start.toordinal(), HORIZON)
        reached = live[age, self._geography.department_region[jobs.department], jobs.market]
        made, without = thinned(rng.random(total), np.minimum(self._effects.call_rate * reached, 0.0))
        return Contacts(
            day=day,
            offered_at=offered_at,
            customer=jobs.customer,
            department=jobs.department,
            market=jobs.market,
            reason=jobs.reason,
            attempt=np.ones(total, dtype=np.int64),
            next_gap=np.full(total, -1),
            is_made=made,
            without=without,
            again_without=np.zeros(total, dtype=np.bool_),
        )

    def _calls_after(
        self,
        start: date,
        requested: _Requested,
        lifecycle: _JobLifecycle,
        live: Floats,
        rng: np.random.Generator,
    ) -> Contacts:
        """Calls about the outcome of a job, or about a slot that the operator moved."""
        changes = lifecycle.changes
        chance = np.select(
            [changes.result == _DONE, changes.result >= 0, changes.moved_by == _BY_OPERATOR],
            [_CALL_AFTER_DONE, _CALL_AFTER_OTHER, np.where(changes.arrived_at < 0, _CALL_AFTER_MOVE, 0.0)],
            0.0,
        )
        rows = np.flatnonzero(rng.random(len(changes)) < chance)
        row = changes.row[rows]
        gap = 1 + np.floor(1.1 * rng.standard_exponential(len(rows))).astype(np.int64)
        local = self._days.local_day(requested.zone[row], requested.local_day[row], changes.updated_at[rows])
        day = self._days.after(requested.zone[row], local, np.minimum(gap, 6))
        second = _OFFICE_OPENS + _OFFICE_HOURS * rng.random((2, len(rows))).mean(axis=0)
        offered_at = self._days.at(requested.zone[row], day, second.astype(np.int64))
        return self._calls(start, requested.take(row), offered_at, live, rng)

    def _live(self, start: date) -> Floats:
        """Share of the effects reached, per (days after `start`, region, market)."""
        days = [start + timedelta(days=age) for age in range(HORIZON + 1)]
        for day in days:
            if day not in self._reached:
                self._reached[day] = ramp(self._geography.days_live(day), self._effects)
        return np.stack([self._reached[day] for day in days])

    def _states(self, start: date, jobs: _Requested, changes: _Changes, rng: np.random.Generator) -> States:
        """The changes as job states, up to the horizon."""
        geography = self._geography
        total = len(jobs)
        units = _units_of_departments(geography, start)[jobs.department]
        anywhere = np.floor(rng.random(total) * len(geography.unit_codes)).astype(np.int64)
        unit = np.where(rng.random(total) < _FOREIGN_UNIT, anywhere, units)
        chance = rng.random(total)
        # Index of the first state in which the customer is known.
        known_from = np.select([chance < _NEVER_KNOWN, chance < _KNOWN_LATE], [total + 99, 1], 0)

        job = np.searchsorted(jobs.number, changes.number)
        order = np.lexsort((changes.updated_at, job))
        changes, job = changes.take(order), job[order]
        day = business_dates(changes.updated_at)
        place = np.arange(len(job)) - np.searchsorted(job, job)
        kept = np.flatnonzero(day <= start.toordinal() + HORIZON)
        changes, job, day, place = changes.take(kept), job[kept], day[kept], place[kept]
        is_last = np.append(job[1:] != job[:-1], True)[: len(job)]
        return States(
            job=changes.number,
            day=day,
            updated_at=changes.updated_at,
            unit=unit[job],
            kind=jobs.kind[job],
            market=jobs.market[job],
            customer=jobs.customer[job],
            known=place >= known_from[job],
            department=jobs.department[job],
            requested_at=jobs.requested_at[job],
            first_slot=changes.first_slot,
            slot_start=changes.slot_start,
            slot_end=changes.slot_end,
            moved_by=changes.moved_by,
            arrived_at=changes.arrived_at,
            closed_at=changes.closed_at,
            result=changes.result,
            cause=changes.cause,
            next_day=np.where(is_last, -1, np.append(day[1:], -1)[: len(day)]),
        )


@dataclass(frozen=True)
class _Changes(Rows):
    """The data of job changes; `row` is the job's index among those drawn together."""

    number: Ints
    row: Ints
    updated_at: Ints
    first_slot: Ints
    slot_start: Ints
    slot_end: Ints
    moved_by: Ints
    arrived_at: Ints
    closed_at: Ints
    result: Ints
    cause: Ints


class _JobLifecycle:
    """Plays out jobs, slot by slot.

    `changes` and `slots` hold everything that happens; `result` is how each job ends and `local_day` when.
    Steps that concern no job are skipped, because most days of a small operator have few jobs.
    """

    def __init__(self, days: FieldDays, requested: _Requested, rng: np.random.Generator) -> None:
        self._days = days
        self._asked = requested
        self._rng = rng
        total = len(requested)
        self.result = np.full(total, -1)
        self.local_day = requested.local_day.copy()
        self._state = np.full((5, total), -1)
        self._updated_at, self._first_slot, self._slot_start, self._slot_end, self._moved_by = self._state
        self._slot_day = np.zeros(total, dtype=np.int64)
        self._changes = [np.zeros((len(fields(_Changes)), 0), dtype=np.int64)]
        self._slots = [np.zeros((3, 0), dtype=np.int64)]
        going = np.arange(total)
        if total:
            self._begin(going)
        for attempt in range(1, _ATTEMPTS + 1):
            if len(going):
                going = self._slot(going, is_last=attempt == _ATTEMPTS)
        self.changes = _Changes(*np.concatenate(self._changes, axis=1))
        ends_at, kind, outcome = np.concatenate(self._slots, axis=1)
        self.slots = Slots(business_dates(ends_at), kind, outcome)

    def _begin(self, rows: Ints) -> None:
        """Create the jobs: most get a slot at once, the others later."""
        requested = self._asked
        at_once = self._rng.random(len(rows)) < _SLOT_AT_ONCE
        self._updated_at[:] = requested.requested_at + self._between(rows, 5, 240)
        given = self._promise(rows, requested.local_day, self._lead(rows))
        self._set_slot(rows[at_once], *(value[at_once] for value in given))
        self._record(rows)
        later = rows[~at_once]
        self._schedule(
            later,
            self._days.after(requested.zone[later], requested.local_day[later], self._delay(later, 1.0)),
        )
        self._set_slot(later, *self._promise(later, self.local_day[later], self._lead(later)))
        self._record(later)

    def _slot(self, rows: Ints, *, is_last: bool) -> Ints:
        """Play out the agreed slots; returns the jobs that got another slot."""
        rng, zone = self._rng, self._asked.zone[rows]
        slot_day, local_day = self._slot_day[rows], self.local_day[rows]
        # A slot is moved before it starts and in office hours; without time for that it is kept.
        ahead = np.floor((slot_day - local_day) * rng.random(len(rows))).astype(np.int64)
        moved_day = local_day + ahead
        moved_at = self._days.at(zone, moved_day, self._office(rows))
        has_time = (moved_at > self._updated_at[rows] + 600) & (moved_at < self._slot_start[rows] - 1_800)
        before = np.searchsorted(_BEFORE_SLOT, rng.random(len(rows)), side="right")
        before = np.where(has_time & (not is_last), before, _KEEPS)
        going = []
        for mover in (_BY_CUSTOMER, _BY_OPERATOR):
            moved = np.flatnonzero(before == mover)
            if len(moved):
                self._move(rows[moved], mover, moved_day[moved], moved_at[moved])
                going.append(rows[moved])
        cancelled = np.flatnonzero(before == _CANCELS)
        if len(cancelled):
            at = rows[cancelled]
            self._end_slot(at, _CALLED_OFF)
            self._updated_at[at], self.local_day[at] = moved_at[cancelled], moved_day[cancelled]
            self._close(at, -1, moved_at[cancelled], _CANCELLED, _CUSTOMER_REQUEST)
        due = rows[before == _KEEPS]
        if len(due):
            going.append(self._visit(due, is_last=is_last))
        return np.concatenate(going) if going else rows[:0]

    def _move(self, rows: Ints, mover: int, moved_day: Ints, moved_at: Ints) -> None:
        """Replace slots before they start."""
        slot_day = self._slot_day[rows]
        self._end_slot(rows, (_MOVED_BY_CUSTOMER, _MOVED_BY_OPERATOR)[mover])
        self._updated_at[rows], self.local_day[rows] = moved_at, moved_day
        mean = (_CUSTOMER_MOVES_DAYS, _OPERATOR_MOVES_DAYS)[mover]
        self._set_slot(rows, *self._promise(rows, slot_day, self._delay(rows, mean)))
        self._moved_by[rows] = mover
        self._record(rows)

    def _visit(self, due: Ints, *, is_last: bool) -> Ints:
        """Play out the slots that were kept until they start; returns the jobs that got another slot."""
        rng = self._rng
        self.local_day[due] = self._slot_day[due]
        outcome = np.searchsorted((0.0, 0.0) if is_last else _AT_SLOT, rng.random(len(due)), side="right")

        absent = due[outcome == 0]
        if len(absent):
            self._end_slot(absent, _NO_SHOW)
            closed_at = self._slot_end[absent] + self._between(absent, 1_200, 10_800)
            self._close(absent, -1, closed_at, _TECHNICIAN_ABSENT, _OVERRUN)

        home = due[outcome == 1]
        if len(home):
            arrived = self._arrive(home, _NOBODY_HOME)
            self._close(home, arrived, arrived + self._between(home, 480, 1_200), _CUSTOMER_ABSENT, -1)

        worked = due[outcome == 2]
        incomplete, waits_for_works = self._work(worked, is_last=is_last) if len(worked) else (worked, worked)
        failed = np.concatenate([absent, home, incomplete])
        again = failed[rng.random(len(failed)) < _GOES_ON]
        if len(again):
            zone = self._asked.zone[again]
            self._schedule(again, self._days.after(zone, self._slot_day[again], self._delay(again, 0.5)))
            works = _WORKS_DAYS[0] + np.floor((_WORKS_DAYS[1] - _WORKS_DAYS[0]) * rng.random(len(again)))
            waits = np.isin(again, waits_for_works)
            lead = np.where(waits, works.astype(np.int64), self._delay(again, 2.5))
            self.result[again] = -1
            self._set_slot(again, *self._promise(again, self.local_day[again], lead))
            self._record(again)
        return again

    def _work(self, rows: Ints, *, is_last: bool) -> tuple[Ints, Ints]:
        """Let technicians work; returns the jobs left incomplete, and those of them that wait for works in
        the network."""
        rng, kind = self._rng, self._asked.kind[rows]
        arrived = self._arrive(rows, None)
        incomplete = rng.random(len(rows)) < (0.0 if is_last else _IS_INCOMPLETE[kind])
        nothing = np.zeros(len(rows), dtype=np.int64)
        found = np.where(kind == _REPAIR, _REPAIR_CAUSES.draw(nothing, rng.random(len(rows))), -1)
        missing = _INCOMPLETE_CAUSES.draw(nothing, rng.random(len(rows)))
        cause = np.where(incomplete, missing, found)
        length = np.where(kind == _REPAIR, 1.0, 1.6) * self._between(rows, 1_500, 6_000)
        result = np.where(incomplete, _INCOMPLETE, _DONE)
        self._close(rows, arrived, arrived + length.astype(np.int64), result, cause)
        return rows[incomplete], rows[incomplete & (cause == _NETWORK_WORKS)]

    def _arrive(self, rows: Ints, outcome: int | None) -> Ints:
        """Let technicians arrive; most report it at once. Unless given, the arrival decides `outcome`."""
        rng = self._rng
        chance = rng.random(len(rows))
        start, end = self._slot_start[rows], self._slot_end[rows]
        late, early = end + self._between(rows, 120, 5_400), start - self._between(rows, 120, 1_200)
        in_time = start + self._between(rows, 0, 6_600)
        arrived = np.where(chance < _LATE, late, np.where(chance < _LATE + _EARLY, early, in_time))
        is_kept = (start <= arrived) & (arrived <= end)
        self._end_slot(rows, np.where(is_kept, _KEPT, _OUTSIDE) if outcome is None else outcome)
        reported = rng.random(len(rows)) < _ARRIVAL_REPORTED
        self._updated_at[rows[reported]] = arrived[reported] + self._between(rows[reported], 5, 120)
        self._record(rows[reported], arrived_at=arrived[reported])
        return arrived

    def _close(
        self, rows: Ints, arrived_at: Ints | int, closed_at: Ints, result: Ints | int, cause: Ints | int
    ) -> None:
        """Close jobs; the caller may reopen some."""
        self._updated_at[rows] = closed_at + self._between(rows, 5, 300)
        self.result[rows] = result
        self._record(rows, arrived_at=arrived_at, closed_at=closed_at, result=result, cause=cause)

    def _promise(self, rows: Ints, day: Ints, lead: Ints) -> tuple[Ints, Ints]:
        """Draw a slot for each job, `lead` working days after `day`: its day and its start."""
        zone = self._asked.zone[rows]
        slot_day = self._days.after(zone, day, lead)
        number = np.floor(self._rng.random(len(rows)) * len(_SLOT_STARTS)).astype(np.int64)
        return slot_day, self._days.at(zone, slot_day, _SLOT_STARTS[number])

    def _set_slot(self, rows: Ints, slot_day: Ints, slot_start: Ints) -> None:
        first = self._first_slot[rows]
        self._slot_day[rows] = slot_day
        self._slot_start[rows], self._slot_end[rows] = slot_start, slot_start + _SLOT_LENGTH
        self._first_slot[rows] = np.where(first < 0, slot_start, first)
        self._moved_by[rows] = -1

    def _end_slot(self, rows: Ints, outcome: Ints | int) -> None:
        ended = np.empty((3, len(rows)), dtype=np.int64)
        ended[0], ended[1], ended[2] = self._slot_end[rows], self._asked.kind[rows], outcome
        self._slots.append(ended)

    def _schedule(self, rows: Ints, day: Ints) -> None:
        """Set the jobs' next change to office hours on a later day."""
        self.local_day[rows] = day
        self._updated_at[rows] = self._days.at(self._asked.zone[rows], day, self._office(rows))

    def _record(
        self,
        rows: Ints,
        *,
        arrived_at: Ints | int = -1,
        closed_at: Ints | int = -1,
        result: Ints | int = -1,
        cause: Ints | int = -1,
    ) -> None:
        """Record the jobs' current state."""
        change = np.empty((len(fields(_Changes)), len(rows)), dtype=np.int64)
        change[0], change[1], change[2:7] = self._asked.number[rows], rows, self._state[:, rows]
        change[7], change[8], change[9], change[10] = arrived_at, closed_at, result, cause
        self._changes.append(change)

    def _lead(self, rows: Ints) -> Ints:
        """Working days until the first slot."""
        kind = self._asked.kind[rows]
        more = np.floor(_LEAD_MEAN[kind] * self._rng.standard_exponential(len(rows))).astype(np.int64)
        long = self._between(rows, *_LONG_LEAD_DAYS)
        is_long = self._rng.random(len(rows)) < _LONG_LEAD[kind]
        lead: Ints = np.where(is_long, long, _LEAD_LEAST[kind] + np.minimum(more, 30))
        return lead

    def _delay(self, rows: Ints, mean: float) -> Ints:
        """A number of working days: 1 plus a random number with this mean."""
        more = np.floor(mean * self._rng.standard_exponential(len(rows)))
        return 1 + np.minimum(more, 20).astype(np.int64)

    def _office(self, rows: Ints) -> Ints:
        second: Ints = (_OFFICE_OPENS + _OFFICE_HOURS * self._rng.random(len(rows))).astype(np.int64)
        return second

    def _between(self, rows: Ints, least: int, most: int) -> Ints:
        number: Ints = (least + (most - least) * self._rng.random(len(rows))).astype(np.int64)
        return number


def _units_of_departments(geography: Geography, day: date) -> Ints:
    """The field unit of each department, from its directorate; departments adjacent in the list share one."""
    directorates = geography.department_directorates(day)
    units = np.zeros(len(directorates), dtype=np.int64)
    for directorate in np.unique(directorates):
        members = np.flatnonzero(directorates == directorate)
        own = np.flatnonzero(geography.unit_directorate == directorate)
        if len(own):
            units[members] = own[np.arange(len(members)) * len(own) // len(members)]
    return units
