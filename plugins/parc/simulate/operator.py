"""The synthetic operator as a whole: which feed it delivers on which dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import polars as pl

from parc import feeds
from parc.simulate.boutiques import Boutiques
from parc.simulate.calls import CallCentre
from parc.simulate.contacts import ContactBook, Contacts
from parc.simulate.demand import Demand
from parc.simulate.effects import EFFECTS
from parc.simulate.errors import SimulationError
from parc.simulate.faults import Story
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
    """What was delivered: rows per feed, number of deliveries, their size in bytes, and faults as aimed."""

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
    progress: Callable[[str, int, int], None] | None = None,
) -> SimulationSummary:
    """Deliver the feeds of a synthetic operator for the business dates `first` to `last`, both included.

    `scale` 1 is the nation: 23 million lines, about 220,000 calls a day. `out` is the landing zone, a path
    or an fsspec URL. Calls, visits and interventions come every day, references on the first date asked:
    boutiques also on the first of a month, the others on every Monday, and the numbering plan and active
    lines on both. A delivery depends on its date, `scale` and `seed` alone, byte for byte, and on its
    fault: `faults` are names of `FAULTS`, each with a feed and date where wanted
    (`late@calls:2012-04-20`); what they did is told in `faults.json` beside the feeds, and what there is to
    be found in `truth.json` (see `parc.simulate.truth`). The landing zone is left as it stands on the
    evening of `last`. `progress` hears (what is made, days done, days in all).

    Raises SimulationError for a request that makes no sense and for seeds that lack what is needed.
    """
    if last < first:
        raise SimulationError(f"the range ends on {last}, before it begins on {first}; swap the dates")
    if first < _EARLIEST or last > _LATEST:
        raise SimulationError(
            f"{first} to {last}: the public holidays are known from {_EARLIEST} to {_LATEST}; stay within"
        )
    if not 0 < scale <= _LARGEST:  # nor NaN
        raise SimulationError(
            f"scale {scale}: give a positive share of the nation, e.g. 0.02, and {_LARGEST} at most"
        )
    if seed < 0:
        raise SimulationError(f"seed {seed}: give a whole number from 0 on")

    landing = LandingZone(out)
    geography = Geography.load()
    story = Story.of(
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
    contacts = ContactBook(geography, population, demand, footfall, EFFECTS, seed=seed)
    shops = VisitBook(geography, population, boutiques, demand, footfall, EFFECTS, seed=seed)
    field = JobBook(geography, population, demand, EFFECTS, seed=seed)
    centre = CallCentre(geography, population, demand, EFFECTS, scale=scale, seed=seed)
    truth = Truth(geography, population, EFFECTS, scale=scale, seed=seed)

    @lru_cache(maxsize=2)  # a fault may ask for the day before
    def made(day: date) -> dict[str, pl.DataFrame]:
        """What is due on a day, by feed, in the columns of the feed's files."""
        called, visited = contacts.on(day)
        worked = field.on(day)
        calls = Contacts.concat([called, shops.calls(day), worked.calls])
        legs, served = centre.legs(day, calls.take(calls.is_made).in_order())
        visits = shops.visits(day, visited)
        if first <= day <= last:
            truth.tell(day, calls, served, visits, worked)
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
            if not story.concerns(feed, day):
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
