"""Erlang C against figures worked out in fractions, and the gate: what a release may not do to a site."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import factorial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parc.routing import render_json, render_markdown, render_text, subject
from parc.routing.judges.capacity import (
    HALF_HOUR_SECONDS,
    occupancy,
    positions_required,
    service_level,
    staffed,
    wait_probability,
)
from parc.routing.judges.load import HalfHour, in_ranges
from parc.routing.judges.usual_week import usual_week
from parc.routing.plans.plan import Plan
from parc.routing.table.content import Content
from parc.routing.table.desired import desired_state
from parc.routing.table.inputs import CLOCKS, DEMAND, POSITIONS, Inputs
from support.routing_plans import (
    CALLS,
    LIVE,
    OWN,
    added,
    altered,
    context_of,
    demand,
    messages,
    plan_for,
    where,
)
from support.routing_tables import EVE, GO_LIVE, world

GOLDEN = Path(__file__).parents[2] / "golden" / "erlang_c.csv"
NOON = time(10)  # of the zones' clock, which is UTC in most of these tests
Cell = tuple[str, int, time]
LOADS = st.floats(0.01, 400)


# Erlang C


@pytest.mark.parametrize("row", csv.DictReader(GOLDEN.read_text().splitlines()), ids=lambda row: row["case"])
def test_figures_worked_out_in_fractions(row: dict[str, str]) -> None:
    positions, handle_seconds = int(row["positions"]), float(row["handle_seconds"])
    load = float(row["calls"]) * handle_seconds / HALF_HOUR_SECONDS
    assert wait_probability(load, positions) == pytest.approx(float(row["wait_probability"]), abs=1e-11)
    level = service_level(load, positions, handle_seconds, float(row["within_seconds"]))
    assert level == pytest.approx(float(row["service_level"]), abs=1e-11)
    assert occupancy(load, positions) == pytest.approx(float(row["occupancy"]), abs=1e-11)


def test_positions_of_the_design() -> None:
    """80 % in 20 s at an occupancy of at most 85 %, with 30 % of the staff elsewhere."""
    needed = positions_required(10, 180, target=0.80, within_seconds=20, max_occupancy=0.85)
    assert (needed, staffed(needed, 0.30)) == (14, 20)
    assert round(service_level(10, 13, 180, 20), 3) == 0.796
    # 240 erlangs wait so little that the agents' rest decides: 240 / 0.85 = 282.4.
    assert positions_required(240, 400, target=0.80, within_seconds=20, max_occupancy=0.85) == 283
    assert positions_required(0, 180, target=0.80, within_seconds=20, max_occupancy=0.85) == 0


@given(load=LOADS, positions=st.integers(1, 600))
def test_more_positions_never_lengthen_waits(load: float, positions: int) -> None:
    fewer, more = wait_probability(load, positions), wait_probability(load, positions + 1)
    assert 0 <= more <= fewer <= 1
    assert (fewer == 1) == (load >= positions) or fewer == pytest.approx(1)
    levels = [service_level(load, count, 300, 20) for count in (positions, positions + 1)]
    assert 0 <= levels[0] <= levels[1] <= 1


@given(load=st.fractions(Fraction(1, 10), 30, max_denominator=50), positions=st.integers(1, 40))
def test_the_erlang_recursion_equals_the_sum(load: Fraction, positions: int) -> None:
    if load >= positions:
        return
    waiting = load**positions / factorial(positions) * positions / (positions - load)
    exact = waiting / (sum(load**n / factorial(n) for n in range(positions)) + waiting)
    assert wait_probability(float(load), positions) == pytest.approx(float(exact), rel=1e-9)


@given(load=LOADS)
def test_required_positions_are_minimal(load: float) -> None:
    def is_enough(positions: int) -> bool:
        return occupancy(load, positions) <= 0.85 and service_level(load, positions, 300, 20) >= 0.80

    needed = positions_required(load, 300, target=0.80, within_seconds=20, max_occupancy=0.85)
    assert is_enough(needed) and not is_enough(needed - 1)


# The gate: RENNES has 60 and RENNES_2 40 calls of 180 s at 10:00 once Bretagne is live, 6 and 4 erlangs.


def positions(changes: dict[Cell, int], time_zones: dict[str, str] | None = None) -> pl.DataFrame:
    """Positions in plenty everywhere but in the cells (site, ISO weekday, half-hour) named."""
    table = context_of().positions
    rows = [
        (
            site,
            (time_zones or {}).get(site, zone),
            weekday,
            half_hour,
            changes.get((site, weekday, half_hour), count),
        )
        for site, zone, weekday, half_hour, count in table.iter_rows()
    ]
    return pl.DataFrame(rows, schema=dict(POSITIONS[1]), orient="row")


def every_day(site: str, count: int, half_hour: time = NOON) -> dict[Cell, int]:
    return {(site, weekday, half_hour): count for weekday in range(1, 8)}


def volumes(*rows: tuple[date, int, str, str, int]) -> pl.DataFrame:
    """(business date, UTC hour, zone, market, calls of 180 s) as demand."""
    return pl.DataFrame(
        [
            (datetime.combine(day, time(hour), UTC), day, zone, market, calls, calls * 180)
            for day, hour, zone, market, calls in rows
        ],
        schema=dict(DEMAND[1]),
        orient="row",
    )


def days(until: date = EVE, count: int = 28) -> list[date]:
    return [until - timedelta(days=back) for back in range(count)]


def gate(
    changes: dict[Cell, int],
    *,
    inputs: Inputs | None = None,
    live: Content | None = LIVE,
    calls: pl.DataFrame | None = None,
    day: date = GO_LIVE,
) -> Plan:
    context = context_of(calls, positions(changes))
    return plan_for(inputs or world(), live, day=day, context=context)


def rule_6(plan: Plan) -> list[str]:
    return [f"{f.effect} {f.message}" for f in plan.rulings if f.rule == 6]


def calls_at(plan: Plan, site: str) -> dict[tuple[int, time], float]:
    [load] = [load for load in plan.loads if load.site_code == site]
    return {(h.weekday, h.starts_at): round(h.calls, 6) for h in load.half_hours}


def test_a_release_that_overloads_a_site_is_refused_with_the_half_hours() -> None:
    plan = gate({("RENNES", 1, NOON): 6, ("RENNES", 2, NOON): 6, ("RENNES", 4, NOON): 5})
    assert rule_6(plan) == [
        "refuse RENNES: Mon-Tue 10:00-10:30; Thu 10:00-10:30, load 6.0 erlangs for 5 positions at worst "
        "(Thu 10:00) (9 needed): raise site_positions, shift weights in route_sites, or postpone the wave in "
        "rollout_plan"
    ]
    assert plan.verdict == "refused"


def test_one_position_more_than_the_load_passes() -> None:
    plan = gate(every_day("RENNES", 7))
    assert rule_6(plan) == [] and plan.verdict == "needs approval"


def test_a_half_hour_without_positions_takes_no_calls() -> None:
    table = positions({}).filter((pl.col("site_code") != "RENNES") | (pl.col("half_hour_local") != NOON))
    plan = plan_for(world(), LIVE, context=context_of(positions=table))
    [refused] = rule_6(plan)
    assert refused.startswith("refuse RENNES: Mon-Sun 10:00-10:30, load 6.0 erlangs for 0 positions at worst")


def test_a_site_already_overloaded_and_no_worse_is_reported() -> None:
    """LYON has 57 erlangs on the switch and 51 after the go-live."""
    plan = gate({("LYON", 3, NOON): 50})
    assert rule_6(plan) == [
        "note LYON has too few positions for calls that the table on the switch already sends; worst: "
        "LYON Wed 10:00, load 51.0 erlangs for 50 positions"
    ]
    assert plan.verdict == "needs approval"
    assert "Notes\n  - rule 6: LYON" in render_text(plan)
    assert render_json(plan)["notes"] == [f"rule 6: {rule_6(plan)[0].removeprefix('note ')}"]


def test_an_overloaded_site_may_not_get_worse() -> None:
    own = altered(world(), "routes", site_code=where("site_code", "RENNES", "LYON", "site_code"))
    [refused] = rule_6(gate({("LYON", 3, NOON): 50}, inputs=own, live=OWN))
    assert refused.startswith("refuse LYON: Wed 10:00-10:30, load 57.0 erlangs for 50 positions (68 needed)")


def test_a_ported_number_does_not_block_a_night_at_a_full_site() -> None:
    """One line of 200,000 of 52 changes to 53: a thousandth of a call more at a site that is full already."""
    more = added(world(), "line_assignments", ("+33240120001", "35", date(2012, 4, 1), None))
    plan = gate(every_day("RENNES", 6), inputs=more, live=OWN)
    assert [line.split()[0] for line in rule_6(plan)] == ["note"]


def test_an_unchanged_night_predicts_nothing() -> None:
    plan = gate(every_day("LYON", 1), day=EVE)
    assert plan.loads == [] and plan.verdict == "nothing to do"


def test_a_site_without_any_row_cannot_be_judged() -> None:
    table = positions({}).filter(~pl.col("site_code").is_in(["RENNES_2", "LYON", "TUNIS"]))
    plan = plan_for(world(), LIVE, context=context_of(positions=table))
    assert rule_6(plan) == [
        "approve RENNES_2 has no row in site_positions, so it is unknown whether it can take 280 more "
        "calls a week"
    ]


def test_an_empty_switch_waits_for_a_person_where_sites_are_full() -> None:
    """Nothing tells what is so already, and refusing would leave every call at the switch's own address."""
    full = positions({("LYON", 3, NOON): 50, ("ST_DENIS_RE", 3, NOON): 3})
    plan = plan_for(world(), None, bootstrap=True, context=context_of(positions=full))
    assert rule_6(plan) == [
        "approve 2 sites have too few positions for the calls that the first table brings; worst: "
        "LYON Wed 10:00, load 51.0 erlangs for 50 positions"
    ]


