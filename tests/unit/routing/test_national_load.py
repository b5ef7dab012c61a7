"""The sample seeds at the nation's own size: whoever is live, the sites carry their calls."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import date, time, timedelta

import polars as pl
import pytest

from parc.routing.judges.guards import examine
from parc.routing.judges.load import HALF_HOUR_SECONDS
from parc.routing.judges.proposal import Proposal
from parc.routing.table.content import Frames
from parc.routing.table.lookups import first_choices, with_band
from parc.settings import PROJECT
from parc.simulate.geography import Geography
from support.national_world import (
    assert_well_below_limits,
    capacity,
    inputs,
    positions,
    proposal,
    seed,
    table,
    volumes,
)

ONE_DAY = timedelta(days=1)
WAVES = sorted({date.fromisoformat(day) for day in seed("rollout_plan")["planned_go_live_date"]})
OF_2012 = [day for day in WAVES if day.year == 2012]
OVERSEAS = [date(2013, 6, 11), date(2013, 11, 12)]


def ported(day: date) -> Proposal:
    """An ordinary night's release: one more number is assigned, all else is live."""
    own = inputs()
    number = own.line_assignments.with_columns(number=pl.lit("+33299120002"))
    return proposal(
        day, table(day), changed=replace(own, line_assignments=pl.concat([own.line_assignments, number]))
    )


# The first table, the waves, the nights


@pytest.mark.parametrize("day", [date(2012, 2, 1), date(2012, 2, 29), date(2012, 5, 1), date(2012, 10, 29)])
def test_the_first_table_overloads_no_site(day: date) -> None:
    assert_well_below_limits(proposal(day, None))


@pytest.mark.parametrize("day", OF_2012)
def test_no_wave_overloads_a_site(day: date) -> None:
    plan = proposal(day, table(day - ONE_DAY))
    assert any("go-live" in str(ruling) for ruling in examine(plan))
    assert_well_below_limits(plan)


@pytest.mark.parametrize("day", OF_2012)
def test_nights_after_a_wave_change_nothing(day: date) -> None:
    assert_well_below_limits(ported(day + ONE_DAY))
    assert_well_below_limits(ported(day + 3 * ONE_DAY))


@pytest.mark.soak
def test_other_waves_of_the_mainland_pass_as_well() -> None:
    for day in sorted({*WAVES} - {*OF_2012} - {*OVERSEAS}):
        assert [f for f in capacity(proposal(day, table(day - ONE_DAY))) if f.effect != "note"] == []


@pytest.mark.parametrize("day", OVERSEAS)
def test_overseas_go_lives_are_refused_where_sites_have_no_positions(day: date) -> None:
    refused = [f.message for f in capacity(proposal(day, table(day - ONE_DAY))) if f.effect == "refuse"]
    sites = ["FORT_DE_FRANCE", "MAMOUDZOU", "ST_DENIS_RE"]
    assert [message.split(":")[0] for message in refused] == sites
    assert all("for 0 positions at worst (Mon" in message for message in refused)


# Single days, holidays among them, which the gate does not judge


DAYS = {
    "a Monday": date(2012, 9, 10),
    "a Saturday": date(2012, 9, 15),
    "a Sunday": date(2012, 9, 16),
    "Good Friday, a holiday in Alsace and Moselle": date(2012, 4, 6),
    "Easter Monday": date(2012, 4, 9),
    "1 May": date(2012, 5, 1),
    "27 May, a holiday in Guadeloupe": date(2012, 5, 27),
    "14 July, a Saturday": date(2012, 7, 14),
    "15 August": date(2012, 8, 15),
    "24 December, a Monday": date(2012, 12, 24),
    "Christmas": date(2012, 12, 25),
    "the clock goes forward": date(2012, 3, 25),
    "the clock goes back": date(2012, 10, 28),
}


@pytest.mark.parametrize("name", DAYS)
def test_the_sites_carry_a_day_of_any_kind(name: str) -> None:
    day = DAYS[name]
    loads = loads_of_the_day(table(day).frames, volumes(day, day))
    assert loads.filter(pl.col("load") > 0.9 * pl.col("position_count")).rows() == []
    assert loads["load"].sum() > 0


def loads_of_the_day(frames: Frames, calls: pl.DataFrame) -> pl.DataFrame:
    """(site_code, half_hour_at, load, position_count): erlangs offered first, and who sits there then."""
    key = ["zone_code", "market", "band"]
    offered = with_band(calls, "zone_code", frames, "band").join(first_choices(frames), on=key)
    loads = offered.group_by("site_code", "half_hour_at").agg(
        load=(pl.col("handle_seconds") * pl.col("share")).sum() / HALF_HOUR_SECONDS
    )
    planned = positions()
    local = pl.concat(
        [
            part.with_columns(
                _local=pl.col("half_hour_at").dt.convert_time_zone(str(zone)).dt.replace_time_zone(None)
            )
            for (zone,), part in loads.join(
                planned.select("site_code", "time_zone").unique(), on="site_code"
            ).group_by("time_zone")
        ]
    ).with_columns(weekday=pl.col("_local").dt.weekday(), half_hour_local=pl.col("_local").dt.time())
    return local.join(
        planned.drop("time_zone"), on=["site_code", "weekday", "half_hour_local"], how="left"
    ).with_columns(pl.col("position_count").fill_null(0))


# A planted shortage is reported


def short_of(site: str, weekday: int, clock: time, count: int) -> pl.DataFrame:
    at = (pl.col("site_code") == site) & (pl.col("weekday") == weekday) & (pl.col("half_hour_local") == clock)
    return positions().with_columns(position_count=pl.when(at).then(count).otherwise("position_count"))


def test_a_staff_shortage_refuses_the_wave_and_needs_approval_at_bootstrap() -> None:
    day = date(2012, 4, 25)
    short = short_of("RENNES", 1, time(10), 90)
    [refused] = capacity(proposal(day, table(day - ONE_DAY), planned=short))
    assert refused.effect == "refuse"
    assert refused.message.startswith("RENNES: Mon 10:00-10:30, load 1")
    assert "for 90 positions" in refused.message
    [asked] = capacity(proposal(day, None, planned=short))
    assert asked.effect == "approve" and "worst: RENNES Mon 10:00" in asked.message
    # LYON has the same calls before and after: a note.
    lyon = short_of("LYON", 2, time(18), 20)
    [reported] = capacity(proposal(day, table(day - ONE_DAY), planned=lyon))
    assert reported.effect == "note" and "LYON Tue 18:00" in reported.message


def test_no_call_goes_to_a_closed_site() -> None:
    """Calls of overseas evenings, in Paris after 20:00, came to 33 sites of the mainland."""
    asked = [half_hour for site in proposal(date(2012, 2, 29), None).loads for half_hour in site.half_hours]
    assert [half_hour for half_hour in asked if half_hour.calls > 0 and half_hour.positions == 0] == []


# The seed is what its script writes


@pytest.mark.soak
def test_the_positions_are_what_the_script_writes() -> None:
    script = runpy.run_path(str(PROJECT / "dbt_project" / "generate_site_positions.py"))
    written = [tuple(map(str, row)) for row in script["rows"](Geography.load())]
    assert seed("site_positions").rows() == written, (
        "sites, routes, hours or the plan changed: run dbt_project/generate_site_positions.py"
    )
