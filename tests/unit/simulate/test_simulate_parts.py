"""The parts of the synthetic operator: chance, population, demand, contacts and the known truth."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from parc.simulate import SimulationError
from parc.simulate.boutiques import Boutiques
from parc.simulate.chance import Choices, apportion, hash_unit, permute, stream
from parc.simulate.clock import business_day, week_number
from parc.simulate.contacts import CALLS_A_DAY, ContactBook, Contacts, ramp, relative_call_rate
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.jobs import JobBook
from parc.simulate.numbering import Numbering
from parc.simulate.population import REASONS, Population
from parc.simulate.visits import VisitBook

SCALE, SEED = 0.02, 3


@pytest.fixture(scope="module")
def geography() -> Geography:
    return Geography.load()


@pytest.fixture(scope="module")
def population(geography: Geography) -> Population:
    return Population(geography, Numbering.of(geography), scale=SCALE, seed=SEED)


@pytest.fixture(scope="module")
def demand(geography: Geography) -> Demand:
    return Demand(geography, seed=SEED)


class Everyone:
    """All who call: for needs of their own, after a visit, and around a job."""

    def __init__(
        self, geography: Geography, population: Population, demand: Demand, effects: Effects
    ) -> None:
        footfall = Footfall(geography)
        boutiques = Boutiques(geography, population, scale=SCALE, seed=SEED)
        self._contacts = ContactBook(geography, population, demand, footfall, effects, seed=SEED)
        self._shops = VisitBook(geography, population, boutiques, demand, footfall, effects, seed=SEED)
        self._field = JobBook(geography, population, demand, effects, seed=SEED)

    def on(self, day: date) -> Contacts:
        parts = [self._contacts.on(day)[0], self._shops.calls(day), self._field.on(day).calls]
        return Contacts.concat(parts)


def book(geography: Geography, population: Population, demand: Demand, effects: Effects) -> ContactBook:
    return ContactBook(geography, population, demand, Footfall(geography), effects, seed=SEED)


def needs(contacts: ContactBook, day: date) -> Contacts:
    """The calls of a day that belong to needs and are made, in order of time."""
    called, _ = contacts.on(day)
    return called.take(called.is_made).in_order()


def test_streams_depend_on_seed_purpose_and_day() -> None:
    day = date(2012, 4, 25)
    first = stream(1, "calls", day).random(5)
    assert (stream(1, "calls", day).random(5) == first).all()
    for other in (stream(2, "calls", day), stream(1, "needs", day), stream(1, "calls", date(2012, 4, 26))):
        assert not (other.random(5) == first).any()


def test_hashes_are_uniform_and_stable() -> None:
    units = hash_unit(1, "habit", np.arange(100_000))
    assert units.min() >= 0
    assert units.max() < 1
    counts = np.bincount((units * 10).astype(int))
    assert (abs(counts - 10_000) < 500).all()
    assert (hash_unit(1, "habit", np.array([99_999])) == units[-1]).all()
    assert abs(np.corrcoef(units, hash_unit(1, "other", np.arange(100_000)))[0, 1]) < 0.02


@pytest.mark.parametrize("size", [1, 2, 10_000, 999_983, 1_000_000])
def test_permutations_hit_every_position_once(size: int) -> None:
    assert (np.sort(permute(np.arange(size), size)) == np.arange(size)).all()


def test_parts_add_up() -> None:
    assert apportion(10, np.array([1.0, 1.0, 2.0])).sum() == 10
    assert apportion(7, np.array([0.0, 3.0])).tolist() == [0, 7]
    assert apportion(5, np.zeros(3)).tolist() == [0, 0, 0]


def test_choices_follow_their_weights() -> None:
    choices = Choices(np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]))
    unit = np.arange(1_000) / 1_000
    assert np.bincount(choices.draw(np.zeros(1_000, dtype=int), unit), minlength=3).tolist() == [250, 0, 750]
    assert set(choices.draw(np.ones(1_000, dtype=int), unit)) == {1}


def test_business_days_follow_the_clock_changes() -> None:
    assert [
        business_day(date(2012, month, day)).half_hours for month, day in ((3, 25), (10, 28), (4, 25))
    ] == [
        46,
        50,
        48,
    ]
    assert (
        week_number(date(2012, 4, 23)) == week_number(date(2012, 4, 29)) == week_number(date(2012, 4, 30)) - 1
    )


@pytest.mark.soak
def test_numbers_belong_to_one_customer_each(population: Population) -> None:
    customers = np.arange(population.lines.sum())
    described = population.describe(customers)
    assert len(np.unique(described.number)) == len(customers) == 460_000
    assert len(np.unique(population.reference(customers))) == len(customers)
    personal = population.personal_mobile(customers)
    assert len(np.unique(personal)) == len(customers)
    assert not np.isin(personal, described.number).any()


def test_customers_match_the_lines_of_each_cell(geography: Geography, population: Population) -> None:
    described = population.describe(np.arange(population.lines.sum()))
    cells = np.zeros_like(population.lines)
    np.add.at(cells, (described.department, described.market), 1)
    assert (cells == population.lines).all()
    bretagne = [geography.department_codes.index(code) for code in ("22", "29", "35", "56")]
    assert population.lines[bretagne].sum() / population.lines.sum() == pytest.approx(0.05, abs=0.003)


def test_drawn_customers_match_their_cell_and_some_call_more_often(population: Population) -> None:
    rng = np.random.default_rng(0)
    department, market = np.full(2_000, 34), np.full(2_000, 1)
    drawn = population.draw(department, market, rng.random(2_000))
    described = population.describe(drawn)
    assert set(described.department) == {34}
    assert set(described.market) == {1}
    # More repetition than an even draw of 2,000 among these customers would give.
    size = population.lines[34, 1]
    assert len(np.unique(drawn)) < 0.97 * size * (1 - np.exp(-2_000 / size))


def test_listed_customers_match_those_in_the_calls(population: Population) -> None:
    day = date(2012, 4, 23)
    listed = population.listed(day)
    assert (np.diff(listed.number) > 0).all()
    assert {REASONS[kind] for kind in listed.kind} == {"ported", "moved", "voip", "mobile"}
    customers = np.arange(population.lines.sum())
    described = population.describe(customers)
    expected = described.number[population.is_listed(customers, described.kind, day)]
    assert (np.sort(expected) == listed.number).all()


def test_an_average_day_of_the_year_is_average(demand: Demand) -> None:
    days = [date(2012, 1, 1) + timedelta(days=n) for n in range(366)]
    assert np.mean([demand.level(day) for day in days]) == pytest.approx(1, abs=0.01)


def test_contacts_add_up_to_the_calls_of_the_nation(
    geography: Geography, population: Population, demand: Demand
) -> None:
    contacts = Everyone(geography, population, demand, Effects(call_rate=0, repeat=0))
    days = [date(2012, 3, 5) + timedelta(days=n) for n in range(14)]
    made = sum(len(contacts.on(day)) for day in days)
    planned = sum(demand.level(day) for day in days) * CALLS_A_DAY * SCALE
    assert made == pytest.approx(planned, rel=0.04)


def test_contacts_are_ordered_within_their_day(
    geography: Geography, population: Population, demand: Demand
) -> None:
    contacts = book(geography, population, demand, Effects())
    for day in (date(2012, 3, 24), date(2012, 3, 25), date(2012, 3, 26)):
        made, stretch = needs(contacts, day), business_day(day)
        assert stretch.starts_at <= made.offered_at.min()
        assert made.offered_at.max() < stretch.ends_at
        assert (np.diff(made.offered_at) >= 0).all()
        assert (made.next_gap[made.next_gap >= 0] > 0).all()


def test_overseas_customers_call_by_their_own_clock(
    geography: Geography, population: Population, demand: Demand
) -> None:
    intensity = demand.intensity(date(2012, 4, 25))
    peaks = {
        zone: int(intensity[geography.zone_codes.index(zone)].argmax()) // 2 for zone in ("53", "01", "04")
    }
    assert peaks == {"53": 10, "01": 16, "04": 8}


def test_holidays_are_those_of_the_zone(geography: Geography, demand: Demand) -> None:
    friday = demand.intensity(date(2012, 4, 6)).sum(axis=1)
    moselle, bretagne = (geography.zone_codes.index(zone) for zone in ("41-57", "53"))
    assert friday[moselle] < 0.3 * friday[bretagne]
    opens, _ = geography.windows(date(2012, 4, 6))
    day = business_day(date(2012, 4, 6))
    today = (opens >= day.starts_at) & (opens < day.ends_at)
    assert not today[moselle].any()
    assert today[bretagne].any()


def test_storms_bring_calls_where_they_pass(geography: Geography, demand: Demand) -> None:
    storm = demand.daily_factor(date(2011, 12, 16))
    bretagne = geography.region_codes.index("53")
    assert storm[bretagne] > 1.25 * np.median(storm)


def test_the_rollout_follows_the_plan(geography: Geography) -> None:
    bretagne, normandie = (geography.region_codes.index(region) for region in ("53", "25"))
    before, after = (geography.days_live(date(2012, 4, day)) for day in (24, 27))
    assert before[bretagne].tolist() == [-1, -1, -1]
    assert after[bretagne].tolist() == [2, 2, -1]
    assert before[normandie, 0] > 0


def test_effects_ramp_up_and_change_their_own_figures(
    geography: Geography, population: Population, demand: Demand
) -> None:
    assert ramp(np.array([-1, 0, 27, 55, 400]), Effects(ramp_days=56)).tolist() == [0, 1 / 56, 0.5, 1, 1]
    drastic = Effects(ramp_days=1, call_rate=-0.5, repeat=-1.0)
    plain = Effects(ramp_days=1, call_rate=0.0, repeat=0.0)
    normandie = np.isin(
        geography.department_region, [geography.region_codes.index(region) for region in ("23", "25")]
    )
    counts = {}
    for name, effects in (("drastic", drastic), ("plain", plain)):
        made = needs(book(geography, population, demand, effects), date(2012, 4, 18))
        live = normandie[made.department] & (made.market < 2)
        counts[name] = (live.sum(), (made.attempt[live] > 1).sum(), (~live).sum())
    assert counts["drastic"][1] == 0
    assert counts["drastic"][0] == pytest.approx(0.5 * (counts["plain"][0] - counts["plain"][1]), rel=0.15)
    assert counts["drastic"][2] == pytest.approx(counts["plain"][2], rel=0.05)


@pytest.mark.soak
def test_the_counterfactual_equals_a_run_without_rollout(
    geography: Geography, population: Population, demand: Demand
) -> None:
    with_effects = Everyone(geography, population, demand, Effects(call_rate=-0.3, repeat=-0.5))
    without_effects = Everyone(geography, population, demand, Effects(call_rate=0, repeat=0))
    day = date(2012, 4, 18)
    reported, plain = with_effects.on(day), without_effects.on(day)
    assert plain.is_made.all()
    assert plain.without.all()
    assert reported.without.sum() == len(plain)
    assert (np.sort(reported.offered_at[reported.without]) == np.sort(plain.offered_at)).all()
    assert reported.is_made.sum() < reported.without.sum()


def test_the_relative_call_rate_is_that_of_the_calls_drawn(
    geography: Geography, population: Population, demand: Demand
) -> None:
    effects = Effects(ramp_days=1, call_rate=-0.3, repeat=-0.5)
    contacts = Everyone(geography, population, demand, effects)
    normandie = np.isin(
        geography.department_region, [geography.region_codes.index(region) for region in ("23", "25")]
    )
    made = without = 0
    for day in (date(2012, 5, 14) + timedelta(days=n) for n in range(7)):
        calls = contacts.on(day)
        live = normandie[calls.department] & (calls.market < 2)
        made += (calls.is_made & live).sum()
        without += (calls.without & live).sum()
    assert made / without - 1 == pytest.approx(float(relative_call_rate(effects, 1.0)), abs=0.02)


def test_missing_seeds_are_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"departments\.csv is missing"):
        Geography.load(tmp_path)