def test_without_volumes_a_person_is_asked() -> None:
    plan = gate(every_day("RENNES", 1), calls=demand(days=0))
    assert rule_6(plan) == [] and plan.loads == []
    assert "it is unknown whether the sites have enough positions (rule 6)" in messages(plan)


def test_the_hours_outside_the_windows_are_the_partners_load() -> None:
    night = [(day, 3, zone, "fixe", calls) for day in days() for zone, calls in CALLS.items()]
    plan = gate({}, calls=volumes(*night))
    assert set(calls_at(plan, "TUNIS").values()) == {1000}
    assert [load.site_code for load in plan.loads] == ["TUNIS"]


def test_markets_share_a_site_or_have_their_own() -> None:
    both = [(day, 10, "53", market, 100) for day in days() for market in ("fixe", "internet")]
    calls = volumes(*both, *((day, 10, "*", "fixe", 1000) for day in days()))
    assert calls_at(gate({}, calls=calls), "RENNES")[1, NOON] == 120
    apart = added(world(), "routes", ("53", "internet", "open", 1, "NANTES", 100))
    plan = gate({}, inputs=apart, calls=calls)
    assert calls_at(plan, "RENNES")[1, NOON] == 60 and calls_at(plan, "NANTES")[1, NOON] == 100


def test_a_moved_prefix_moves_its_share_of_the_calls() -> None:
    """Half of the blocks of 52 (0240) go to 53: half of its 200 calls come to Bretagne's sites."""
    halves = [(date(2012, 4, 1), f"0240{digit}", "53") for digit in range(5)]
    plan = gate({}, inputs=added(world(), "prefixes", *halves), live=OWN)
    lines_of_52 = 100 * 2000 + 1
    expected = (100 + 200 * (49 * 2000) / lines_of_52) * 0.6  # 024012 is listed, and stays
    assert calls_at(plan, "RENNES")[1, NOON] == pytest.approx(expected)


