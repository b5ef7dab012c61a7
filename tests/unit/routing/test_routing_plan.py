"""The plan: rows that change, calls that move, and what the guards say; figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parc.routing import render_json, render_text
from parc.routing.judges.guards import frozen, going
from parc.routing.judges.volumes import calls_moved
from parc.routing.table.content import INSTANT, Content
from parc.routing.table.decision import decide
from parc.routing.table.desired import desired_state
from parc.routing.table.diff import diff
from parc.routing.table.lookups import with_band
from support.routing_plans import CALLS, LIVE, OWN, added, altered, demand, messages, plan_for, where
from support.routing_tables import EVE, GO_LIVE, frame, world


def moved(before: Content, after: Content, volumes: pl.DataFrame | None = None) -> float:
    volumes = demand() if volumes is None else volumes
    return calls_moved(before.frames, after.frames, diff(before, after), volumes, GO_LIVE).share


def change(content: Content, name: str, table: pl.DataFrame) -> Content:
    return Content.of({**content.frames, name: table})


def test_a_go_live_changes_exactly_the_zones_open_rows() -> None:
    plan = plan_for(world(), LIVE)
    assert {name: t.row_count for name, t in plan.diffs.items() if t.row_count} == {"routes": 8, "sites": 2}
    routes = plan.diffs["routes"]
    key = ["zone_code", "market", "band", "priority", "site_code", "weight"]
    assert set(routes.removed.select(key).iter_rows()) == {
        ("53", market, "open", 1, site, weight)
        for market in ("fixe", "internet")
        for site, weight in (("LYON", 60), ("LYON_2", 40))
    }
    assert set(routes.added.select(key).iter_rows()) == {
        ("53", market, "open", 1, site, weight)
        for market in ("fixe", "internet")
        for site, weight in (("RENNES", 60), ("RENNES_2", 40))
    }
    assert routes.changed.height == 0
    assert plan.going() == ([("53", "fixe"), ("53", "internet")], [])


def test_a_go_live_of_any_size_needs_approval() -> None:
    plan = plan_for(world(), LIVE)
    assert plan.moved is not None and plan.moved.share == pytest.approx(0.1)  # 100 of 1,000; 10 % is not over
    assert messages(plan) == "approve rule 5: go-live of 53 fixe, 53 internet"
    assert plan.verdict == "needs approval"


def test_an_unchanged_night_has_nothing_to_do() -> None:
    plan = plan_for(world(), LIVE, day=EVE)
    assert plan.is_empty and plan.verdict == "nothing to do" and not plan.rulings


def test_the_first_day_of_a_month_rolls_the_windows_without_approval() -> None:
    live = desired_state(world(), date(2012, 5, 31))
    plan = plan_for(world(), live, day=date(2012, 6, 1))
    assert plan.diffs["windows"].removed.height and plan.diffs["windows"].added.height
    assert plan.moved is not None and plan.moved.share == 0
    assert plan.verdict == "ready"


def test_calls_out_of_hours_do_not_move_with_the_open_route() -> None:
    night_and_day = demand(hours=(3, 10))
    assert moved(LIVE, desired_state(world(), GO_LIVE), night_and_day) == pytest.approx(0.05)


def test_a_weight_change_moves_its_share_and_an_overflow_change_none() -> None:
    routes = LIVE.frames["routes"]
    weight = pl.when(pl.col("site_code") == "LYON").then(50).when(pl.col("site_code") == "LYON_2").then(50)
    heavier = routes.with_columns(weight=weight.otherwise("weight"))
    # 60/40 -> 50/50 moves a tenth of the nationally routed calls: 950 of 1,000.
    assert moved(LIVE, change(LIVE, "routes", heavier)) == pytest.approx(0.095)
    overflow = routes.with_columns(
        site_code=pl.when(pl.col("priority") == 2).then(pl.lit("ST_DENIS_RE")).otherwise("site_code")
    )
    assert moved(LIVE, change(LIVE, "routes", overflow)) == 0


def test_a_site_that_changes_its_address_moves_its_calls() -> None:
    sites = LIVE.frames["sites"].with_columns(
        sip_address=pl.when(pl.col("site_code") == "ST_DENIS_RE")
        .then(pl.lit("sip:new@127.0.0.1"))
        .otherwise("sip_address")
    )
    assert moved(LIVE, change(LIVE, "sites", sites)) == pytest.approx(0.6 * 0.05)


def test_shorter_hours_move_the_calls_of_those_hours() -> None:
    windows = LIVE.frames["windows"].with_columns(
        closes_at=pl.when(pl.col("zone_code") == "04")
        .then(pl.col("closes_at") - timedelta(hours=4))
        .otherwise("closes_at")
    )
    after = change(LIVE, "windows", windows)
    assert moved(LIVE, after) == 0  # 10:00 stays open
    evening = demand(hours=(15,))
    assert moved(LIVE, after, evening) == pytest.approx(0.05)


def later(content: Content, hours: dict[str, int]) -> Content:
    """The table with windows that lie some hours later, by zone."""
    shift = pl.duration(hours=pl.col("zone_code").replace_strict(hours, default=0, return_dtype=pl.Int64))
    windows = content.frames["windows"].with_columns(pl.col("opens_at", "closes_at") + shift)
    return change(content, "windows", windows)


def test_the_national_route_keeps_the_hours_of_its_sites() -> None:
    """53 is open until 22:00 UTC, the nation until 18:00: its evening is the partners' until it goes live."""
    live, own = later(LIVE, {"53": 4}), later(OWN, {"53": 4})
    evening = demand({"53": 100}, hours=(20,), days=20)
    bands = [
        with_band(evening, "zone_code", content.frames, "band")["band"].unique() for content in (live, own)
    ]
    assert [band.to_list() for band in bands] == [["closed"], ["open"]]
    assert moved(live, own, evening) == 1
    # Before 10:00 it is closed, even if other sites are open.
    morning = demand({"53": 100}, hours=(9,), days=20)
    assert with_band(morning, "zone_code", live.frames, "band")["band"].unique().to_list() == ["closed"]
    assert moved(live, own, morning) == 0


