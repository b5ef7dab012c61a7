"""The synthetic operator: which feeds it delivers on which dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from parc import feeds
from parc.simulate.boutiques import Boutiques
from parc.simulate.calls import CallCentre
from parc.simulate.contacts import ContactBook, Contacts
from parc.simulate.demand import Demand
from parc.simulate.effects import EFFECTS, Effects
from parc.simulate.errors import SimulationError
from parc.simulate.faults import FaultPlan
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.jobs import HORIZON, JobBook
from parc.simulate.numbering import Numbering
from parc.simulate.population import Population
from parc.simulate.references import active_lines, line_assignments
from parc.simulate.truth import Truth
from parc.simulate.visits import VisitBook
from parc.simulate.writing import LandingZone

_LARGEST = 10
_EARLIEST = date(1999, 1, 1) + timedelta(days=HORIZON)
_LATEST = date(2035, 12, 1)


@dataclass(frozen=True)
class SimulationSummary:
    """What was delivered: rows per feed, number of deliveries, their size in bytes, and the faults made."""

    first: date
    last: date
    scale: float
    seed: int
    out: str
    deliveries: int
    rows: dict[str, int]
    bytes: int
    faults: list[str]


def simulate(
    first: date,
    last: date,
    *,
    scale: float,
    seed: int,
    out: str,
    faults: Iterable[str] = (),
    delivered: Collection[str] = feeds.IN_LOADING_ORDER,
    effects: Effects = EFFECTS,
    progress: Callable[[str, int, int], None] | None = None,
) -> SimulationSummary:
    """Deliver the feeds of a synthetic operator, those in `delivered`, for the business dates `first` to
    `last`, inclusive.

    `scale` 1 is the nation: 23 million lines, about 220,000 calls a day. `out` is the landing zone, a path
    or an fsspec URL. Calls, visits and interventions are delivered every day. All references are delivered on
    the first date; after that, boutiques on the first of each month, the numbering plan and active lines on
    the first of each month and on Mondays, the others on Mondays.

    A delivery depends, byte for byte, only on its date, `scale`, `seed`, `effects` and its fault. `faults`
    are names of `FAULTS`, optionally with a feed and date (`late@calls:2012-04-20`). `faults.json` beside the
    feeds records what the faults did, and `truth.json` what the marts must find (see `parc.simulate.truth`).
    The landing zone is left as on the evening of `last`. `progress` receives (what is made, days done, total
    days).

    Raises SimulationError for an invalid request and for incomplete seeds.
    """
    if last < first:
        raise SimulationError(f"the range ends on {last}, before it starts on {first}; swap the dates")
    if first < _EARLIEST or last > _LATEST:
        raise SimulationError(
            f"{first} to {last}: public holidays are only known from {_EARLIEST} to {_LATEST}; "
            "choose dates in between"
        )
    if not 0 < scale <= _LARGEST:  # false for NaN too
        raise SimulationError(
            f"scale {scale}: give a positive share of the nation, e.g. 0.02, at most {_LARGEST}"
        )
    if seed < 0:
        raise SimulationError(f"seed {seed}: give a whole number, 0 or more")

    landing = LandingZone(out)
    geography = Geography.load()
    story = FaultPlan.of(
        faults,
        landing,
        first,
        last,
        seed=seed,
        is_working=lambda day: day.weekday() < 5 and not geography.is_holiday(0, day),
    )
    numbering = Numbering.of(geography)
    population = Population(geography, numbering, scale=scale, seed=seed)
    demand = Demand(geography, seed=seed)
    footfall = Footfall(geography)
    boutiques = Boutiques(geography, population, scale=scale, seed=seed)
    contacts = ContactBook(geography, population, demand, footfall, effects, seed=seed)
    shops = VisitBook(geography, population, boutiques, demand, footfall, effects, seed=seed)
    field = JobBook(geography, population, demand, effects, seed=seed)
    centre = CallCentre(geography, population, demand, effects, scale=scale, seed=seed)
    truth = Truth(geography, population, effects, scale=scale, seed=seed)

    @lru_cache(maxsize=2)  # a fault may need the previous day
    def made(day: date) -> dict[str, pl.DataFrame]:
        """The rows due on a day, by feed, with the columns of the feed's files."""
        called, visited = contacts.on(day)
        worked = field.on(day)
        calls = Contacts.concat([called, shops.calls(day), worked.calls])
        legs, served = centre.legs(day, calls.take(calls.is_made).in_order())
        visits = shops.visits(day, visited)
        if first <= day <= last:
            truth.add(day, calls, served, legs, visits, worked)
        frames = {"calls": legs, "boutique_visits": visits, "interventions": field.frame(worked.states)}
        if day == first or day.weekday() == 0:
            frames["line_assignments"] = line_assignments(geography, population, day)
        if day == first or day.weekday() == 0 or day.day == 1:
            frames["numbering_plan"] = numbering.plan(seed, day)
            frames["active_lines"] = active_lines(geography, population, day)
        if day == first or day.day == 1:
            frames["boutiques"] = boutiques.snapshot(day)
        return {
            feed: frame.select(column.name for column in feeds.get(feed).file_columns)
            for feed, frame in frames.items()
        }

    rows: Counter[str] = Counter()
    deliveries = size = 0
    days = story.dates
    for done, day in enumerate(days):
        if progress:
            progress(f"deliveries of {day}", done, len(days))
        for feed, frame in made(day).items():
            if feed not in delivered or not story.concerns(feed, day):
                continue
            delivery = story.delivery(feed, day, frame, made)
            if delivery is None:
                landing.withdraw(feed, day)
                continue
            landing.write(delivery)
            rows[feed] += delivery.rows
            size += len(delivery.content)
            deliveries += 1
    story.write(landing)
    truth.write(landing)
    if progress:
        progress("done", len(days), len(days))
    return SimulationSummary(first, last, scale, seed, out, deliveries, dict(rows), size, story.aims)