# What is usual


def closed_on(inputs: Inputs, *holidays: date) -> Inputs:
    return replace(inputs, windows=inputs.windows.filter(~pl.col("local_date").is_in(holidays)))


def test_holiday_calls_do_not_count_for_working_days() -> None:
    easter = date(2012, 4, 9)
    quiet = demand().with_columns(
        pl.when(pl.col("business_date") == easter)
        .then(1)
        .otherwise(pl.col("offered_count"))
        .alias("offered_count")
    )
    plan = gate({}, inputs=closed_on(world(), easter), calls=quiet)
    assert set(calls_at(plan, "RENNES").values()) == {60}
    # Where the zone is open on that day, the day counts.
    assert calls_at(gate({}, calls=quiet), "RENNES")[1, NOON] == pytest.approx((3 * 60 + 0.6) / 4)


def test_the_next_like_day_replaces_a_coming_holiday() -> None:
    """1 and 8 May 2012 are Tuesdays: the first one after the go-live on which the sites work is the 15th."""
    inputs = closed_on(world(), date(2012, 5, 1), date(2012, 5, 8))
    plan = plan_for(inputs, desired_state(inputs, EVE), context=context_of())
    assert calls_at(plan, "RENNES") == {(weekday, NOON): 60 for weekday in range(1, 8)}