CALLERS = {"53": "0299445566", "52": "0240445566", "04": "0262445566", "*": "anonymous"}


@given(
    st.fixed_dictionaries({zone: st.integers(-11, 11) for zone in CALLERS}), st.integers(0, 23), st.booleans()
)
@settings(max_examples=50)
def test_calls_are_counted_in_the_band_that_explain_reports(
    hours: dict[str, int], hour: int, is_released: bool
) -> None:
    content = later(OWN if is_released else LIVE, hours)
    at = datetime(2012, 5, 2, hour, tzinfo=UTC)
    calls = pl.DataFrame(
        {"half_hour_at": [at] * 4, "zone_code": list(CALLERS), "market": ["fixe"] * 4},
        schema_overrides={"half_hour_at": INSTANT},
    )
    reckoned = with_band(calls, "zone_code", content.frames, "band").select("zone_code", "band")
    reported = {zone: decide(content, "", number, "3901", at).band for zone, number in CALLERS.items()}
    assert dict(reckoned.iter_rows()) == reported


def test_a_prefix_that_changes_zone_moves_its_share_of_the_zones_numbers() -> None:
    own = desired_state(world(), GO_LIVE)
    prefixes = own.frames["prefixes"].with_columns(
        zone_code=pl.when(pl.col("prefix") == "029912").then(pl.lit("52")).otherwise("zone_code")
    )
    # One of the 100 blocks of 0299; 53 has one exception more: 2,000 of 200,001 lines of 100 in 1,000 calls.
    assert moved(own, change(own, "prefixes", prefixes)) == pytest.approx(0.1 * 2000 / 200_001)
    # While both zones are on the national route, the same change moves no caller.
    assert moved(LIVE, change(LIVE, "prefixes", prefixes)) == 0


def test_a_new_prefix_with_the_same_zone_moves_nobody() -> None:
    own = desired_state(world(), GO_LIVE)
    more = pl.concat([own.frames["prefixes"], pl.DataFrame({"prefix": ["029999"], "zone_code": ["53"]})])
    assert moved(own, change(own, "prefixes", more)) == 0


def test_exceptions_move_one_line_each() -> None:
    own = desired_state(world(), GO_LIVE)
    table = own.frames["exceptions"]
    without = table.filter(pl.col("number") != "+33299120001")  # 52 -> what its prefix says: 53
    lines_of_52 = 100 * 2000 + 1
    assert moved(own, change(own, "exceptions", without)) == pytest.approx(0.2 / lines_of_52)
    # An exception comes: a line of block 029912 leaves 53, which had 100 blocks and one exception.
    more = pl.concat([table, pl.DataFrame({"number": ["+33299120002"], "zone_code": ["52"]})])
    assert moved(own, change(own, "exceptions", more)) == pytest.approx(0.1 / (100 * 2000 + 1))


