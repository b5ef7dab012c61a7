"""The feed `boutique_visits`: who visits, how long they wait, and who calls afterwards."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from parc.feeds.declaration import MARKETS
from parc.simulate.boutiques import Boutiques
from parc.simulate.chance import Choices, Floats, stream
from parc.simulate.clock import HALF_HOUR, business_day, iso_paris
from parc.simulate.contacts import AT_CALL, SHOP_REASONS, Contacts, Visits, ramp, thinned
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.population import NATION_LINES, Population
from parc.simulate.rhythm import Rhythm
from parc.simulate.words import words

VISITS_A_DAY = 131_000
# Shares of visits followed by a call, and of visits that follow a call; all others stand alone.
_THEN_CALLS, _AFTER_CALLS = 0.026, 0.062
# Visits per line of each market, relative to the mean of all lines.
_MARKET_RATE = np.array([0.70, 1.20, 1.60])
# Weights of the number of days until the call, which is never on the same day.
_GAP_DAYS = np.array([0.0, 0.34, 0.22, 0.16, 0.12, 0.09, 0.07])
_HORIZON = len(_GAP_DAYS) - 1

_REASON_WEIGHTS = np.array([[0.24, 0.22, 0.13, 0.14, 0.08, 0.10, 0.09]])
_SALE = np.array([0.62, 0.35, 0.02, 0.15, 0.03, 0.18, 0.12])
_ELSEWHERE = 0.04
_IDENTIFIED = 0.70
_NATION_SIGMA, _DEPARTMENT_SIGMA, _BOUTIQUE_SIGMA = 0.03, 0.04, 0.15

_WAIT_MEAN = 430.0
_PATIENCE_MEAN = 3_900.0
_USUAL_LOAD = 0.78
_SERVICE_MEDIAN, _SERVICE_SIGMA, _SALE_TAKES = 480.0, 0.6, 1.9
_SURVEYED = 0.09
_SCORE_EDGES = np.array([-1.3, -0.7, -0.1, 0.8])
_OUTCOMES = ("served", "left_unserved", "sale")
_SERVED, _LEFT, _SOLD = range(3)


class VisitBook:
    """The visits of any business date, and the calls that follow visits."""

    def __init__(
        self,
        geography: Geography,
        population: Population,
        boutiques: Boutiques,
        demand: Demand,
        footfall: Footfall,
        effects: Effects,
        *,
        seed: int,
    ) -> None:
        """Draw nothing yet."""
        self._geography = geography
        self._population = population
        self._boutiques = boutiques
        self._demand = demand
        self._footfall = footfall
        self._effects = effects
        self._seed = seed
        self._reasons = Choices(_REASON_WEIGHTS)
        self._needs: dict[date, tuple[Visits, Contacts]] = {}

    def calls(self, day: date) -> Contacts:
        """The contacts of `day` that follow a visit on an earlier day."""
        starts = (day - timedelta(days=age) for age in range(_HORIZON, -1, -1))
        return Contacts.of_day([self._starting(start)[1] for start in starts], day)

    def visits(self, day: date, after_calls: Visits) -> pl.DataFrame:
        """The feed `boutique_visits` of a day, in order of arrival.

        `after_calls` are the day's visits that follow a call.
        """
        rng = stream(self._seed, "visits", day)
        alone = self._draw_visits(day, rng, 1 - _THEN_CALLS - _AFTER_CALLS)
        visits = Visits.concat([alone, self._starting(day)[0], after_calls])
        visits = visits.take(np.lexsort((visits.customer, visits.arrived_at)))
        return self._serve(day, visits)

    def _starting(self, start: date) -> tuple[Visits, Contacts]:
        """The visits of `start` that lead to a call, and those calls."""
        first = start - timedelta(days=_HORIZON)
        self._needs = {day: needs for day, needs in self._needs.items() if day >= first}
        if start not in self._needs:
            self._needs[start] = self._draw_chains(start)
        return self._needs[start]

    def _draw_visits(self, day: date, rng: np.random.Generator, share: float) -> Visits:
        """Draw a `share` of a day's visits among all customers."""
        geography = self._geography
        zones = geography.department_zones(day)
        expected = (
            self._population.lines
            * (VISITS_A_DAY * share / NATION_LINES * _MARKET_RATE)
            * (self._footfall.intensity(day).sum(axis=1)[zones] * self._daily_factor(day))[:, None]
        )
        count = rng.poisson(expected).ravel()
        cell = np.repeat(np.arange(count.size), count)
        home, market = cell // len(MARKETS), cell % len(MARKETS)
        total = len(cell)
        anywhere = Choices(geography.department_weight[None, :] * (self._population.lines.sum(axis=1) > 0))
        elsewhere = anywhere.draw(np.zeros(total, dtype=np.int64), rng.random(total))
        # Customers visit away from home only where boutiques are open that day.
        is_open = self._footfall.intensity(day).sum(axis=1) > 0
        moves = (rng.random(total) < _ELSEWHERE) & is_open[zones[elsewhere]]
        department = np.where(moves, elsewhere, home)
        rhythm = Rhythm(self._footfall.intensity, day, horizon=0, gap_days=np.ones(1))
        return Visits(
            day=np.full(total, day.toordinal()),
            arrived_at=rhythm.moment(
                zones[department], np.zeros(total, dtype=np.int64), *rng.random((2, total))
            ),
            customer=self._population.draw(home, market, rng.random(total)),
            department=department,
            reason=self._reasons.draw(np.zeros(total, dtype=np.int64), rng.random(total)),
        )

    def _daily_factor(self, day: date) -> Floats:
        """The unplanned part of footfall: a factor on visits, per department."""
        rng = stream(self._seed, "visits surprise", day)
        nation = rng.standard_normal() * _NATION_SIGMA
        departments = len(self._geography.department_codes)
        factor: Floats = np.exp(nation + rng.standard_normal(departments) * _DEPARTMENT_SIGMA)
        return factor

    def _draw_chains(self, start: date) -> tuple[Visits, Contacts]:
        """Draw visits of `start` and the calls they lead to, which are rarer where the region is live."""
        geography = self._geography
        rng = stream(self._seed, "visit then call", start)
        visits = self._draw_visits(start, rng, _THEN_CALLS)
        total = len(visits)
        who = self._population.describe(visits.customer)
        zone = geography.department_zones(start)[who.department]
        rhythm = Rhythm(self._demand.intensity, start, horizon=0, gap_days=_GAP_DAYS)
        age = rhythm.gap(zone, np.zeros(total, dtype=np.int64), rng.random(total))
        live = ramp(geography.days_live(start), self._effects)[geography.department_region]
        rarer = (self._effects.call_rate * live)[who.department, who.market]
        # The number of visits is fixed, so a rise in calls cannot be represented.
        made, without = thinned(rng.random(total), np.minimum(rarer, 0.0))
        calls = Contacts(
            day=start.toordinal() + age,
            offered_at=rhythm.moment(zone, age, *rng.random((2, total))),
            customer=visits.customer,
            department=who.department,
            market=who.market,
            reason=AT_CALL[who.market, visits.reason],
            attempt=np.ones(total, dtype=np.int64),
            next_gap=np.full(total, -1),
            is_made=made,
            without=without,
            again_without=np.zeros(total, dtype=np.bool_),
        )
        return visits, calls

    def _serve(self, day: date, visits: Visits) -> pl.DataFrame:
        """Choose boutiques; let visitors wait, then serve them or let them leave."""
        boutiques = self._boutiques
        rng = stream(self._seed, "shop service", day)
        total = len(visits)
        boutique = boutiques.draw(day, visits.department, rng.random(total))
        boutique_factor = np.exp(_BOUTIQUE_SIGMA * rng.standard_normal(len(boutiques.codes)))
        zone = self._geography.department_zones(day)[visits.department]
        slot = (visits.arrived_at - business_day(day).starts_at) // HALF_HOUR
        load = self._footfall.load(day)[zone, slot] * boutique_factor[boutique]
        waits = rng.random(total) >= np.clip(1.15 - 1.05 * load, 0.05, 0.95)
        mean = _WAIT_MEAN * np.exp(2.4 * (load - _USUAL_LOAD))
        wait = np.where(waits, mean, 20.0) * rng.standard_exponential(total)
        patience = 60 + _PATIENCE_MEAN * rng.standard_exponential(total)
        leaves = wait > patience
        sells = ~leaves & (rng.random(total) < _SALE[visits.reason])
        service = _SERVICE_MEDIAN * np.exp(_SERVICE_SIGMA * rng.standard_normal(total))
        service = np.clip(np.where(sells, service * _SALE_TAKES, service), 30, 7_200)
        served_at = visits.arrived_at + wait.astype(np.int64)
        left_at = np.where(
            leaves, visits.arrived_at + patience.astype(np.int64), served_at + service.astype(np.int64)
        )
        latent = 0.62 - 0.35 * (wait > 900) - 0.3 * (wait > 1_800) + 0.15 * sells
        latent = latent + rng.standard_normal(total)
        replies = ~leaves & (rng.random(total) < _SURVEYED)
        is_identified = pl.Series(rng.random(total) < _IDENTIFIED)
        no_text = pl.Series([None], dtype=pl.String)
        reference = self._population.customer_refs(visits.customer)
        number = pl.Series(np.arange(1, total + 1))
        score = pl.Series(1 + np.searchsorted(_SCORE_EDGES, latent))
        return pl.DataFrame(
            {
                "visit_id": f"V{day:%Y%m%d}-" + number.cast(pl.String).str.zfill(6),
                "boutique_code": words(boutiques.codes, boutique),
                "arrived_at": iso_paris(visits.arrived_at),
                "served_at": iso_paris(served_at, pl.Series(~leaves)),
                "left_at": iso_paris(left_at),
                "customer_ref": reference.zip_with(is_identified, no_text),
                "reason_code": words(SHOP_REASONS, visits.reason),
                "outcome": words(_OUTCOMES, np.select([leaves, sells], [_LEFT, _SOLD], _SERVED)),
                "satisfaction": score.set(pl.Series(~replies), None),
            }
        )