def test_weeks_without_volumes_do_not_count_as_quiet_ones() -> None:
    some = demand().filter(pl.col("business_date") >= date(2012, 4, 17))
    missing = some.filter(pl.col("business_date") != date(2012, 4, 19))
    assert calls_at(gate({}, calls=some), "RENNES")[4, NOON] == 60
    assert (4, NOON) not in calls_at(gate({}, calls=missing), "RENNES")  # no Thursday is known


def test_half_hours_without_calls_count_as_quiet_ones() -> None:
    rare = pl.concat([demand(), volumes((date(2012, 4, 23), 15, "53", "fixe", 8))])
    assert calls_at(gate({}, calls=rare), "RENNES")[1, time(15)] == pytest.approx(0.6 * 8 / 4)


def test_an_incomplete_newest_date_does_not_count() -> None:
    newest = pl.col("business_date") == EVE
    thin = demand().with_columns(
        (pl.col("offered_count") * pl.when(newest).then(6).otherwise(10)).alias("offered_count")
    )
    assert calls_at(gate({}, calls=thin), "RENNES")[2, NOON] == 600
    fair = demand().with_columns(
        (pl.col("offered_count") * pl.when(newest).then(8).otherwise(10)).alias("offered_count")
    )
    assert calls_at(gate({}, calls=fair), "RENNES")[2, NOON] == pytest.approx((3 * 600 + 480) / 4)


def test_the_time_after_the_last_call_is_left_out() -> None:
    whole = pl.concat([demand({"53": 100, "*": 900}), demand({"53": 10, "*": 90}, hours=(15,))])
    cut = whole.filter((pl.col("business_date") < EVE) | (pl.col("half_hour_at").dt.hour() < 12))
    assert calls_at(gate({}, calls=cut), "RENNES")[2, time(15)] == 6


# Clocks


def test_an_overseas_site_uses_its_own_time_zone() -> None:
    """10:00 UTC is 14:00 in La Réunion; positions are planned and named by that clock."""
    clocks = {"53": "Europe/Paris", "52": "Europe/Paris", "04": "Indian/Reunion", "*": "Europe/Paris"}
    afternoon = every_day("ST_DENIS_RE", 2, time(14))
    table = positions(afternoon, {"ST_DENIS_RE": "Indian/Reunion"})
    heavier = altered(
        world(), "routes", weight=where("site_code", "ST_DENIS_RE", 90, "weight").cast(pl.Int32)
    )
    plan = plan_for(heavier, LIVE, day=EVE, context=context_of(positions=table, clocks=clocks))
    [refused] = rule_6(plan)
    assert refused.startswith(
        "refuse ST_DENIS_RE: Mon-Sun 14:00-14:30, load 3.5 erlangs for 2 positions at worst (Mon 14:00)"
    )


def test_volumes_keep_their_local_time_when_the_clock_changes() -> None:
    """Calls of 12:00 in summer time are calls of 12:00 in winter time, an hour later in UTC."""
    calls = volumes(*((day, 10, "53", "fixe", 100) for day in days(date(2012, 10, 26))))
    clock = pl.DataFrame([("53", "Europe/Paris")], schema=dict(CLOCKS[1]), orient="row")
    week = usual_week(calls, clock, world().windows, date(2012, 10, 26)).sort("half_hour_at")
    assert week["half_hour_at"].dt.hour().to_list() == [10, 10, 11, 11, 11, 11, 11]
    assert week["half_hour_at"][0] == datetime(2012, 10, 26, 10, tzinfo=UTC)
    assert set(week["calls"]) == {100}


