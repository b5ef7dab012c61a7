"""The operator's own table on the switch: where customers' calls land, by region, hour, holiday and clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from parc.build import build
from parc.feeds import FEEDS
from parc.loading import ingest
from parc.routing.switches import KAMAILIO, Release, local, open_switch
from parc.routing.switches.rehearsal import questions
from parc.routing.table.content import Content
from parc.routing.table.desired import desired_state
from parc.routing.table.inputs import read_inputs
from parc.settings import Settings
from parc.simulate import simulate
from support.sites import Sites, answering, empty, place_calls, route_of

RENNES, REUNION, MOSELLE = "+33299445566", "+262262445566", "41-57"
BRETAGNE = {"RENNES", "BREST", "QUIMPER", "ST_NAZAIRE"}
EARLY, LATE = date(2012, 4, 23), date(2012, 10, 26)
FRIDAY = datetime(2012, 10, 26, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def operator(module_warehouse: Settings, running: Settings) -> Settings:
    """Two small days of the simulated operator, built: opening hours from April 2012 to March 2013."""
    for day in (EARLY, LATE):
        simulate(day, day, scale=0.002, seed=1, out=module_warehouse.landing)
        for feed in FEEDS:
            ingest(module_warehouse, feed, day)
    build(module_warehouse)
    empty(running)
    return replace(module_warehouse, switch=KAMAILIO, own_switch=running.own_switch)


def table(settings: Settings, day: date) -> Content:
    return desired_state(read_inputs(settings, day, day)[0], day)


def bring_live(settings: Settings, day: date) -> Content:
    """The table of a day on the switch, by the adapter alone: the guards have tests of their own."""
    switch, content = open_switch(settings), table(settings, day)
    version = f"{day}-{content.digest[:12]}"
    switch.stage(Release(version, content, {}))
    assert switch.verify(version).problems == ()
    switch.activate(version, switch.pointer().fence + 1)
    return content


@pytest.fixture(scope="module")
def after(operator: Settings) -> Content:
    """The table of October: Bretagne is among those that have gone live, La Réunion is not."""
    return bring_live(operator, LATE)


@pytest.fixture(scope="module")
def everybody(after: Content) -> Iterator[Sites]:
    """Every site and partner of the sample, with somebody on the phone."""
    ports = {site: int(address.rsplit(":", 1)[1]) for site, address in after.frames["sites"].iter_rows()}
    with answering(ports) as sites:
        yield sites


def partners(content: Content) -> set[str]:
    closed = content.frames["routes"].filter(pl.col("band") == "closed")
    return set(closed["site_code"])


def first_sites(settings: Settings, caller: str, at: datetime) -> set[str]:
    return {site for priority, site, _ in route_of(settings, caller, at).sites if priority == 1}


def test_calls_of_bretagne_land_on_its_four_sites_by_weight(
    operator: Settings, after: Content, everybody: Sites, tmp_path: Path
) -> None:
    local.set_clock(operator, FRIDAY)
    place_calls(tmp_path, local.calls_port(operator), [RENNES], 500, 100)
    weights = {
        site: weight for _, site, weight in route_of(operator, RENNES, FRIDAY).sites if site in BRETAGNE
    }
    assert set(everybody.count()) == BRETAGNE == set(weights)
    for site, weight in weights.items():
        share = weight / sum(weights.values())
        margin = 5 * (500 * share * (1 - share)) ** 0.5
        assert abs(everybody.count()[site] - 500 * share) < margin, (site, everybody.count())


@pytest.mark.parametrize(
    ("caller", "at", "where"),
    [
        (RENNES, datetime(2012, 10, 26, 21, tzinfo=UTC), "partners"),  # 23:00 in Rennes
        (RENNES, datetime(2012, 10, 28, 10, tzinfo=UTC), "partners"),  # a Sunday
        (RENNES, datetime(2012, 12, 25, 10, tzinfo=UTC), "partners"),
        (RENNES, datetime(2012, 12, 26, 10, tzinfo=UTC), "own"),
        (
            MOSELLE,
            datetime(2012, 12, 26, 10, tzinfo=UTC),
            "partners",
        ),  # a holiday in Moselle
        (RENNES, datetime(2012, 10, 26, 6, 30, tzinfo=UTC), "own"),  # 8:30, summer time
        (RENNES, datetime(2012, 10, 29, 6, 30, tzinfo=UTC), "partners"),  # 7:30, winter time
        (RENNES, datetime(2012, 10, 29, 7, 30, tzinfo=UTC), "own"),
        # 8:30 in Saint-Denis, 6:30 in Paris: nobody is there yet, and 9:30 in Paris
        (REUNION, datetime(2012, 10, 26, 4, 30, tzinfo=UTC), "partners"),
        (REUNION, datetime(2012, 10, 26, 7, 30, tzinfo=UTC), "open"),
        (RENNES, datetime(2012, 10, 26, 4, 30, tzinfo=UTC), "partners"),
        (REUNION, datetime(2012, 10, 26, 17, tzinfo=UTC), "partners"),  # 21:00 there, 19:00 in Paris
        (RENNES, datetime(2014, 1, 6, 10, tzinfo=UTC), "partners"),  # past the last window that was sent
    ],
)
def test_hours_holidays_and_clocks(
    operator: Settings,
    after: Content,
    everybody: Sites,
    tmp_path: Path,
    caller: str,
    at: datetime,
    where: str,
) -> None:
    if caller == MOSELLE:
        caller = questions(after, "a")[MOSELLE, "internet", "open"].caller
    local.set_clock(operator, at)
    everybody.calls.clear()
    place_calls(tmp_path, local.calls_port(operator), [caller], 5, 20)
    landed = set(everybody.count())
    if where == "own":
        assert landed <= BRETAGNE
    elif where == "open":
        assert route_of(operator, caller, at).band == "open" and not landed & partners(after)
    else:
        assert route_of(operator, caller, at).band == "closed" and landed <= partners(after)


def test_unknown_callers_take_the_national_route(operator: Settings, after: Content) -> None:
    national = first_sites(operator, "anonymous", FRIDAY)
    assert route_of(operator, "anonymous", FRIDAY).where.startswith("r:*:")
    assert national and not national & partners(after)
    assert first_sites(operator, "+3225551234", FRIDAY) == national


def test_an_assigned_number_follows_its_assignment(operator: Settings, after: Content) -> None:
    others = after.frames["exceptions"].filter(pl.col("zone_code") != "*").sample(20, seed=1)
    for number, zone_code in others.iter_rows():
        answer = route_of(operator, number, FRIDAY)
        assert (answer.zone_code, answer.by) == (zone_code, "exception")


def test_before_its_go_live_bretagne_is_national(operator: Settings, after: Content) -> None:
    bring_live(operator, EARLY)
    at = datetime(2012, 4, 23, 10, tzinfo=UTC)
    assert first_sites(operator, RENNES, at) == first_sites(operator, "anonymous", at)
    bring_live(operator, LATE)
    assert first_sites(operator, RENNES, FRIDAY) == BRETAGNE