def test_a_removed_dialled_number_moves_its_calls() -> None:
    services = LIVE.frames["services"]
    assert moved(LIVE, change(LIVE, "services", services.filter(pl.col("market") != "fixe"))) == 1
    two = change(
        LIVE,
        "services",
        pl.concat([services, services.with_columns(dialled_number=pl.lit("3909") + pl.col("market"))]),
    )
    assert moved(two, LIVE) == pytest.approx(0.5)


def test_without_volumes_zones_weigh_the_same_and_approval_is_needed() -> None:
    plan = plan_for(world(), LIVE, volumes=demand(days=0))
    # 53 is one zone of four, and open for 12 of 24 hours.
    assert plan.moved is not None and plan.moved.share == pytest.approx(0.25 * 0.5)
    assert "no recent volumes are known" in messages(plan)


def test_moving_10_percent_needs_approval_and_50_percent_is_refused() -> None:
    busy = plan_for(world(), LIVE, volumes=demand({**CALLS, "53": 800}))
    assert "approve rule 4: 47.1% of calls would move (limit 10%)" in messages(busy)
    most = plan_for(world(), LIVE, volumes=demand({**CALLS, "53": 1000}))
    assert "refuse rule 4: 52.6% of calls would move; more than 50% is refused" in messages(most)
    assert most.verdict == "refused"


def test_the_share_of_rows_applies_to_small_tables() -> None:
    inputs = world()
    sites = inputs.sites.with_columns(
        sip_address=pl.when(pl.col("site_code").is_in(["ST_DENIS_RE", "ST_DENIS_RE_2"]))
        .then(pl.lit("sip:new@127.0.0.1"))
        .otherwise("sip_address")
    )
    plan = plan_for(replace(inputs, sites=sites), LIVE, day=EVE)
    assert plan.diffs["sites"].changed.height == 2
    assert "approve rule 4: 40.0% of the 5 rows of sites would be changed or removed (limit 30%)" in messages(
        plan
    )


def test_an_empty_switch_is_a_bootstrap() -> None:
    plan = plan_for(world(), None)
    assert "approve rule 4: the switch is empty" in messages(plan)
    assert plan.diffs["routes"].added.height == plan.desired.frames["routes"].height
    assert plan_for(world(), None, bootstrap=True).verdict == "ready"


@pytest.mark.parametrize(
    "name",
    ["services", "prefixes", "department_zones", "windows", "routes", "rollout", "sites", "line_assignments"],
)
def test_an_empty_input_is_refused(name: str) -> None:
    inputs = world()
    plan = plan_for(replace(inputs, **{name: getattr(inputs, name).clear()}), LIVE)
    assert f"refuse rule 3: the input {name} is empty" in messages(plan)
    assert plan.verdict == "refused"


