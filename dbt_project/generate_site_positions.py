"""Write `seeds/site_positions.csv`: sample positions that carry the nation. Run it again when sites, routes,
hours or the rollout plan change.

    python dbt_project/generate_site_positions.py

The simulated operator's calls of every day of 2012 and 2013 (`parc.simulate.nation`) are routed as the
switch does by the plan of that day, each to the site that it is offered first. For each half-hour of the
site's clock Erlang C says how many positions answer four in five of them within 20 s at an occupancy of at
most 0.85; a shift has enough for each of its half-hours on the busiest of its days.

A directorate's site works from 08:00 to 20:00, Mondays to Fridays alike and less on Saturdays, each shift a
fixed share of the peak. Partners work round the clock, every day alike: Sundays and holidays are theirs.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from parc.feeds.declaration import MARKETS
from parc.routing.judges.capacity import HALF_HOUR_SECONDS, positions_required
from parc.routing.judges.load import MAX_OCCUPANCY, TARGET, WITHIN_SECONDS
from parc.simulate.chance import Floats
from parc.simulate.clock import business_day, local_half_hours
from parc.simulate.demand import Demand
from parc.simulate.geography import NATIONAL, Geography
from parc.simulate.nation import HANDLE_SECONDS, offered_calls
from parc.simulate.numbering import Numbering
from parc.simulate.population import Population

FIRST, LAST = date(2012, 1, 1), date(2013, 12, 31)
WORKING_DAYS, SATURDAY, EVERY_DAY = (1, 2, 3, 4, 5), (6,), (1, 2, 3, 4, 5, 6, 7)
# Half-hours of the day from and up to, and the share of the peak.
DIRECTORATE_SHIFTS = ((16, 18, 0.60), (18, 24, 1.00), (24, 28, 0.80), (28, 36, 1.00), (36, 40, 0.75))
PARTNER_SHIFTS = ((0, 10), (10, 16), (16, 36), (36, 44), (44, 48))

Shifts = list[tuple[int, int, int]]
"""Half-hours of the day from and up to, and positions."""


def main() -> None:
    """Replace the seed."""
    found = list(rows(Geography.load()))
    target = Path(__file__).parent / "seeds" / "site_positions.csv"
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["site_code", "weekday", "half_hour_local", "position_count"])
        writer.writerows(found)


def rows(geography: Geography) -> Iterator[tuple[str, int, str, int]]:
    """The seed's rows."""
    loads = busiest(geography)
    for number, site in enumerate(geography.sites):
        for weekday, shifts in week(loads[number], is_partner=site.is_partner):
            for first, end, count in shifts:
                for half_hour in range(first, end):
                    yield site.code, weekday, f"{half_hour // 2:02}:{half_hour % 2 * 30:02}", count


def week(loads: Floats, *, is_partner: bool) -> Iterator[tuple[int, Shifts]]:
    """The shifts of each ISO weekday, for a site's busiest loads in erlangs (weekday - 1, half-hour)."""
    for weekdays in (EVERY_DAY,) if is_partner else (WORKING_DAYS, SATURDAY):
        needed = needed_positions(loads[np.array(weekdays) - 1].max(axis=0))
        shifts = partner_shifts(needed) if is_partner else directorate_shifts(needed)
        yield from ((weekday, shifts) for weekday in weekdays)


def directorate_shifts(needed: Floats) -> Shifts:
    """By the least peak of which every shift's share is enough."""
    peak = 0
    while True:
        peak += 1
        shifts = [(first, end, round(peak * share)) for first, end, share in DIRECTORATE_SHIFTS]
        if all((needed[first:end] <= count).all() for first, end, count in shifts):
            return shifts


def partner_shifts(needed: Floats) -> Shifts:
    """By the most that one half-hour of each shift needs."""
    return [(first, end, int(needed[first:end].max())) for first, end in PARTNER_SHIFTS]


def needed_positions(loads: Floats) -> Floats:
    """Positions for loads in erlangs, as the capacity gate asks for."""
    aims = {"target": TARGET, "within_seconds": WITHIN_SECONDS, "max_occupancy": MAX_OCCUPANCY}
    return np.array([positions_required(load, HANDLE_SECONDS, **aims) for load in loads])


def busiest(geography: Geography) -> dict[int, Floats]:
    """Each site's greatest load in erlangs, per (ISO weekday - 1, half-hour of its own clock)."""
    population = Population(geography, Numbering.of(geography), scale=1, seed=0)
    demand = Demand(geography, seed=0)
    most: dict[int, Floats] = defaultdict(lambda: np.zeros((7, 48)))
    for day in (FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)):
        loads = site_loads(geography, day, offered_calls(geography, population, demand, day))
        for number, site in enumerate(geography.sites):
            for load, (local, half_hour) in zip(
                loads[number], local_half_hours(day, site.time_zone), strict=True
            ):
                place = local.weekday(), half_hour
                most[number][place] = max(most[number][place], load)
    return most


def site_loads(geography: Geography, day: date, offered: Floats) -> Floats:
    """Erlangs that each site is offered first, per (site, half-hour of the Paris day), of the calls `offered`
    per (zone, market, half-hour)."""
    opens, closes = geography.windows(day)
    starts = business_day(day).starts_at + np.arange(offered.shape[2]) * HALF_HOUR_SECONDS
    in_hours = ((opens[:, :, None] <= starts) & (starts < closes[:, :, None])).any(axis=1)
    is_live = geography.days_live(day) >= 0
    calls = np.zeros((len(geography.sites), offered.shape[2]))
    for zone, market in np.ndindex(*offered.shape[:2]):
        is_own = zone > 0 and bool(is_live[geography.zone_region[zone], market])
        route = geography.zone_codes[zone] if is_own else NATIONAL
        # The national route has its own hours, whatever the caller's are.
        is_open = in_hours[zone] & (is_own | in_hours[0])
        for band, in_band in (("open", is_open), ("closed", ~is_open)):
            share = first_choice(geography, route, MARKETS[market], band)
            calls += share[:, None] * (offered[zone, market] * in_band)
    return calls * HANDLE_SECONDS / HALF_HOUR_SECONDS


def first_choice(geography: Geography, route: str, market: str, band: str) -> Floats:
    """The share of a route's calls that each site is offered first."""
    by_priority = geography.routes.get((route, market, band)) or geography.routes[route, "*", band]
    share = np.zeros(len(geography.sites))
    for site, weight in by_priority[min(by_priority)]:
        share[site] += weight
    return share / share.sum()


if __name__ == "__main__":
    main()
