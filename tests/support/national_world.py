"""The sample seeds as a release reads them, and the nation's calls: plans of full size, no warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from parc.feeds.declaration import MARKETS
from parc.routing.judges.guards import examine
from parc.routing.judges.proposal import Proposal, Ruling
from parc.routing.table.content import Content
from parc.routing.table.desired import desired_state
from parc.routing.table.diff import diff
from parc.routing.table.inputs import CLOCKS, DEMAND, POSITIONS, SOURCES, VOLUME_DAYS, Context, Inputs
from parc.settings import PROJECT
from parc.simulate.clock import HALF_HOUR, business_day
from parc.simulate.demand import Demand
from parc.simulate.geography import Geography
from parc.simulate.nation import HANDLE_SECONDS, offered_calls
from parc.simulate.numbering import Numbering
from parc.simulate.population import Population

FIRST, LAST = date(2011, 12, 1), date(2014, 3, 31)
SCALE = 0.02  # of the population that stands for the nation: what counts is how it is spread


@cache
def seed(name: str) -> pl.DataFrame:
    return pl.read_csv(PROJECT / "dbt_project" / "seeds" / f"{name}.csv", infer_schema=False)


@cache
def inputs() -> Inputs:
    """What the marts make of the seeds, from December 2011 to March 2014: the default prefixes, each in the
    first zone of its region, and one assigned number."""
    zones = seed("zones")
    first_zones = zones.drop_nulls("region_code").unique("region_code", keep="first", maintain_order=True)
    return Inputs(
        services=typed("services", seed("service_numbers")),
        prefixes=typed(
            "prefixes",
            seed("numbering_default").join(first_zones, on="region_code"),
            snapshot_date=pl.lit(date(1, 1, 1)),
        ),
        department_zones=typed("department_zones", seed("routing_zones")),
        windows=windows(zones),
        routes=typed("routes", seed("route_sites")),
        rollout=typed("rollout", seed("rollout_plan").join(zones, on="region_code")),
        sites=typed("sites", seed("sites").rename({"opened_on": "valid_from", "closed_on": "valid_to"})),
        line_assignments=pl.DataFrame(
            [("+33299120001", "44", date(2012, 1, 1), None)],
            schema=dict(SOURCES["line_assignments"][1]),
            orient="row",
        ),
        urgent_zones=pl.DataFrame(schema=dict(SOURCES["urgent_zones"][1])),
    )


def typed(name: str, texts: pl.DataFrame, **more: pl.Expr) -> pl.DataFrame:
    columns = dict(SOURCES[name][1])
    dates = [column for column, kind in columns.items() if kind == pl.Date() and column not in more]
    return texts.with_columns(pl.col(dates).str.to_date(), **more).select(list(columns)).cast(columns)


def windows(zones: pl.DataFrame) -> pl.DataFrame:
    """Opening windows of every zone, holidays left out."""
    holidays = set(seed("public_holidays").select("holiday_calendar", "holiday_date").iter_rows())
    hours: dict[tuple[str, int], list[tuple[time, time]]] = {}
    for zone, weekday, *clock in seed("zone_hours").iter_rows():
        opens, closes = map(time.fromisoformat, clock)
        hours.setdefault((zone, int(weekday)), []).append((opens, closes))
    rows = [
        (zone, day, *(datetime.combine(day, clock, ZoneInfo(time_zone)).astimezone(UTC) for clock in window))
        for zone, time_zone, calendar in zones.select(
            "zone_code", "time_zone", "holiday_calendar"
        ).iter_rows()
        for day in days(FIRST, LAST)
        if (calendar, day.isoformat()) not in holidays
        for window in hours.get((zone, day.isoweekday()), [])
    ]
    return pl.DataFrame(rows, schema=dict(SOURCES["windows"][1]), orient="row")


def positions() -> pl.DataFrame:
    planned = seed("site_positions").join(seed("sites"), on="site_code")
    return planned.select(
        "site_code",
        "time_zone",
        pl.col("weekday").cast(pl.Int8),
        pl.col("half_hour_local").str.to_time("%H:%M"),
        pl.col("position_count").cast(pl.Int64),
    ).cast(dict(POSITIONS[1]))


@cache
def operator() -> tuple[Geography, Population, Demand]:
    geography = Geography.load()
    return (
        geography,
        Population(geography, Numbering.of(geography), scale=SCALE, seed=1),
        Demand(geography, seed=1),
    )


def volumes(first: date, last: date) -> pl.DataFrame:
    """The nation's offered calls of each zone, market and half-hour, as the mart has them."""
    return pl.concat([_volumes(day) for day in days(first, last)])


@cache
def _volumes(day: date) -> pl.DataFrame:
    geography, population, demand = operator()
    so_far = np.rint(offered_calls(geography, population, demand, day).cumsum(axis=2))
    offered = np.diff(so_far, axis=2, prepend=0).astype(np.int64)
    zone, market, slot = np.nonzero(offered)
    rows = pl.DataFrame(
        {
            "half_hour_at": business_day(day).starts_at + slot * HALF_HOUR,
            "zone_code": np.array(geography.zone_codes)[zone],
            "market": np.array(MARKETS)[market],
            "offered_count": offered[zone, market, slot],
        }
    )
    return (
        rows.with_columns(
            pl.from_epoch("half_hour_at").dt.replace_time_zone("UTC"),
            business_date=pl.lit(day),
            handle_seconds=pl.col("offered_count") * HANDLE_SECONDS,
        )
        .select(list(DEMAND[1]))
        .cast(dict(DEMAND[1]))
    )


def table(day: date) -> Content:
    return desired_state(inputs(), day)


def proposal(
    day: date,
    live: Content | None,
    *,
    demand: pl.DataFrame | None = None,
    planned: pl.DataFrame | None = None,
    changed: Inputs | None = None,
) -> Proposal:
    """The release that takes effect on `day`, with the volumes of the four weeks before it."""
    own = changed or inputs()
    desired = desired_state(own, day)
    if demand is None:
        demand = volumes(day - timedelta(days=VOLUME_DAYS), day - timedelta(days=1))
    context = Context(
        demand,
        positions() if planned is None else planned,
        seed("zones").select("zone_code", "time_zone").cast(dict(CLOCKS[1])),
        freezes=pl.DataFrame(),
        provenance=None,  # type: ignore[arg-type]
    )
    return Proposal(day, own, context, live, desired, diff(live, desired))


def capacity(plan: Proposal) -> list[Ruling]:
    return [ruling for ruling in examine(plan) if ruling.rule == 6]


def assert_well_below_limits(plan: Proposal) -> None:
    """The gate has no findings, and no half-hour is near its limit."""
    assert capacity(plan) == []
    for site in plan.loads:
        for half_hour in site.half_hours:
            assert (half_hour.occupancy or 0) <= 0.9, half_hour
            assert half_hour.service_level is None or half_hour.service_level >= 0.8, half_hour


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
