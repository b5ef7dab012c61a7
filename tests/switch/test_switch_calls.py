"""Releases on a real Kamailio, and real calls through it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parc import privacy, routing
from parc.errors import RoutingRefused
from parc.loading.pseudonyms import COPY
from parc.routing.switches import Question, local, open_switch
from parc.routing.switches.binrpc import Rpc
from parc.settings import Settings
from support.routing_world import EVE, QUIET, go_live, marts, rows
from support.sites import AT_NIGHT, CALLER, IN_HOURS, Sites, place_calls, route_of, start_calls


def test_a_rollback_undoes_the_go_live_of_a_zone(live: Settings) -> None:
    before = route_of(live, "+33299445566")
    assert (before.zone_code, before.by, before.band) == ("53", "prefix", "open")
    assert {site for _, site, _ in before.sites} == {"LYON", "LYON_2", "TUNIS"}
    released = go_live(live)
    after = route_of(live, "+33299445566")
    assert (after.version, after.slot) == (released.version, "b" if before.slot == "a" else "a")
    assert after.sites == ((1, "RENNES", 60), (1, "RENNES_2", 40), (2, "TUNIS", 100))
    assert {site for _, site, _ in route_of(live, "+33299445566", AT_NIGHT).sites} == {"TUNIS"}
    assert routing.verify(live).problems == []
    routing.rollback(live, requested_by="Anne", reason="a test")
    assert route_of(live, "+33299445566").sites == before.sites
    assert routing.verify(live).problems == []


SPELLINGS = {
    "0299445566": ("53", "prefix"),
    "0033299445566": ("53", "prefix"),
    "+332.99-44(55)66": ("53", "prefix"),
    "+330299445566": ("53", "prefix"),
    "+33299120001": ("52", "exception"),
    "0299120001": ("52", "exception"),
    "+33699000001": ("53", "exception"),
    "+262262445566": ("04", "prefix"),
    "0262445566": ("04", "prefix"),
    "+33699000002": ("*", "unknown"),
    "+3225551234": ("*", "unknown"),
    "0299": ("*", "unknown"),
    "anonymous": ("*", "withheld"),
    "Restricted": ("*", "withheld"),
    "00266696687": ("*", "withheld"),
}


def test_a_caller_is_found_in_every_spelling(live: Settings) -> None:
    for caller, expected in SPELLINGS.items():
        answer = route_of(live, caller)
        assert (answer.zone_code, answer.by) == expected, caller


def test_a_withheld_caller_is_routed_by_the_asserted_identity(live: Settings) -> None:
    assert route_of(live, "anonymous", asserted="+33299445566").zone_code == "53"


def test_a_quiet_night_makes_no_release(live: Settings) -> None:
    assert routing.apply(live, QUIET, requested_by="night", reason="again").status == "unchanged"


def test_emergency_then_rollback_to_a_version_no_longer_in_a_slot(live: Settings) -> None:
    first = routing.verify(live).version
    released = go_live(live).version
    routing.emergency_national(live, requested_by="Anne", reason="a storm")
    assert {site for _, site, _ in route_of(live, "+33299445566").sites} == {"LYON", "LYON_2", "TUNIS"}
    routing.release_hold(live, released_by="Anne", reason="over")
    assert routing.rollback(live, requested_by="Anne", reason="the first", to=first).version == first
    routing.release_hold(live, released_by="Anne", reason="over")
    assert routing.rollback(live, requested_by="Anne", reason="the second", to=released).version == released
    assert {site for _, site, _ in route_of(live, "+33299445566").sites} == {"RENNES", "RENNES_2", "TUNIS"}
    assert routing.verify(live).problems == []


def test_a_restarted_switch_routes_as_before(live: Settings) -> None:
    go_live(live)
    before = route_of(live, "+33299445566")
    assert local.stop(live)
    local.start(live)
    after = route_of(live, "+33299445566")
    assert replace(after, site_code=before.site_code, address=before.address) == before
    assert routing.verify(live).problems == []


@pytest.mark.parametrize(
    ("method", "arguments", "reported"),
    [
        ("htable.sets", ("rt_{slot}", "r:53:fixe:open:1", "LYON=1;"), "r:53:fixe:open:1"),
        ("htable.delete", ("win_{slot}", "53:15455"), "53:15455"),
        ("htable.delete", ("exc_{slot}", "33299120001"), "exc_"),
        ("htable.sets", ("exc_{slot}", "33299999999", "52"), "exc_"),
        ("htable.sets", ("ctl", "active", "{idle}"), " active"),
        ("htable.sets", ("ctl", "drain:RENNES", "4000000000"), "ctl has"),
    ],
)
def test_a_table_changed_by_hand_is_drift(
    live: Settings, method: str, arguments: tuple[str, ...], reported: str
) -> None:
    go_live(live)
    slot = route_of(live, "+33299445566").slot
    names = {"slot": slot, "idle": "b" if slot == "a" else "a"}
    Rpc(local.socket(live)).call(method, *(argument.format(**names) for argument in arguments))
    assert reported in str(routing.verify(live).problems)
    with pytest.raises(RoutingRefused, match="drift"):
        routing.apply(live, EVE, requested_by="night", reason="again")


def test_what_the_audit_says(live: Settings) -> None:
    go_live(live)
    events = rows(live, "select event from ops.routing_release_event order by event_id")
    assert [row[0] for row in events] == ["staged", "activated"] * 2


@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_switch_routes_every_call_as_its_table_says(live: Settings, data: st.DataObject) -> None:
    """Configuration and table compared: one routes, the other explains."""
    number = data.draw(
        st.sampled_from(
            ["0299", "0240", "0262", "+33299120001", "+33699000001", "+262262", "0033240", "01"]
        ).flatmap(lambda start: st.text("0123456789", min_size=0, max_size=8).map(start.__add__))
        | st.just("anonymous")
    )
    at = data.draw(st.datetimes(datetime(2012, 4, 1), datetime(2012, 9, 30), timezones=st.just(UTC)))
    dialled = data.draw(st.sampled_from(["3900", "3901"]))
    explanation = routing.explain(live, number, dialled, at.replace(microsecond=0))
    assert explanation.disagreement is None, explanation.to_text()


def test_the_national_route_keeps_the_hours_of_its_sites(live: Settings) -> None:
    """52 and 53 are open until 22:00 UTC, the nation until 18:00; 53 alone goes live."""
    longer = "update marts.routing_windows set closes_at = closes_at + interval '4 hours'"
    marts(live, f"{longer} where zone_code in ('52', '53')")
    go_live(live)
    evening = datetime(2012, 4, 25, 20, tzinfo=UTC)
    own, national = (route_of(live, caller, evening) for caller in (CALLER, "+33240445566"))
    assert (own.band, own.sites[0][1]) == ("open", "RENNES")
    assert (national.band, national.where) == ("closed", "r:52:internet:closed")
    for caller in (CALLER, "+33240445566"):
        explanation = routing.explain(live, caller, "3900", evening)
        assert explanation.disagreement is None, explanation.to_text()
    assert "closed: the national default, as the route is its," in explanation.to_text()
    assert routing.verify(live).problems == []


def test_real_calls_land_where_they_belong(live: Settings, sites: Sites, tmp_path: Path) -> None:
    go_live(live)
    for caller, at, expected in (
        (CALLER, datetime(2012, 4, 25, 10, tzinfo=UTC), {"RENNES", "RENNES_2"}),
        (CALLER, datetime(2012, 4, 25, 5, 59, 30, tzinfo=UTC), {"TUNIS"}),
        (CALLER, datetime(2012, 4, 25, 22, tzinfo=UTC), {"TUNIS"}),
        ("+33240445566", datetime(2012, 4, 25, 10, tzinfo=UTC), {"LYON", "LYON_2"}),
        ("+262262445566", datetime(2012, 4, 25, 10, tzinfo=UTC), {"ST_DENIS_RE", "ST_DENIS_RE_2"}),
        ("+33299120001", datetime(2012, 4, 25, 10, tzinfo=UTC), {"LYON", "LYON_2"}),
        ("anonymous", datetime(2012, 4, 25, 10, tzinfo=UTC), {"LYON", "LYON_2"}),
    ):
        local.set_clock(live, at)
        sites.calls.clear()
        place_calls(tmp_path, local.calls_port(live), [caller], 30)
        assert set(sites.count()) <= expected and sites.count().total() == 30, (caller, at)


def test_calls_are_shared_by_weight(live: Settings, sites: Sites, tmp_path: Path) -> None:
    go_live(live)
    local.set_clock(live, IN_HOURS)
    place_calls(tmp_path, local.calls_port(live), [CALLER], 400, 100)
    assert 190 < sites.count()["RENNES"] < 290  # 240 of 400 expected: five standard deviations
    assert sites.count().total() == 400


def test_calls_of_a_dead_or_busy_site_go_to_another(live: Settings, sites: Sites, tmp_path: Path) -> None:
    go_live(live)
    local.set_clock(live, IN_HOURS)
    sites.silent.add("RENNES")
    sites.busy.add("RENNES_2")
    place_calls(tmp_path, local.calls_port(live), [CALLER], 10, 10)
    assert sites.count() == {"TUNIS": 10}


def test_an_unresponsive_site_is_not_tried(live: Settings, sites: Sites) -> None:
    """Every site is probed each second; after two silent probes it gets no calls until it answers."""
    go_live(live)
    sites.silent.add("RENNES")
    until(lambda: {route_of(live).site_code for _ in range(30)} == {"RENNES_2"})
    sites.silent.clear()
    until(lambda: {route_of(live).site_code for _ in range(30)} == {"RENNES", "RENNES_2"})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


@pytest.mark.parametrize("seconds", [15, pytest.param(300, marks=pytest.mark.soak)])
def test_no_call_is_lost_across_go_lives_and_rollbacks(
    live: Settings, sites: Sites, tmp_path: Path, seconds: int
) -> None:
    """Every call follows a single version, never a mixture of two."""
    local.set_clock(live, IN_HOURS)
    count = 200 * seconds
    for _ in range(3):
        sites.forget()
        calls = start_calls(tmp_path, local.calls_port(live), [CALLER], count, 200)
        flips = 0
        while flips < 4 or calls.poll() is None:
            go_live(live)
            routing.rollback(live, requested_by="Anne", reason="again")
            routing.release_hold(live, released_by="Anne", reason="again")
            flips += 2
        output, _ = calls.communicate(timeout=120)
        if calls.returncode == 0 and len(sites.calls) == count:
            break
        assert sites.were_starved, f"{count - len(sites.calls)} calls were lost: {output[-2000:]}"
    else:
        pytest.fail("three times the machine was too busy for the sites to answer within a second")
    by_version = {(call.version, call.site_code) for call in sites.calls.values()}
    regional = {version for version, site_code in by_version if site_code.startswith("RENNES")}
    assert regional, "no call was placed while Bretagne was live"
    assert all(site.startswith("RENNES") == (version in regional) for version, site in by_version)
    print(f"{count:,} of {count:,} calls answered across {flips} flips, each by one version's sites")


def test_a_drained_site_gets_no_call_until_its_time(live: Settings, sites: Sites, tmp_path: Path) -> None:
    go_live(live)
    local.set_clock(live, IN_HOURS)
    until = IN_HOURS + timedelta(hours=2)
    with pytest.raises(RoutingRefused, match="is past: the switch's clock says"):
        routing.drain(live, "RENNES", IN_HOURS, drained_by="Anne", reason="a fire drill")
    routing.drain(live, "RENNES", until, drained_by="Anne", reason="a fire drill")
    for at, expected in (
        (IN_HOURS, {"RENNES_2"}),
        (until + timedelta(minutes=1), {"RENNES", "RENNES_2"}),
    ):
        local.set_clock(live, at)
        sites.calls.clear()
        place_calls(tmp_path, local.calls_port(live), [CALLER], 30)
        assert set(sites.count()) == expected
    assert routing.verify(live).problems == []
    local.set_clock(live, IN_HOURS)
    with pytest.raises(RoutingRefused, match="no site left"):
        routing.drain(live, "TUNIS", until, drained_by="Anne", reason="a fire drill")
    routing.end_drain(live, "RENNES", ended_by="Anne", reason="over")
    assert [row[0] for row in rows(live, "select event from ops.routing_drain order by drain_id")] == [
        "set",
        "ended",
    ]


def test_an_assigned_number_is_routed_at_once_and_stays_assigned(live: Settings) -> None:
    number = "+33240445566"
    assert route_of(live, number).zone_code == "52"
    routing.assign(live, "02 40 44 55 66", "04", requested_by="Anne", reason="moved yesterday")
    assert (route_of(live, number).zone_code, route_of(live, number).by) == ("04", "exception")
    assert routing.apply(live, QUIET, requested_by="night", reason="the night after").status == "unchanged"
    go_live(live)
    assert route_of(live, number).zone_code == "04"
    routing.unassign(live, number, requested_by="Anne", reason="the feed has it")
    routing.apply(
        live,
        EVE,
        requested_by="night",
        reason="the night after that",
        approved_by="Anne",
        approve=routing.plan(live, EVE).plan_hash,
    )
    assert route_of(live, number).by == "prefix"


def test_a_forgotten_number_is_in_no_table_and_no_memory_of_the_switch(live: Settings) -> None:
    number = "+33240445566"
    routing.assign(live, number, "04", requested_by="Anne", reason="moved yesterday")
    assert route_of(live, number).zone_code == "04"
    Path(live.landing).mkdir(parents=True, exist_ok=True)
    try:
        done = privacy.forget(live, numbers=[number], requested_by="Anne", reason="article 17")
    finally:
        (live.home / COPY).unlink(missing_ok=True)  # the folder is that of other platforms too
    assert done.version and done.row_counts == {
        "routing.live_exception": 1,
        "routing.urgent_assignment": 2,
    }
    assert routing.verify(live).is_ok
    switch = open_switch(live)
    for slot in ("a", "b"):
        answer = switch.ask(Question(number, "3900", IN_HOURS, slot))
        assert answer and (answer.zone_code, answer.by) == ("52", "prefix")
    with psycopg.connect(local.database(live)) as database:
        held = [
            database.execute(
                f"select count(*) from slot_{slot}.exceptions where number = %s", [number]
            ).fetchone()
            for slot in ("a", "b")
        ]
        kept = database.execute("select data from switch.kept_table").fetchall()
    assert held == [(0,), (0,)]
    assert not any(number.encode() in zlib.decompress(data) for (data,) in kept)
