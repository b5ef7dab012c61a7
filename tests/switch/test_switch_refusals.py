"""Refusals on the switch itself: each names its reason, and no call is routed differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from parc import routing
from parc.errors import ApprovalNeeded, ParcError, RoutingRefused
from parc.routing.switches import local, open_switch
from parc.settings import Settings
from support.routing_world import EVE, QUIET, go_live, marts, rows, unbuilt
from support.sites import CALLER, IN_HOURS, Sites, place_calls, route_of

DEMAND = "marts.mart_routing_demand_half_hourly"
ROUTES = "marts.routing_routes"


def by_sql(statement: str) -> Callable[[Settings], None]:
    return lambda settings: marts(settings, statement)


def not_built(what: str) -> Callable[[Settings], None]:
    return lambda settings: unbuilt(settings, what)


def held(settings: Settings) -> None:
    go_live(settings)
    routing.rollback(settings, requested_by="Anne", reason="calls echo")


def disabled(settings: Settings) -> None:
    routing.disable(settings, disabled_by="Paul", reason="its rack is moved")


REFUSED = {
    "more than half of the calls": (
        by_sql(f"update {DEMAND} set offered_count = 2000 where zone_code = '53'"),
        r"rule 4: 69\.0% of calls would move; more than 50% is refused",
    ),
    "an overloaded site": (
        by_sql(
            f"update {DEMAND} set handle_seconds = offered_count * 300; "
            "update marts.routing_site_positions set position_count = 10 where site_code = 'RENNES'"
        ),
        r"rule 6: RENNES: Mon-Sun 12:00-12:30, load 10\.0 erlangs for 10 positions",
    ),
    "an unchecked rollout plan": (not_built("rollout_plan"), r"(?s)rule 7: .*rollout_plan.*: parc build"),
    "unchecked sites": (not_built("sites"), r"(?s)rule 7: .*sites.*: parc build"),
    "unchecked assignments": (not_built("line_assignments"), r"(?s)rule 7: .*line_assignments"),
    "an empty source": (by_sql(f"delete from {ROUTES}"), r"rule 3: the input routes is empty"),
    "nobody to answer": (by_sql(f"delete from {ROUTES} where band = 'closed'"), r"rule 3: .*closed"),
    "an unknown site": (
        by_sql(f"update {ROUTES} set site_code = 'QUIMPERLE' where site_code = 'RENNES'"),
        r"rule 3: .*QUIMPERLE",
    ),
    "a freeze": (
        by_sql("insert into marts.routing_freeze_windows values ('2012-04-24Z', '2012-05-02Z', 'May days')"),
        r"freeze from 2012-04-24 .*: May days",
    ),
    "a hold": (held, r"(?s)held by Anne.*calls echo.*release-hold"),
    "the kill switch": (disabled, r"(?s)routing is disabled by Paul.*its rack is moved.*enable"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_even_when_approved(live: Settings, what: str) -> None:
    spoil, named = REFUSED[what]
    spoil(live)
    newest = "select max(release_id) from ops.routing_release"
    before, recorded = open_switch(live).pointer(), rows(live, newest)
    approved = routing.plan(live, EVE).plan_hash
    with pytest.raises(RoutingRefused, match=named):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    assert open_switch(live).pointer() == before
    assert {site for _, site, _ in route_of(live).sites} == {"LYON", "LYON_2", "TUNIS"}
    assert rows(live, newest) == recorded


def test_an_approval_of_another_plan_is_stale(live: Settings) -> None:
    """The plan that Anne saw was made on another live table."""
    approved = routing.plan(live, EVE).plan_hash
    marts(live, "insert into marts.routing_prefixes values ('2012-04-01', '029999', '53')")
    routing.apply(live, QUIET, requested_by="night", reason="a new block")
    marts(live, "delete from marts.routing_prefixes where prefix = '029999'")
    before = open_switch(live).pointer()
    with pytest.raises(RoutingRefused, match=rf"the approval is for plan {approved}"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    with pytest.raises(ApprovalNeeded, match="rule 5: go-live of 53 fixe, 53 internet"):
        routing.apply(live, EVE, requested_by="n", reason="n")
    assert open_switch(live).pointer() == before


def test_only_the_kill_switch_stops_an_emergency(live: Settings, sites: Sites, tmp_path: Path) -> None:
    """Neither a freeze nor unchecked inputs stop it: every call takes the national route at once."""
    go_live(live)
    marts(live, "insert into marts.routing_freeze_windows values ('2012-01-01Z', '2013-01-01Z', 'all year')")
    unbuilt(live, "sites")
    disabled(live)
    with pytest.raises(ParcError, match="routing is disabled by Paul"):
        routing.emergency_national(live, requested_by="Anne", reason="Rennes burns")
    assert {site for _, site, _ in route_of(live).sites} == {"RENNES", "RENNES_2", "TUNIS"}
    routing.enable(live, enabled_by="Paul", reason="moved")
    routing.emergency_national(live, requested_by="Anne", reason="Rennes burns")
    local.set_clock(live, IN_HOURS)
    place_calls(tmp_path, local.calls_port(live), [CALLER, "+262262445566"], 20)
    assert set(sites.count()) <= {"LYON", "LYON_2"} and sites.count().total() == 20
    assert "Rennes burns" in (routing.status(live).hold or "")
    routing.release_hold(live, released_by="Paul", reason="the fire is out")
    reported = "select {} from ops.{} order by 1, 2, 3"
    assert ("emergency", "Anne", "Rennes burns") in rows(
        live, reported.format("kind, requested_by, reason", "routing_release")
    )
    assert rows(live, reported.format("event, set_by, reason", "routing_hold")) == [
        ("released", "Paul", "the fire is out"),
        ("set", "Anne", "Rennes burns"),
    ]