# Words


def half_hours(*cells: tuple[int, str]) -> Iterable[HalfHour]:
    return [
        HalfHour("RENNES", weekday, time.fromisoformat(start), 1, 0, 1, 0, 180, 0, 1)
        for weekday, start in cells
    ]


def test_half_hours_are_shown_as_ranges() -> None:
    week = [(weekday, start) for weekday in (1, 2, 3) for start in ("09:00", "09:30", "14:00")]
    assert in_ranges(half_hours(*week, (5, "23:30"), (7, "00:00"))) == (
        "Mon-Wed 09:00-10:00, 14:00-14:30; Fri 23:30-24:00; Sun 00:00-00:30"
    )


def test_the_plan_shows_the_load_before_and_after() -> None:
    plan = gate({("RENNES", 3, NOON): 8})
    assert "RENNES    Wed 10:00  0 -> 60     0.0 -> 6.0    8          0% -> 75%" in render_text(plan)
    [reported] = [site for site in render_json(plan)["site_loads"] if site["site_code"] == "RENNES"]
    assert (reported["weekday"], reported["half_hour_local"], reported["position_count"]) == (3, "10:00", 8)
    assert reported["load_erlangs_before"] == 0 and reported["load_erlangs"] == pytest.approx(6)
    assert reported["service_level_20s"] == pytest.approx(service_level(6, 8, 180, 20))
    # Who has the same calls as before is in the figures, and not in the words.
    assert "ST_DENIS_RE" in {site["site_code"] for site in render_json(plan)["site_loads"]}
    assert "2 sites keep the calls they have" in render_text(plan)


def test_the_approval_form() -> None:
    plan = gate({("RENNES", 3, NOON): 8, ("LYON", 3, NOON): 50})
    form = render_markdown(plan)
    for line in (
        "Go-live of 53 fixe, internet on 2012-04-25: 10.0% of calls move (version 00000001-aaaa is live).",
        "- rule 5: go-live of 53 fixe, 53 internet",
        "### Notes\n\n- rule 6: LYON has too few positions for calls that the table",
        "| goes live | 53 fixe, internet | open | national route (2 sites) "
        "| RENNES 60, RENNES_2 40; overflow TUNIS 100 |",
        "| 53 | fixe | 2,800 | 2,800 | 100.0% |",
        "| RENNES | Wed 10:00 | 0 -> 60 | 0.0 -> 6.0 | 8 | 0% -> 75% | 100% -> 71% |",
        "| routes | 32 | 4 | 4 | 0 |",
        "**Reject**, or no answer: the switch keeps the table it has",
        f"`parc routing apply --date 2012-04-24 --approve {plan.plan_hash}`",
    ):
        assert line in form
    assert subject(plan) == "Go-live of 53 fixe, internet on 2012-04-25: 10.0% of calls move"


def test_subjects_of_other_releases() -> None:
    withdrawn = altered(
        world(), "rollout", withdrawn_on=pl.when(pl.col("zone_code") == "04").then(pl.lit(EVE))
    )
    assert subject(gate({}, inputs=withdrawn, day=EVE)) == (
        "Return to the national route of 04 fixe, internet on 2012-04-24: 5.0% of calls move"
    )
    moved = altered(world(), "prefixes", zone_code=where("prefix", "029912", "52", "zone_code"))
    assert subject(gate({}, inputs=moved, day=EVE)) == "Routing change on 2012-04-24: 0.0% of calls move"
    assert subject(gate({}, live=None)) == "First routing table on 2012-04-25"


def test_no_number_is_in_the_form() -> None:
    more = added(world(), "line_assignments", ("+33299120009", "35", EVE, None))
    form = render_markdown(gate({}, inputs=more, day=EVE))
    assert "| exceptions | 3 | 1 | 0 | 0 |" in form and "29912" not in form