INVALID = {
    "every exception gone": (
        lambda w: altered(w, "line_assignments", valid_to=pl.lit(date(2012, 4, 20))),
        "the table exceptions is empty",
    ),
    "unknown site": (
        lambda w: added(w, "routes", ("53", "*", "open", 1, "RENES", 1)),
        "routes: site RENES is not a known site",
    ),
    "no open site": (
        lambda w: altered(w, "sites", valid_to=pl.when(pl.col("site_code") == "TUNIS").then(pl.lit(EVE))),
        "routes: * fixe closed resolves to no open site",
    ),
    "live without a route": (
        lambda w: replace(w, routes=w.routes.filter(pl.col("route_code") != "53")),
        "routes: 53 fixe closed resolves to no open site",
    ),
    "weight": (
        lambda w: altered(w, "routes", weight=where("site_code", "RENNES", 0, "weight").cast(pl.Int32)),
        "routes: 53 fixe open gives RENNES the weight 0; it must be > 0",
    ),
    "prefix twice": (
        lambda w: added(w, "prefixes", (date(2012, 4, 1), "0299", "52")),
        "prefixes: 1 row repeats a prefix (first: 0299)",
    ),
    "number twice": (
        lambda w: replace(w, line_assignments=pl.concat([w.line_assignments, w.line_assignments.head(1)])),
        "exceptions: 1 row repeats a number",
    ),
    "leading zero lost": (
        lambda w: altered(w, "prefixes", prefix=where("prefix", "0240", "240", "prefix")),
        "prefixes: 1 are not 4-6 digits beginning with 0 (first: 240)",
    ),
    "national number": (
        lambda w: altered(
            w, "line_assignments", number=where("number", "+33299120001", "0299120001", "number")
        ),
        "exceptions: 1 number is not in E.164 form",
    ),
    "no address": (
        lambda w: altered(w, "sites", sip_address=where("site_code", "LYON", "lyon", "sip_address")),
        "sites: LYON has no SIP address",
    ),
    "no market": (
        lambda w: altered(w, "services", market=pl.when(pl.col("market") != "fixe").then("market")),
        "services: column market is empty in 1 row",
    ),
    "unknown zone": (
        lambda w: altered(w, "prefixes", zone_code=where("prefix", "0240", "25", "zone_code")),
        "routes: 25 fixe closed resolves to no open site",
    ),
    "plan names no zone": (
        lambda w: altered(w, "rollout", zone_code=where("zone_code", "53", "35", "zone_code")),
        "rollout: 35 fixe is live by the plan, but there is no such zone or market",
    ),
    "plan names no market": (
        lambda w: altered(w, "rollout", market=where("market", "fixe", "Fixe", "market")),
        "rollout: 04 Fixe is live by the plan, but there is no such zone or market",
    ),
    "a zone without windows": (
        lambda w: replace(w, windows=w.windows.filter(pl.col("zone_code") != "53")),
        "windows: 53 has none for 98 days from 2012-04-25 (horizon: 2012-08-01)",
    ),
    "windows end before the horizon": (
        lambda w: replace(w, windows=w.windows.filter(pl.col("local_date") < date(2012, 7, 1))),
        "windows: * has none for 31 days from 2012-06-30 (horizon: 2012-08-01)",
    ),
    "windows overlap": (
        lambda w: altered(w, "windows", closes_at=pl.col("closes_at") + timedelta(hours=13)),
        "windows: 484 close before they open or overlap",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_unfit_table_is_refused_by_name(case: str) -> None:
    spoil, message = INVALID[case]
    plan = plan_for(spoil(world()), LIVE)
    assert f"refuse rule 3: {message}" in messages(plan)
    assert "+33" not in render_text(plan)


def test_always_approved_changes_are_named() -> None:
    inputs = world()
    withdrawn = altered(
        inputs, "rollout", withdrawn_on=pl.when(pl.col("zone_code") == "04").then(pl.lit(EVE))
    )
    text = messages(plan_for(withdrawn, LIVE, day=EVE))
    assert "approve rule 5: back to the national route: 04 fixe, 04 internet" in text
    assert "approve rule 5: overseas routing changes: 04" in text

    national = altered(inputs, "routes", weight=where("site_code", "LYON", 61, "weight").cast(pl.Int32))
    assert messages(plan_for(national, LIVE, day=EVE)) == "approve rule 5: the national default changes"

    by_hand = (pl.col("zone_code") == "*") & (pl.col("site_code") == "LYON")
    weight = pl.when(by_hand).then(pl.lit(61, pl.Int32)).otherwise("weight")
    drifted = change(LIVE, "routes", LIVE.frames["routes"].with_columns(weight=weight))
    for was, will in ((drifted, LIVE), (LIVE, drifted)):  # the zones' own rows stay as they are
        assert will.frames["routes"].filter(pl.col("zone_code") != "*").height
        assert going(was.frames, will.frames) == ([], [])
    assert messages(plan_for(inputs, drifted, day=EVE)) == "approve rule 5: the national default changes"

    off_hours = pl.col("route_code").eq("04") & pl.col("band").eq("closed")
    partner = altered(
        inputs, "routes", site_code=pl.when(off_hours).then(pl.lit("LYON")).otherwise("site_code")
    )
    assert "approve rule 5: the off-hours partners change for 04" in messages(
        plan_for(partner, LIVE, day=EVE)
    )

    earlier = pl.when(pl.col("zone_code") == "*").then(pl.col("closes_at") - timedelta(hours=1))
    hours = altered(inputs, "windows", closes_at=earlier.otherwise("closes_at"))
    assert "approve rule 5: the national default changes" in messages(plan_for(hours, LIVE, day=EVE))

    overseas = altered(inputs, "prefixes", zone_code=where("prefix", "0262", "52", "zone_code"))
    assert "approve rule 5: overseas routing changes: 04" in messages(plan_for(overseas, LIVE, day=EVE))


def test_an_ordinary_change_needs_no_approval() -> None:
    inputs = altered(world(), "prefixes", zone_code=where("prefix", "029912", "52", "zone_code"))
    plan = plan_for(inputs, LIVE, day=EVE)
    assert plan.verdict == "ready" and not plan.rulings


def test_the_plan_hash_binds_content_and_live_base() -> None:
    plan = plan_for(world(), LIVE)
    assert plan.plan_hash == plan_for(world(), LIVE).plan_hash
    assert plan.plan_hash != replace(plan, base_version="00000002-aaaa").plan_hash
    assert plan.plan_hash != replace(plan, base_digest="0").plan_hash
    assert plan.plan_hash != replace(plan, base_fence=2).plan_hash
    assert plan.plan_hash != plan_for(world(), LIVE, day=EVE).plan_hash
    assert plan.plan_hash == replace(plan, business_date=date(2012, 4, 26)).plan_hash


def test_the_plan_reads_like_a_change() -> None:
    plan = plan_for(world(), LIVE)
    text = render_text(plan)
    for line in (
        "Routing plan for 2012-04-25 (business date 2012-04-24)",
        "  open: fixe, internet of zone 53\n    - LYON 60, LYON_2 40 | TUNIS 100\n"
        "    + RENNES 60, RENNES_2 40 | TUNIS 100",
        "Calls moved: 10.00% (volumes of 2012-03-28 to 2012-04-24)",
        "  + RENNES: sip:rennes@127.0.0.1",
        plan.plan_hash,
    ):
        assert line in text
    reported = render_json(plan)
    assert reported["going_live"] == [["53", "fixe"], ["53", "internet"]]
    assert reported["rows"]["routes"] == {"added": 4, "removed": 4, "changed": 0, "share": 4 / 32}
    assert len(reported["changes"]["routes"]) == 8


def test_exceptions_are_reported_by_zone_never_by_number() -> None:
    inputs = world()
    more = frame("line_assignments", ("+33299120009", "35", EVE, None), ("+33299120008", "35", EVE, None))
    plan = plan_for(
        replace(inputs, line_assignments=pl.concat([inputs.line_assignments, more])), LIVE, day=EVE
    )
    assert "added - -> 53: 2" in render_text(plan)
    assert render_json(plan)["changes"]["exceptions"] == [
        {"change": "added", "before": None, "after": "53", "rows": 2}
    ]
    assert "29912000" not in render_text(plan) + str(render_json(plan))


def test_a_freeze_counts_now_and_on_the_effective_date() -> None:
    freezes = pl.DataFrame(
        {
            "starts_at": [datetime(2012, 12, 21, 17, tzinfo=UTC)],
            "ends_at": [datetime(2013, 1, 2, 7, tzinfo=UTC)],
            "reason": ["year end"],
        }
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert frozen(freezes, now, date(2012, 12, 21)) == []
    expected = ["freeze from 2012-12-21 18:00 Paris to 2013-01-02 08:00 Paris: year end"]
    assert frozen(freezes, now, date(2012, 12, 22)) == expected
    assert frozen(freezes, now, date(2013, 1, 2)) == expected
    assert frozen(freezes, now, date(2013, 1, 3)) == []
    assert frozen(freezes, datetime(2012, 12, 25, tzinfo=UTC), date(2012, 4, 25)) == expected


prefixes = st.dictionaries(
    st.from_regex(r"0[1-9][0-9]{2,4}", fullmatch=True),
    st.sampled_from(["53", "52", "04", "*"]),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60)
@given(prefixes, prefixes)
def test_applying_the_diff_gives_the_desired_table(one: dict[str, str], other: dict[str, str]) -> None:
    before, after = (
        change(OWN, "prefixes", pl.DataFrame({"prefix": list(rows), "zone_code": list(rows.values())}))
        for rows in (one, other)
    )
    table = diff(before, after)["prefixes"]
    patched = dict(one)
    for what, key, old, new in table.rows():
        prefix = str(key["prefix"])
        assert (old is None) == (what == "added") and (new is None) == (what == "removed")
        assert old is None or patched[prefix] == old["zone_code"]
        if new is None:
            del patched[prefix]
        else:
            patched[prefix] = str(new["zone_code"])
    assert patched == other
    assert table.row_count == sum(one.get(p) != other.get(p) for p in one.keys() | other.keys())
    assert 0 <= moved(before, after) <= 1 + 1e-9
    assert moved(before, before) == 0
