"""Turns contacts into the feed `calls`: IVR, queues and agents, leg by leg."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from parc.feeds.declaration import MARKETS
from parc.simulate.chance import Bools, Choices, Floats, Ints, hash_unit, stream
from parc.simulate.clock import HALF_HOUR, business_day, iso_paris
from parc.simulate.contacts import REASONS, Contacts
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects, Overload
from parc.simulate.errors import SimulationError
from parc.simulate.geography import NATIONAL, Geography
from parc.simulate.population import GEOGRAPHIC, Population
from parc.simulate.rows import Rows
from parc.simulate.site_work import open_positions
from parc.simulate.words import moments, present, words

OUTCOMES = ("answered", "abandoned", "ivr_resolved", "overflowed", "blocked")
_ANSWERED, _ABANDONED, _IVR_RESOLVED, _OVERFLOWED, _BLOCKED = range(5)
# How a call ends as a whole; only calls with the first three outcomes reached a queue.
CALL_OUTCOMES = ("answered", "abandoned", "overflowed_lost", "ivr_resolved", "ivr_abandoned", "blocked")
OFFERED_OUTCOMES = 3
ANSWERED_BY = ("home", "other_directorate", "offshore_in_hours", "offshore_off_hours")
_IVR_OUTCOMES = np.array([-1, 4, 3, -1, 5])

_WITHHELD = (None, "anonymous", "restricted", "unavailable", "+266696687")
_WITHHELD_SHARE = np.array([[0.45, 0.33, 0.12, 0.07, 0.03]])
_WITHHELD_HABIT = 0.05
_WITHHELD_ONCE = 0.02
# Share of withheld numbers that the network still reveals to the switch.
_NETWORK_REVEALS = 0.8
_OTHER_MARKET = 0.02
_PERSONAL_MOBILE = 0.02
_FOREIGN = 0.002
_IDENTIFIED_HABIT, _IDENTIFIED_ONCE = 0.92, 0.28
_NO_DEPARTMENT_ON_FILE = 0.02

_IVR_RESOLVED_SHARE = 0.045
_IVR_ABANDONED_SHARE = 0.02
_BLOCKED_SHARE = 0.004
# Above this load, each extra 0.1 of load blocks one more caller in a hundred, and makes one more give up.
_STRAINED = 0.9
_STRAIN = 0.1

_LATE_DESK = 0.08
_LATE_DESK_HOURS = (7, 22)
# Chance to overflow, its growth with load above the usual, and the partners' share of overflowed calls.
_NATIONAL_OVERFLOW = (0.15, 0.30, 0.85)
_HOME_OVERFLOW = (0.04, 0.12, 0.50)
_OVERFLOW_RECORDED = 0.6
_OVERFLOW_LOST = 0.03
_USUAL_LOAD = 0.8

_IMPATIENT = 0.012
_PATIENCE_MEAN = 270.0
_TRANSFERRED = 0.25
_TRANSFERRED_AGAIN = 0.12
_OTHER_SITE = 0.3
_TALK_MEDIAN, _TALK_SIGMA = 235.0, 0.70
_WRAP_UP_MEDIAN, _WRAP_UP_SIGMA = 32.0, 0.60
_HELD, _HOLD_MEAN = 0.28, 55.0
_SURVEYED, _RECOMMENDS = 0.13, 0.75
_SCORE_EDGES = np.array([-1.1, -0.55, 0.05, 0.95])


@dataclass(frozen=True)
class ServedCalls(Rows):
    """How calls went: one row per call.

    `market` is the market of the number dialled, `call_outcome` an index in CALL_OUTCOMES, `legs` the number
    of legs, `wait` the seconds until an agent picked up (0 if none did). `in_hours` marks calls that reached
    a queue during the opening hours of the customer's zone; `answered_by` is an index in ANSWERED_BY (-1:
    nobody), by where the customer lives and the site that answered first; `home_chance` is the chance of
    `home`, given an answer. `partner` is the index of that site if offshore (-1: not), `handle` the seconds
    of talk, hold and wrap-up. `satisfied` marks scores of 4 or 5; `satisfied_without` the same people's
    scores had there been no rollout, `satisfied_elsewhere` had nobody been answered at home.
    """

    market: Ints
    call_outcome: Ints
    legs: Ints
    wait: Ints
    is_identified: Bools
    in_hours: Bools
    answered_by: Ints
    partner: Ints
    handle: Ints
    home_chance: Floats
    surveyed: Bools
    satisfied: Bools
    satisfied_without: Bools
    satisfied_elsewhere: Bools


@dataclass(frozen=True)
class _Roots:
    """What is known of each call before it reaches a queue; -1 means absent."""

    market: Ints
    zone: Ints
    is_routed_home: Bools
    load: Floats
    number: Ints
    withheld: Ints
    is_identified: Bools


@dataclass(frozen=True)
class _Survey:
    """The answers of each leg, -1 without one; `without` and `elsewhere` are the satisfaction that the same
    people would have given without the rollout, and if nobody had been answered at home."""

    satisfaction: Ints
    recommend: Ints
    without: Ints
    elsewhere: Ints


@dataclass(frozen=True)
class _Waiting:
    """Calls in a queue at `site`, brought there by `route` (0: national)."""

    root: Ints
    leg_no: Ints
    queued_at: Ints
    site: Ints
    queue: Ints
    expert_queue: Ints
    route: Ints
    market: Ints
    is_open: Bools
    load: Floats

    def take(self, rows: Ints) -> _Waiting:
        return _Waiting(*(getattr(self, field.name)[rows] for field in fields(self)))


class _Legs:
    """The legs made so far, as columns of arrays; -1 means absent."""

    COLUMNS = (
        "root",
        "leg_no",
        "queued_at",
        "answered_at",
        "ended_at",
        "site",
        "queue",
        "outcome",
        "agent",
        "hold_s",
        "talk_s",
        "wrap_up_s",
        "transferred_to",
    )

    def __init__(self) -> None:
        self._parts: list[dict[str, Ints]] = []

    def add(self, root: Ints, **columns: Ints | int) -> None:
        """Add one leg per root; columns not given are -1."""
        part = {name: np.broadcast_to(columns.get(name, -1), root.shape) for name in self.COLUMNS}
        self._parts.append(part | {"root": root})

    def sorted(self) -> dict[str, Ints]:
        """All legs, sorted by root and leg number."""
        columns = {name: np.concatenate([part[name] for part in self._parts]) for name in self.COLUMNS}
        order = np.lexsort((columns["leg_no"], columns["root"]))
        return {name: column[order] for name, column in columns.items()}


class CallCentre:
    """The operator's call centre on any business date."""

    def __init__(
        self,
        geography: Geography,
        population: Population,
        demand: Demand,
        effects: Effects,
        *,
        scale: float,
        seed: int,
    ) -> None:
        """Size each site's staff by its largest number of positions.

        Raises SimulationError if an overload names an unknown site.
        """
        self._geography = geography
        self._population = population
        self._demand = demand
        self._effects = effects
        self._seed = seed
        most = np.zeros(len(geography.sites))
        for (site, _), positions in geography.positions.items():
            most[site] = max(most[site], positions.max())
        self._agents = np.maximum(3, np.rint(most * scale * 1.5)).astype(np.int64)
        self._scale = scale
        self._floods = [_Flood.of(overload, geography) for overload in effects.overloads]
        self._queues = _Queues(geography)

    def legs(self, day: date, contacts: Contacts) -> tuple[pl.DataFrame, ServedCalls]:
        """The feed `calls` of a day (one row per leg, ordered by call and leg), and how each call went.

        `contacts` are that day's contacts in order of time.
        """
        roots = self._present(day, contacts)
        legs = _Legs()
        queued, queued_at = self._ivr(day, contacts, roots, legs)
        home_chance = np.zeros(len(contacts))
        home_chance[queued] = self._serve(day, contacts, roots, queued, queued_at, legs)
        table = legs.sorted()
        survey = self._survey(day, contacts, roots, table)
        frame = self._frame(day, contacts, roots, table, survey)
        return frame, self._served(day, contacts, roots, table, home_chance, survey)

    def _present(self, day: date, contacts: Contacts) -> _Roots:
        """Decide the number shown, service dialled, identification, and the zone that the switch finds."""
        geography, population = self._geography, self._population
        rng = stream(self._seed, "presentation", day)
        total = len(contacts)
        customer = contacts.customer
        who = population.describe(customer)

        shown = rng.random(total)
        is_foreign = shown < _FOREIGN
        is_personal = ~is_foreign & (shown < _FOREIGN + _PERSONAL_MOBILE)
        foreign = 44_2000000000 + np.floor(rng.random(total) * 99_999_999).astype(np.int64)
        number = np.select(
            [is_foreign, is_personal], [foreign, population.personal_mobile(customer)], who.number
        )

        habit = hash_unit(self._seed, "withholds", customer) < _WITHHELD_HABIT
        is_withheld = habit | (rng.random(total) < _WITHHELD_ONCE)
        kind = Choices(_WITHHELD_SHARE).draw(np.zeros(total, dtype=np.int64), rng.random(total))
        is_visible = ~is_withheld | (rng.random(total) < _NETWORK_REVEALS)

        dials_other = rng.random(total) < _OTHER_MARKET
        step = np.where(rng.random(total) < 0.5, 1, 2)
        market = np.where(dials_other, (contacts.market + step) % len(MARKETS), contacts.market)
        is_used_to_it = hash_unit(self._seed, "identifies", customer) < 0.5
        identification = np.where(is_used_to_it, _IDENTIFIED_HABIT, _IDENTIFIED_ONCE)

        zones = geography.department_zones(day)
        listed = (who.kind == GEOGRAPHIC) | population.is_listed(customer, who.kind, day)
        by_prefix = np.where(who.number_department >= 0, zones[who.number_department], 0)
        by_number = np.where(listed, zones[who.department], by_prefix)
        zone = np.where(is_visible & ~is_foreign & ~is_personal, by_number, 0)
        region = geography.zone_region[zone]
        is_live = geography.days_live(day)[region, market] >= 0

        slot = (contacts.offered_at - business_day(day).starts_at) // HALF_HOUR
        daily_factor = self._demand.daily_factor(day)[geography.department_region[contacts.department]]
        return _Roots(
            market=market,
            zone=zone,
            is_routed_home=(zone > 0) & is_live,
            load=self._demand.load(day)[slot] * daily_factor,
            number=number,
            withheld=np.where(is_withheld, kind, -1),
            is_identified=rng.random(total) < identification,
        )

    def _ivr(self, day: date, contacts: Contacts, roots: _Roots, legs: _Legs) -> tuple[Ints, Ints]:
        """Return the calls that leave the IVR for a queue, and when; add a leg for each of the others."""
        rng = stream(self._seed, "ivr", day)
        total = len(contacts)
        strain = np.clip(roots.load - _STRAINED, 0, None) * _STRAIN
        edges = np.cumsum(
            [_BLOCKED_SHARE + strain, _IVR_ABANDONED_SHARE + strain, np.full(total, _IVR_RESOLVED_SHARE)],
            axis=0,
        )
        ivr_outcome = (rng.random(total) >= edges).sum(axis=0)
        patience = rng.standard_exponential(total)
        spent = np.select(
            [ivr_outcome == 0, ivr_outcome == 1, ivr_outcome == 2],
            [1 + patience, 3 + 18 * patience, 35 + 50 * patience],
            12 + np.minimum(22 * patience, 160),
        ).astype(np.int64)
        until = contacts.offered_at + spent
        gone = np.flatnonzero(ivr_outcome < 3)
        legs.add(
            gone,
            leg_no=1,
            ended_at=until[gone],
            outcome=np.array([_BLOCKED, _ABANDONED, _IVR_RESOLVED])[ivr_outcome[gone]],
        )
        queued = np.flatnonzero(ivr_outcome == 3)
        return queued, until[queued]

    def _serve(
        self, day: date, contacts: Contacts, roots: _Roots, root: Ints, queued_at: Ints, legs: _Legs
    ) -> Floats:
        """Route the queued calls, let them wait, answer, overflow and transfer them.

        Returns each call's chance of being answered in its own directorate, given that it is answered.
        """
        rng = stream(self._seed, "routing", day)
        routes = _Routes(self._geography, day)
        zone, market, home = roots.zone[root], roots.market[root], roots.is_routed_home[root]
        total = len(root)

        opens, closes = self._geography.windows(day)

        def staffed(place: Ints) -> Bools:
            is_staffed: Bools = np.any((opens[place] <= at) & (at < closes[place]), axis=1)
            return is_staffed

        at = queued_at[:, None]
        national = np.zeros_like(zone)
        # The national route keeps its own hours, whatever the caller's zone.
        is_open = staffed(zone) & (home | staffed(national))
        hour = (queued_at - business_day(day).starts_at) // 3600
        at_late_desk = (hour >= _LATE_DESK_HOURS[0]) & (hour < _LATE_DESK_HOURS[1])
        at_late_desk &= rng.random(total) < _LATE_DESK
        target = np.where(home, zone, 0)
        first = routes.first(
            np.where(at_late_desk, national, target), market, is_open | at_late_desk, rng.random(total)
        )
        for number, flood in enumerate(self._floods):
            drawn = stream(self._seed, f"flood {number}", day).random(total)
            first = np.where(flood.reaches(queued_at) & (drawn < flood.share), flood.site, first)
        load = np.where(is_open, roots.load[root], self._demand.partner_load)

        base, growth, partners = (
            np.where(home, at_home, elsewhere)
            for at_home, elsewhere in zip(_HOME_OVERFLOW, _NATIONAL_OVERFLOW, strict=True)
        )
        chance = base + growth * np.clip(load - _USUAL_LOAD, 0, None)
        overflows = is_open & (rng.random(total) < chance)
        to_partner = rng.random(total) < partners
        second = np.where(
            to_partner,
            routes.overflow(target, market, rng.random(total)),
            routes.first(national, market, is_open, rng.random(total)),
        )
        is_recorded = overflows & (rng.random(total) < _OVERFLOW_RECORDED)
        is_lost = is_recorded & (rng.random(total) < _OVERFLOW_LOST)
        tried = 25 + np.floor(95 * rng.random(total)).astype(np.int64)

        queues = self._queues
        queue = np.where(is_open, queues.number(market, target), queues.number(market, queues.night))
        overflow_queue = queues.number(market, queues.overflow)
        rows = np.flatnonzero(is_recorded)
        legs.add(
            root[rows],
            leg_no=1,
            queued_at=queued_at[rows],
            ended_at=(queued_at + tried)[rows],
            site=first[rows],
            queue=queue[rows],
            outcome=_OVERFLOWED,
            transferred_to=overflow_queue[rows],
        )
        rows = np.flatnonzero(is_lost)
        legs.add(
            root[rows],
            leg_no=2,
            ended_at=(queued_at + tried)[rows],
            outcome=_BLOCKED,
        )
        rows = np.flatnonzero(~is_lost)
        waiting = _Waiting(
            root=root,
            leg_no=np.where(is_recorded, 2, 1),
            queued_at=np.where(is_recorded, queued_at + tried, queued_at),
            site=np.where(overflows, second, first),
            queue=np.where(overflows, overflow_queue, queue),
            expert_queue=queues.number(market, queues.expert),
            route=target,
            market=market,
            is_open=is_open,
            load=load,
        )
        self._answer(day, contacts, routes, waiting.take(np.flatnonzero(~is_lost)), legs)

        directorate = self._geography.department_directorates(day)[contacts.department[root]]
        late = np.where((hour >= _LATE_DESK_HOURS[0]) & (hour < _LATE_DESK_HOURS[1]), _LATE_DESK, 0.0)
        by_nation = routes.share(national, market, is_open, directorate)
        by_desk = routes.share(national, market, np.full(total, True), directorate)
        direct = (1 - late) * routes.share(target, market, is_open, directorate) + late * by_desk
        for flood in self._floods:
            at_flooded = self._geography.sites[flood.site].directorate == directorate
            flooded = (1 - flood.share) * direct + flood.share * at_flooded
            direct = np.where(flood.reaches(queued_at), flooded, direct)
        overflow = np.where(is_open, chance, 0.0)
        home_chance: Floats = (1 - overflow) * direct + overflow * (1 - partners) * by_nation
        return home_chance

    def _answer(self, day: date, contacts: Contacts, routes: _Routes, waiting: _Waiting, legs: _Legs) -> None:
        """Answer and transfer calls until no transfer is left."""
        rng = stream(self._seed, "service", day)
        for transferred_share in (_TRANSFERRED, _TRANSFERRED_AGAIN, 0.0):
            total = len(waiting.root)
            wait, patience = _waits(rng, waiting.load, contacts.next_gap[waiting.root])
            abandons = wait > patience
            answered_at = waiting.queued_at + wait
            transfers = ~abandons & (rng.random(total) < transferred_share)
            talk = np.exp(np.log(_TALK_MEDIAN) + _TALK_SIGMA * rng.standard_normal(total))
            talk_s = np.clip(np.where(transfers, talk * 0.5, talk), 8, 5_400).astype(np.int64)
            held = rng.random(total) < _HELD
            hold_s = np.where(held, 5 + _HOLD_MEAN * rng.standard_exponential(total), 0).astype(np.int64)
            wrap_up = np.exp(np.log(_WRAP_UP_MEDIAN) + _WRAP_UP_SIGMA * rng.standard_normal(total))
            wrap_up_s = np.minimum(wrap_up, 900).astype(np.int64)
            agent = self._agent_on_duty(day, waiting.site, answered_at, rng.random(total))
            ended_at = np.where(abandons, waiting.queued_at + patience, answered_at + talk_s + hold_s)
            legs.add(
                waiting.root,
                leg_no=waiting.leg_no,
                queued_at=waiting.queued_at,
                answered_at=np.where(abandons, -1, answered_at),
                ended_at=ended_at,
                site=waiting.site,
                queue=waiting.queue,
                outcome=np.where(abandons, _ABANDONED, _ANSWERED),
                agent=np.where(abandons, -1, agent),
                hold_s=np.where(abandons, -1, hold_s),
                talk_s=np.where(abandons, -1, talk_s),
                wrap_up_s=np.where(abandons, -1, wrap_up_s),
                transferred_to=np.where(transfers, waiting.expert_queue, -1),
            )
            rows = np.flatnonzero(transfers)
            moved = waiting.take(rows)
            elsewhere = routes.first(moved.route, moved.market, moved.is_open, rng.random(len(rows)))
            waiting = replace(
                moved,
                leg_no=moved.leg_no + 1,
                queued_at=ended_at[rows],
                site=np.where(rng.random(len(rows)) < _OTHER_SITE, elsewhere, moved.site),
                queue=moved.expert_queue,
            )

    def _agent_on_duty(self, day: date, site: Ints, at: Ints, unit: Floats) -> Ints:
        """Draw one of the agents who work at the site in that half-hour: as many as are planned, others each
        day; where none is planned, one is there for what comes late."""
        starts_at = business_day(day).starts_at
        planned = open_positions(self._geography, day)
        half_hour = np.minimum((at - starts_at) // HALF_HOUR, planned.shape[1] - 1)
        on_duty = np.maximum(1, np.rint(planned[site, half_hour] * self._scale)).astype(np.int64)
        agent: Ints = 1 + (day.toordinal() * 7 + (unit * on_duty).astype(np.int64)) % self._agents[site]
        return agent

    def _survey(self, day: date, contacts: Contacts, roots: _Roots, legs: dict[str, Ints]) -> _Survey:
        """What those who reply to the survey say, on their last answered leg."""
        rng = stream(self._seed, "survey", day)
        total = len(contacts)
        answered = np.flatnonzero(legs["outcome"] == _ANSWERED)
        legs_answered = np.bincount(legs["root"][answered], minlength=total)
        last = np.full(total, -1)
        last[legs["root"][answered]] = answered
        waited = np.zeros(total, dtype=np.int64)
        np.maximum.at(waited, legs["root"][answered], (legs["answered_at"] - legs["queued_at"])[answered])
        live = self._geography.days_live(day)[
            self._geography.department_region[contacts.department], roots.market
        ]
        at_home = self._effects.answered_at_home * self._is_answered_at_home(day, contacts, legs)
        latent_satisfaction = (
            0.66
            + self._effects.satisfaction * (live >= 0)
            + at_home
            - 0.25 * (waited > 60)
            - 0.15 * (legs_answered > 1)
            - 0.35 * (contacts.next_gap >= 0)
            + rng.standard_normal(total)
        )
        score = 1 + np.searchsorted(_SCORE_EDGES, latent_satisfaction)
        calls_again = contacts.again_without.astype(np.int64) - (contacts.next_gap >= 0)
        latent_without = latent_satisfaction - self._effects.satisfaction * (live >= 0) - 0.35 * calls_again
        score_without = 1 + np.searchsorted(_SCORE_EDGES, latent_without)
        score_elsewhere = 1 + np.searchsorted(_SCORE_EDGES, latent_satisfaction - at_home)
        likelihood = np.clip(
            np.rint(7.0 + 1.9 * (latent_satisfaction - 0.4) + 0.9 * rng.standard_normal(total)), 0, 10
        )
        replies = np.flatnonzero((last >= 0) & (rng.random(total) < _SURVEYED))
        recommends = replies[rng.random(len(replies)) < _RECOMMENDS]
        satisfaction, recommend, without, elsewhere = np.full((4, len(legs["root"])), -1)
        satisfaction[last[replies]] = score[replies]
        without[last[replies]] = score_without[replies]
        elsewhere[last[replies]] = score_elsewhere[replies]
        recommend[last[recommends]] = likelihood[recommends].astype(np.int64)
        return _Survey(satisfaction, recommend, without, elsewhere)

    def _is_answered_at_home(self, day: date, contacts: Contacts, legs: dict[str, Ints]) -> Bools:
        """Whether the first answered leg of each call is at a site of the customer's directorate."""
        answered = np.flatnonzero(legs["outcome"] == _ANSWERED)[::-1]
        first_site = np.full(len(contacts), -1)
        first_site[legs["root"][answered]] = legs["site"][answered]
        directorates = np.array([site.directorate for site in self._geography.sites])
        home = self._geography.department_directorates(day)[contacts.department]
        is_home: Bools = (first_site >= 0) & (directorates[first_site] == home)
        return is_home

    def _served(
        self,
        day: date,
        contacts: Contacts,
        roots: _Roots,
        legs: dict[str, Ints],
        home_chance: Floats,
        survey: _Survey,
    ) -> ServedCalls:
        """Work out from its legs how each call went."""
        geography = self._geography
        total = len(contacts)
        root, outcome, is_queued = legs["root"], legs["outcome"], legs["queued_at"] >= 0

        def first(rows: Ints) -> Ints:
            found = np.full(total, -1)
            found[root[rows[::-1]]] = rows[::-1]
            return found

        def last(rows: Ints) -> Ints:
            found = np.full(total, -1)
            found[root[rows]] = rows
            return found

        answered = first(np.flatnonzero(outcome == _ANSWERED))
        queued = first(np.flatnonzero(is_queued))
        in_queue = np.where(outcome[last(np.flatnonzero(is_queued))] == _ABANDONED, 1, 2)
        in_ivr = _IVR_OUTCOMES[outcome[last(np.arange(len(root)))]]
        is_answered, was_queued = answered >= 0, queued >= 0
        queued_at = legs["queued_at"][queued]
        opens, closes = geography.windows(day)
        zone = geography.department_zones(day)[contacts.department]
        is_open = np.any((opens[zone] <= queued_at[:, None]) & (queued_at[:, None] < closes[zone]), axis=1)
        is_offshore = np.array([site.directorate for site in geography.sites]) < 0
        site = legs["site"][answered]
        in_hours = was_queued & is_open
        answered_by = np.select(
            [~is_answered, self._is_answered_at_home(day, contacts, legs), ~is_offshore[site], in_hours],
            [-1, 0, 1, 2],
            3,
        )
        worked = (
            np.maximum(legs["talk_s"], 0) + np.maximum(legs["hold_s"], 0) + np.maximum(legs["wrap_up_s"], 0)
        )
        replies = np.flatnonzero(survey.satisfaction >= 0)
        scores = np.full((3, total), -1)
        for number, given in enumerate((survey.satisfaction, survey.without, survey.elsewhere)):
            scores[number, root[replies]] = given[replies]
        score, score_without, score_elsewhere = scores
        return ServedCalls(
            market=roots.market,
            call_outcome=np.where(is_answered, 0, np.where(was_queued, in_queue, in_ivr)),
            legs=np.bincount(root, minlength=total),
            wait=np.where(is_answered, legs["answered_at"][answered] - queued_at, 0),
            is_identified=roots.is_identified,
            in_hours=in_hours,
            answered_by=answered_by,
            partner=np.where(is_answered & is_offshore[site], site, -1),
            handle=np.bincount(root, weights=worked, minlength=total).astype(np.int64),
            home_chance=home_chance,
            surveyed=score >= 0,
            satisfied=score >= 4,
            satisfied_without=score_without >= 4,
            satisfied_elsewhere=score_elsewhere >= 4,
        )

    def _frame(
        self, day: date, contacts: Contacts, roots: _Roots, legs: dict[str, Ints], survey: _Survey
    ) -> pl.DataFrame:
        """The legs with the feed's values and column order."""
        geography = self._geography
        root = legs["root"]
        rng = stream(self._seed, "customer file", day)
        on_file = rng.random(len(contacts)) >= _NO_DEPARTMENT_ON_FILE
        department = np.where(roots.is_identified & on_file, contacts.department, -1)
        reason = contacts.market * len(REASONS[0]) + contacts.reason
        number = ("+" + pl.Series(roots.number).cast(pl.String)).zip_with(
            pl.Series(roots.withheld < 0), words(_WITHHELD, roots.withheld)
        )
        reference = self._population.customer_refs(contacts.customer)
        no_text = pl.Series([None], dtype=pl.String)
        site = words(tuple(site.code for site in geography.sites), legs["site"])
        agent = site + "-" + pl.Series(legs["agent"]).cast(pl.String).str.zfill(4)
        queues = self._queues.names
        return pl.DataFrame(
            {
                "call_id": f"{day:%Y%m%d}-" + pl.Series(root + 1).cast(pl.String).str.zfill(7),
                "leg_no": legs["leg_no"],
                "offered_at": iso_paris(contacts.offered_at).gather(root),
                "queued_at": moments(legs["queued_at"]),
                "answered_at": moments(legs["answered_at"]),
                "ended_at": moments(legs["ended_at"]),
                "caller_number": number.gather(root),
                "dialled_number": words(geography.service_numbers, roots.market).gather(root),
                "market": words(MARKETS, roots.market).gather(root),
                "customer_ref": reference.zip_with(pl.Series(roots.is_identified), no_text).gather(root),
                "line_department": words(geography.department_codes, department).gather(root),
                "site_code": site,
                "queue_code": words(queues, legs["queue"]),
                "outcome": words(OUTCOMES, legs["outcome"]),
                "agent_ref": agent.zip_with(pl.Series(legs["agent"] >= 0), no_text),
                "hold_s": present(legs["hold_s"]),
                "talk_s": present(legs["talk_s"]),
                "wrap_up_s": present(legs["wrap_up_s"]),
                "transferred_to": words(queues, legs["transferred_to"]),
                "reason_code": words(sum(REASONS, ()), np.where(legs["queued_at"] >= 0, reason[root], -1)),
                "satisfaction": present(survey.satisfaction),
                "recommend": present(survey.recommend),
            }
        )


@dataclass(frozen=True)
class _Flood:
    """An overload: the site's number, and from when until when (seconds since 1970 UTC) it lasts."""

    site: int
    starts_at: int
    ends_at: int
    share: float

    @classmethod
    def of(cls, overload: Overload, geography: Geography) -> _Flood:
        for number, site in enumerate(geography.sites):
            if site.code == overload.site:
                local = datetime.combine(overload.day, overload.starts, ZoneInfo(site.time_zone))
                starts_at = int(local.timestamp())
                return cls(number, starts_at, starts_at + overload.half_hours * HALF_HOUR, overload.share)
        raise SimulationError(f"no site {overload.site} to overload; its code must be in sites.csv")

    def reaches(self, at: Ints) -> Bools:
        """Which of these instants it lasts at."""
        found: Bools = (self.starts_at <= at) & (at < self.ends_at)
        return found


class _Routes:
    """The sites of each route on a day, as distributions."""

    def __init__(self, geography: Geography, day: date) -> None:
        def weights(zone: int, market: int, band: str, priority: int) -> Floats:
            """Weights of the sites open on the day; a zone without any uses the national route's."""
            found = np.zeros(len(geography.sites))
            for route in (geography.zone_codes[zone], NATIONAL):
                for key in ((route, MARKETS[market], band), (route, "*", band)):
                    for site, weight in geography.routes.get(key, {}).get(priority, []):
                        if geography.sites[site].is_open(day):
                            found[site] += weight
                    if found.any():
                        return found
            return weights(0, market, band, 1)

        pairs = [
            (zone, market) for zone in range(len(geography.zone_codes)) for market in range(len(MARKETS))
        ]
        self._closed_from = len(pairs)
        first = np.array([weights(*pair, band, 1) for band in ("open", "closed") for pair in pairs])
        self._first = Choices(first)
        self._overflow = Choices(np.array([weights(*pair, "open", 2) for pair in pairs]))
        # The extra last column is for partners, whose directorate is -1.
        self._share = np.zeros((len(first), len(geography.directorate_codes) + 1))
        for number, site in enumerate(geography.sites):
            self._share[:, site.directorate] += first[:, number] / first.sum(axis=1)

    def first(self, zone: Ints, market: Ints, is_open: Bools, unit: Floats) -> Ints:
        """Draw a site of first priority; zone 0 is the national route."""
        return self._first.draw(zone * len(MARKETS) + market + np.where(is_open, 0, self._closed_from), unit)

    def share(self, zone: Ints, market: Ints, is_open: Bools, directorate: Ints) -> Floats:
        """Share of first-priority calls that go to the sites of a directorate."""
        row = zone * len(MARKETS) + market + np.where(is_open, 0, self._closed_from)
        share: Floats = self._share[row, directorate]
        return share

    def overflow(self, zone: Ints, market: Ints, unit: Floats) -> Ints:
        """Draw a site of second priority, in opening hours."""
        return self._overflow.draw(zone * len(MARKETS) + market, unit)


class _Queues:
    """Queue codes: one per market and zone (0: national), plus three that serve all zones."""

    def __init__(self, geography: Geography) -> None:
        places = (NATIONAL.upper(), *geography.zone_codes[1:], "NIGHT", "OVERFLOW", "EXPERT")
        self._places = len(places)
        self.names = tuple(f"{market.upper()}_{place}" for market in MARKETS for place in places)
        self.night, self.overflow, self.expert = range(self._places - 3, self._places)

    def number(self, market: Ints, place: Ints | int) -> Ints:
        """A queue's index in `names`."""
        number: Ints = market * self._places + place
        return number


def _waits(rng: np.random.Generator, load: Floats, next_gap: Ints) -> tuple[Ints, Ints]:
    """Seconds each caller would have to wait, and seconds each is willing to wait.

    Both the share that waits and the length of the wait grow with load. Callers who call again within two
    hours waited longer: that is often why they call again.
    """
    total = len(load)
    at_once = np.clip(1.24 - 0.66 * load, 0.15, 0.95)
    mean = 70 * np.exp(1.8 * (load - 0.8))
    soon_again = np.where((next_gap >= 0) & (next_gap < 7_200), 1.7, 1.0)
    queues = rng.random(total) >= at_once
    wait = np.where(queues, mean * soon_again, 2.5) * rng.standard_exponential(total)
    impatient = rng.random(total) < _IMPATIENT
    patience = np.where(
        impatient, 4 * rng.random(total), 5 + _PATIENCE_MEAN * rng.standard_exponential(total)
    )
    return np.minimum(wait, 3_000).astype(np.int64), patience.astype(np.int64)
