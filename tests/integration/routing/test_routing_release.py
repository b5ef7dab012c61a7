"""Releases on a real warehouse and a real folder: Bretagne goes live on 25 April 2012."""

from __future__ import annotations

import hmac
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from parc import quality, routing
from parc.desk import switch
from parc.errors import ApprovalNeeded, Busy, ConfigurationError, ParcError, RoutingRefused
from parc.findings import FindingKind
from parc.ledger import history
from parc.routing.steering import activation
from parc.routing.steering.night import newest_business_date
from parc.routing.switches import Reading, Release
from parc.routing.switches.file import FileSwitch
from parc.routing.table.content import SHAPES
from parc.routing.table.desired import rollout_changes
from parc.routing.table.inputs import read_rollout
from parc.settings import Settings
from parc.warehouse import connect
from support.routing_world import EVE, QUIET, go_live, marts, rows, unbuilt


def pointer(settings: Settings) -> dict[str, Any]:
    return json.loads((Path(settings.switch) / "current.json").read_text())


def table(settings: Settings, name: str, version: str | None = None) -> Path:
    return Path(settings.switch) / "releases" / (version or pointer(settings)["version"]) / f"{name}.csv"


def held_bytes(settings: Settings, version: str) -> dict[str, bytes]:
    folder = table(settings, "routes", version).parent
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def events(settings: Settings) -> list[tuple[str, str]]:
    """(kind, how it ended) of every release, the oldest first."""
    return rows(
        settings,
        "select r.kind, coalesce(string_agg(e.event, ' ' order by e.event_id), '') "
        "from ops.routing_release r left join ops.routing_release_event e using (release_id) "
        "group by r.release_id order by r.release_id",
    )


def test_an_empty_switch_needs_a_bootstrap(world: Settings) -> None:
    with pytest.raises(ApprovalNeeded, match="the switch is empty"):
        routing.apply(world, QUIET, requested_by="night", reason="first")
    assert not Path(world.switch).exists()
    outcome = routing.apply(world, QUIET, requested_by="night", reason="first", bootstrap=True)
    assert outcome.status == "released" and pointer(world)["version"] == outcome.version
    assert events(world) == [("bootstrap", "staged activated")]
    assert routing.verify(world).is_ok


def test_an_empty_switch_explains_what_is_planned(world: Settings) -> None:
    reported = routing.explain(world, "0299445566", "3900", datetime(2012, 4, 25, 10, tzinfo=UTC), EVE)
    assert reported.live is None and "the switch is empty" in reported.to_text()
    assert reported.planned is not None
    assert (reported.planned.zone_code, reported.planned.sites[0]) == ("53", (1, "RENNES", 60))


def test_a_bootstrap_may_be_approved_instead(world: Settings) -> None:
    plan = routing.plan(world, QUIET)
    routing.apply(
        world, QUIET, requested_by="night", reason="first", approve=plan.plan_hash, approved_by="Anne"
    )
    assert rows(
        world, "select approved_by, jsonb_array_length(approval_reasons) from ops.routing_release"
    ) == [("Anne", 1)]


def test_a_go_live_shows_its_rows_waits_for_approval_and_is_read_back(live: Settings) -> None:
    plan = routing.plan(live, EVE)
    assert plan.verdict == "needs approval"
    assert {n: d.row_count for n, d in plan.diffs.items() if d.row_count} == {"routes": 8, "sites": 2}
    before = pointer(live)
    with pytest.raises(
        ApprovalNeeded, match=f"go-live of 53 fixe, 53 internet(.|\n)*--approve {plan.plan_hash}"
    ):
        routing.apply(live, EVE, requested_by="night", reason="night")
    assert pointer(live) == before

    outcome = go_live(live)
    assert outcome.status == "released"
    routes = table(live, "routes").read_text()
    assert "53,fixe,open,1,RENNES,60\n" in routes and "53,fixe,open,1,LYON,60\n" not in routes
    assert "52,fixe,open,1,LYON,60\n" in routes
    assert routing.verify(live).is_ok
    assert routing.plan(live, EVE).verdict == "nothing to do"


def test_a_release_records_who_what_why_and_from_which_data(live: Settings) -> None:
    go_live(live)
    with connect(live, "exporter") as connection:
        row = (
            connection.cursor(row_factory=psycopg.rows.dict_row)
            .execute("select * from ops.routing_release order by release_id desc limit 1")
            .fetchone()
        )
    assert row is not None
    assert (row["requested_by"], row["approved_by"], row["reason"]) == ("night", "Anne", "Bretagne")
    assert (row["business_date"], row["effective_date"]) == (EVE, date(2012, 4, 25))
    assert row["approval_reasons"] == ["rule 5: go-live of 53 fixe, 53 internet"]
    assert row["calls_moved_share"] == pytest.approx(0.1)
    assert row["rows_changed"]["routes"] == {"added": 4, "removed": 4, "changed": 0, "share": 4 / 32}
    deliveries = dict(rows(live, "select feed || business_date, delivery_id from ops.delivery"))
    assert row["delivery_ids"] == {  # the snapshots in force on the effective date, not the newest
        "numbering_plan": deliveries["numbering_plan2012-04-01"],
        "line_assignments": deliveries["line_assignments2012-04-23"],
    }
    assert row["rollout_sha256"] == row["input_sha256"]["rollout"]
    assert {
        "zone_code": "53",
        "market": "fixe",
        "planned_go_live_date": "2012-04-25",
        "withdrawn_on": None,
    } in row["rollout"]
    assert re.fullmatch(r"[\w.]+\+[0-9a-f]{12}", row["code_version"])
    changes = rows(
        live,
        "select table_name, change, row_key, before, after, calls_moved_share from ops.routing_change "
        f"where release_id = {row['release_id']}",
    )
    assert len(changes) == 10
    key = {"zone_code": "53", "market": "fixe", "band": "open", "priority": 1, "site_code": "RENNES"}
    assert ("routes", "added", key, None, {"weight": 60}, 1.0) in changes


def test_a_quiet_night_makes_no_release(live: Settings) -> None:
    before = pointer(live), events(live)
    outcome = routing.apply(live, QUIET + timedelta(days=1), requested_by="night", reason="night")
    assert outcome.status == "unchanged"
    assert (pointer(live), events(live)) == before


def test_an_approval_of_a_plan_whose_base_has_moved_is_stale(live: Settings) -> None:
    approved = routing.plan(live, EVE).plan_hash
    marts(live, "insert into marts.routing_prefixes values ('2012-04-01', '029999', '53')")
    with pytest.raises(
        RoutingRefused, match=r"(?s)the approval is for plan .*changed since.*routing plan --date"
    ):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    routing.apply(
        live, QUIET, requested_by="n", reason="new block"
    )  # the live base moves, the content is the same
    marts(live, "delete from marts.routing_prefixes where prefix = '029999'")
    with pytest.raises(RoutingRefused, match="the approval is for plan"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")


def test_an_approval_expires_with_a_rollback(live: Settings) -> None:
    approved = routing.plan(live, EVE).plan_hash
    routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    routing.rollback(live, requested_by="Paul", reason="echo")
    routing.release_hold(live, released_by="Paul", reason="fixed")
    with pytest.raises(RoutingRefused, match="the approval is for plan"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")


def test_an_approval_needs_a_name(live: Settings) -> None:
    with pytest.raises(RoutingRefused, match="needs a name"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=routing.plan(live, EVE).plan_hash)


def test_an_empty_source_never_empties_the_switch(live: Settings) -> None:
    before = pointer(live)
    for name in (
        "routing_prefixes",
        "routing_windows",
        "routing_routes",
        "routing_sites",
        "routing_services",
    ):
        marts(live, f"alter table marts.{name} rename to aside; create table marts.{name} (like marts.aside)")
        with pytest.raises(RoutingRefused, match=r"rule 3: the input \w+ is empty"):
            routing.apply(live, EVE, requested_by="n", reason="n", bootstrap=True)
        marts(live, f"drop table marts.{name}; alter table marts.aside rename to {name}")
    assert pointer(live) == before and routing.verify(live).is_ok


def test_more_than_half_of_the_calls_is_refused_even_when_approved(live: Settings) -> None:
    marts(
        live, "update marts.mart_routing_demand_half_hourly set offered_count = 2000 where zone_code = '53'"
    )
    approved = routing.plan(live, EVE).plan_hash
    with pytest.raises(RoutingRefused, match=r"rule 4: 69\.0% of calls would move; more than 50% is refused"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")


def test_a_release_that_overloads_a_site_is_refused_even_when_approved(live: Settings) -> None:
    """Rennes gets 60 calls of 300 s between 12:00 and 12:30, 10 erlangs."""
    before = pointer(live)
    marts(
        live,
        "update marts.mart_routing_demand_half_hourly set handle_seconds = offered_count * 300; "
        "update marts.routing_site_positions set position_count = 10 "
        "where site_code = 'RENNES' and weekday = 3",
    )
    plan = routing.plan(live, EVE)
    assert plan.verdict == "refused"
    expected = r"rule 6: RENNES: Wed 12:00-12:30, load 10\.0 erlangs for 10 positions \(14 needed\)"
    with pytest.raises(RoutingRefused, match=expected):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=plan.plan_hash, approved_by="Anne")
    assert pointer(live) == before and routing.verify(live).is_ok
    marts(live, "update marts.routing_site_positions set position_count = 14 where site_code = 'RENNES'")
    # Positions judge a release and are no part of it: the plan that somebody saw is the same.
    assert routing.plan(live, EVE).plan_hash == plan.plan_hash
    assert go_live(live).status == "released"


def test_rollback_and_emergency_skip_the_capacity_check(live: Settings) -> None:
    go_live(live)
    marts(
        live,
        "update marts.mart_routing_demand_half_hourly set handle_seconds = offered_count * 300; "
        "update marts.routing_site_positions set position_count = 1",
    )
    assert routing.emergency_national(live, requested_by="Paul", reason="r").status == "national"
    assert routing.rollback(live, requested_by="Paul", reason="r").status == "rolled back"


def test_a_missing_mart_is_named(live: Settings) -> None:
    marts(live, "drop table marts.routing_windows")
    with pytest.raises(ConfigurationError, match=r"(?s)marts\.routing_windows.*: parc build"):
        routing.plan(live, EVE)


def test_rollback_restores_byte_for_byte_and_holds_the_next_night(live: Settings) -> None:
    first = pointer(live)["version"]
    before = held_bytes(live, first)
    second = go_live(live).version
    outcome = routing.rollback(live, requested_by="Paul", reason="echo on the line")
    assert (outcome.status, outcome.version) == ("rolled back", first)
    assert held_bytes(live, first) == before
    assert pointer(live)["version"] == first and routing.verify(live).is_ok
    assert events(live)[-1] == ("rollback", "staged activated")

    plan = routing.plan(live, EVE)
    assert plan.verdict == "blocked" and "held by Paul" in plan.blocks[0].text
    with pytest.raises(RoutingRefused, match=r"(?s)held by Paul .*echo on the line.*release-hold"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=plan.plan_hash, approved_by="Anne")
    routing.release_hold(live, released_by="Paul", reason="fixed")
    with pytest.raises(RoutingRefused, match="no hold is set"):
        routing.release_hold(live, released_by="Paul", reason="again")
    third = go_live(live).version
    assert third not in (first, second)
    assert table(live, "routes", third).read_bytes() == table(live, "routes", second).read_bytes()


def test_rollback_goes_further_back_each_time_and_to_a_named_version(live: Settings) -> None:
    first = pointer(live)["version"]
    second = go_live(live).version
    marts(live, "insert into marts.routing_prefixes values ('2012-04-01', '029999', '53')")
    third = routing.apply(live, EVE, requested_by="n", reason="n").version
    assert routing.rollback(live, requested_by="p", reason="r").version == second
    assert routing.rollback(live, requested_by="p", reason="r").version == first
    with pytest.raises(RoutingRefused, match="there is no release before the live one"):
        routing.rollback(live, requested_by="p", reason="r")
    assert routing.rollback(live, requested_by="p", reason="r", to=third).version == third
    with pytest.raises(RoutingRefused, match="is live already"):
        routing.rollback(live, requested_by="p", reason="r", to=third)
    with pytest.raises(RoutingRefused, match="no release was recorded as nonsense; the last ones are"):
        routing.rollback(live, requested_by="p", reason="r", to="nonsense")


def test_rollback_to_a_damaged_version_is_refused(live: Settings) -> None:
    first = pointer(live)["version"]
    second = go_live(live).version
    table(live, "sites", first).write_text("site_code,sip_address\n")
    with pytest.raises(RoutingRefused, match=r"cannot be restored: sites\.csv is not the file"):
        routing.rollback(live, requested_by="p", reason="r")
    assert pointer(live)["version"] == second


def test_emergency_sends_every_zone_national_and_is_exempt(live: Settings) -> None:
    second = go_live(live).version
    marts(live, "insert into marts.routing_freeze_windows values ('2012-01-01Z', '2013-01-01Z', 'all year')")
    marts(live, "drop table marts.routing_routes, marts.mart_routing_demand_half_hourly")  # it needs no mart
    plan = routing.plan_emergency(live)
    assert plan.going() == ([], [("04", "fixe"), ("04", "internet"), ("53", "fixe"), ("53", "internet")])
    outcome = routing.emergency_national(live, requested_by="Paul", reason="Rennes burns")
    assert outcome.status == "national" and routing.verify(live).is_ok
    own = [
        line
        for line in table(live, "routes").read_text().splitlines()[1:]
        if "open,1" in line and "LYON" not in line
    ]
    assert own == []
    assert events(live)[-1] == ("emergency", "staged activated")
    assert routing.status(live).hold is not None
    assert routing.rollback(live, requested_by="Paul", reason="over").version == second


@pytest.mark.parametrize("what", ["rollout_plan", "sites", "zone_hours", "line_assignments"])
def test_a_release_of_unchecked_inputs_is_refused_naming_them(live: Settings, what: str) -> None:
    before = pointer(live)
    unbuilt(live, what)
    plan = routing.plan(live, EVE)
    assert (plan.verdict, [ruling.rule for ruling in plan.refusals]) == ("refused", [7])
    with pytest.raises(RoutingRefused, match=rf"(?s)rule 7: .*{what}.*: parc build"):
        routing.apply(live, EVE, requested_by="n", reason="n", approve=plan.plan_hash, approved_by="Anne")
    assert pointer(live) == before and routing.verify(live).is_ok
    # Unchecked inputs must not even give the verdict "nothing to do".
    assert routing.plan(live, QUIET).verdict == "refused"


def test_a_plan_shows_the_gate_and_where_its_page_is(live: Settings) -> None:
    plan = routing.plan(live, EVE)
    assert plan.gate is not None and plan.gate.outcome == "passed" and plan.gate.page
    assert (quality.data_docs(live) / plan.gate.page).exists()
    assert f"gate       passed (Data Docs: {plan.gate.page})" in routing.render_text(plan)
    assert routing.render_json(plan)["gate"] == {"outcome": "passed", "page": plan.gate.page}


def test_the_desk_says_what_a_release_waits_for(live: Settings) -> None:
    live_day = routing.status(live).effective_date
    assert live_day is not None
    assert rollout_changes(read_rollout(live), live_day, EVE + timedelta(days=1)) == [date(2012, 4, 25)]
    assert rollout_changes(read_rollout(live), live_day, EVE) == []
    marts(live, "insert into marts.routing_freeze_windows values ('2012-04-24Z', '2012-04-26Z', 'vote')")
    with connect(live, "reader") as connection:
        [waiting] = switch.findings(live, connection, EVE)
    assert waiting.kind is FindingKind.WAITING and "vote" in waiting.text
    assert [step.command for step in waiting.steps] == [
        "parc routing plan --date 2012-04-24",
        "parc routing apply --date 2012-04-24",
    ]


def test_late_calls_ask_for_approval_and_cancel_nothing(live: Settings) -> None:
    marts(live, f"delete from marts.mart_routing_demand_half_hourly where business_date >= '{EVE}'")
    plan = routing.plan(live, EVE)
    assert [str(finding) for finding in plan.approvals if finding.rule == 7] == [
        "rule 7: the calls of 2012-04-24 are not in the marts: limits and gates use the volumes up to "
        "2012-04-23"
    ]
    assert plan.verdict == "needs approval"
    assert go_live(live).status == "released"
    assert routing.plan(live, EVE).approvals == []


def test_a_small_change_needs_approval_only_if_calls_are_late(live: Settings) -> None:
    marts(live, "insert into marts.routing_prefixes values ('2012-04-01', '029999', '53')")
    assert routing.plan(live, QUIET).verdict == "ready"
    marts(live, f"delete from marts.mart_routing_demand_half_hourly where business_date >= '{QUIET}'")
    with pytest.raises(ApprovalNeeded, match=r"rule 7: the calls of 2012-04-22 are not in the marts"):
        routing.apply(live, QUIET, requested_by="n", reason="n")


def test_a_gate_warning_needs_approval_only_for_a_go_live(live: Settings) -> None:
    marts(live, "insert into marts.routing_freeze_windows values ('2013-01-01Z', '2013-06-01Z', 'long')")
    plan = routing.plan(live, QUIET)
    assert (plan.verdict, plan.approvals) == ("nothing to do", [])
    assert plan.gate is not None and plan.gate.outcome == "passed with warnings"
    assert "freezes_short" in plan.notes[0].message
    asked = [str(finding) for finding in routing.plan(live, EVE).approvals]
    assert asked[0] == "rule 5: go-live of 53 fixe, 53 internet" and "freezes_short" in asked[1]


def test_rollback_and_emergency_skip_the_gate(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    go_live(live)
    unbuilt(live, "sites")
    monkeypatch.setattr("parc.routing.judges.freshness.judge", lambda *_: pytest.fail("the gate was asked"))
    assert routing.emergency_national(live, requested_by="Paul", reason="r").plan.gate is None
    assert routing.rollback(live, requested_by="Paul", reason="r").plan.gate is None


def test_a_wrong_go_live_date_is_corrected_after_its_rollback(live: Settings) -> None:
    go_live(live)
    later = "update marts.routing_rollout set planned_go_live_date = '2012-06-12' where zone_code = '53'"
    marts(live, later)
    with pytest.raises(
        RoutingRefused, match=r"53 fixe, 53 internet went live by the last release.*withdrawn_on"
    ):
        routing.apply(live, EVE, requested_by="n", reason="n")
    routing.rollback(live, requested_by="Paul", reason="not yet")
    routing.release_hold(live, released_by="Paul", reason="the plan is right now")
    assert routing.apply(live, EVE, requested_by="n", reason="n").status == "unchanged"


def test_a_second_emergency_only_sets_the_hold(live: Settings) -> None:
    first = routing.emergency_national(live, requested_by="Paul", reason="r").version
    routing.release_hold(live, released_by="Paul", reason="r")
    outcome = routing.emergency_national(live, requested_by="Paul", reason="r")
    assert (outcome.status, outcome.version) == ("unchanged", first)
    assert routing.status(live).hold is not None


def test_the_kill_switch_stops_everything(live: Settings) -> None:
    go_live(live)
    routing.disable(live, disabled_by="Paul", reason="switch maintenance")
    calls: list[Callable[[], object]] = [
        lambda: routing.apply(live, EVE, requested_by="n", reason="n"),
        lambda: routing.rollback(live, requested_by="n", reason="n"),
        lambda: routing.emergency_national(live, requested_by="n", reason="n"),
    ]
    for call in calls:
        with pytest.raises(
            RoutingRefused, match=r"(?s)routing is disabled by Paul.*switch maintenance.*enable"
        ):
            call()
    assert routing.status(live).kill_switch is not None
    routing.enable(live, enabled_by="Paul", reason="done")
    assert routing.apply(live, EVE, requested_by="n", reason="n").status == "unchanged"


def test_a_freeze_stops_a_release_and_not_a_rollback(live: Settings) -> None:
    go_live(live)
    marts(
        live,
        "insert into marts.routing_freeze_windows values ('2012-04-24Z', '2012-05-02Z', 'bank holidays')",
    )
    marts(live, "insert into marts.routing_prefixes values ('2012-04-01', '029999', '53')")
    with pytest.raises(
        RoutingRefused, match=r"freeze from 2012-04-24 02:00 Paris to 2012-05-02 02:00 Paris: bank holidays"
    ):
        routing.apply(live, EVE, requested_by="n", reason="n")
    assert routing.rollback(live, requested_by="p", reason="r").status == "rolled back"


def tamper(settings: Settings) -> None:
    path = table(settings, "prefixes")
    path.write_text(path.read_text().replace("029912,53", "029912,52"))


def test_drift_blocks_until_it_is_overwritten(live: Settings) -> None:
    tamper(live)
    assert not routing.verify(live).is_ok
    assert "prefixes.csv is not the file" in (routing.status(live).drift or "")
    plan = routing.plan(live, QUIET)
    assert plan.verdict == "blocked"
    assert plan.diffs["prefixes"].changed.rows() == [("029912", "52", "53")]  # against what is live
    with pytest.raises(RoutingRefused, match=r"(?s)drift: .*prefixes\.csv.*--drift adopt"):
        routing.apply(live, QUIET, requested_by="n", reason="n")
    outcome = routing.apply(live, QUIET, requested_by="Anne", reason="typo on the switch", drift="overwrite")
    assert outcome.status == "released" and routing.verify(live).is_ok
    assert "029912,53\n" in table(live, "prefixes").read_text()
    assert rows(live, "select action, accepted_by from ops.routing_drift order by drift_id") == [
        ("detected", None),
        ("overwrite", "Anne"),
    ]
    with pytest.raises(RoutingRefused, match="there is no drift to accept"):
        routing.apply(live, QUIET, requested_by="n", reason="n", drift="overwrite")


def test_drift_may_be_adopted(live: Settings) -> None:
    tamper(live)
    held = table(live, "prefixes").read_bytes()
    outcome = routing.apply(live, QUIET, requested_by="Anne", reason="the switch is right", drift="adopt")
    assert outcome.status == "adopted" and routing.verify(live).is_ok
    assert table(live, "prefixes").read_bytes() == held
    plan = routing.plan(live, QUIET)
    assert plan.verdict == "ready" and plan.diffs["prefixes"].row_count == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: table(s, "prefixes").unlink(),
        lambda s: table(s, "routes").write_text("nonsense"),
        lambda s: table(s, "routes").write_text(table(s, "routes").read_text().replace("LYON", "NOWHERE")),
        lambda s: (Path(s.switch) / "current.json").write_text("{"),
    ],
)
def test_a_table_that_cannot_be_compared_is_replaced_with_approval(
    live: Settings, spoil: Callable[[Settings], Any]
) -> None:
    spoil(live)
    with pytest.raises(RoutingRefused, match="is no valid table"):
        routing.apply(live, QUIET, requested_by="a", reason="r", drift="adopt")
    with pytest.raises(ApprovalNeeded, match="nothing to compare with(.|\n)*--drift overwrite") as caught:
        routing.apply(live, QUIET, requested_by="a", reason="r", drift="overwrite")
    approved = caught.value.steps[-1].command.rsplit("--approve ", 1)[1]
    routing.apply(
        live, QUIET, requested_by="a", reason="r", drift="overwrite", approve=approved, approved_by="Anne"
    )
    assert routing.verify(live).is_ok
    with connect(live, "reader") as connection:
        happened = [event.what for event in history.events(connection, 3)]
    assert happened == ["released", "approved", "waits for a person"]  # the newest first


def test_a_table_that_nobody_released_is_drift(world: Settings) -> None:
    plan = routing.plan(world, QUIET)
    switch = FileSwitch(world.switch)
    switch.stage(Release("by-hand", plan.desired, {}))
    switch.activate("by-hand", 0)
    with pytest.raises(RoutingRefused, match="the switch has a table that no release recorded"):
        routing.apply(world, QUIET, requested_by="n", reason="n")
    assert routing.apply(world, QUIET, requested_by="n", reason="n", drift="adopt").status == "adopted"
    assert routing.apply(world, QUIET, requested_by="n", reason="n").status == "unchanged"


def test_releases_on_disk_are_private_to_their_owner(world: Settings) -> None:
    """They hold raw numbers; so do those that an earlier version left open, in a folder open to others."""
    root = Path(world.switch)
    left = root / "releases" / "earlier"
    left.mkdir(parents=True)
    (left / "exceptions.csv").write_text("number,zone_code\n")
    for path in (root, left.parent, left):
        path.chmod(0o755)
    (left / "exceptions.csv").chmod(0o644)
    switch = FileSwitch(world.switch)
    switch.stage(Release("by-hand", routing.plan(world, QUIET).desired, {}))
    switch.activate("by-hand", 0)
    paths = [root / "current.json", root / "releases", *(root / "releases").rglob("*")]
    assert sum(path.name == "exceptions.csv" for path in paths) == 2
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_rollback_undoes_an_unrecorded_flip(live: Settings) -> None:
    first = pointer(live)["version"]
    second = go_live(live).version
    (Path(live.switch) / "current.json").write_text(
        json.dumps({"version": first, "previous": None, "fence": 0})
    )
    assert routing.rollback(live, requested_by="p", reason="r").version == second


def test_an_emptied_switch_is_bootstrapped_again(live: Settings) -> None:
    (Path(live.switch) / "current.json").unlink()
    assert routing.verify(live).problems == [f"{events_version(live)} is expected, the switch is empty"]
    with pytest.raises(ApprovalNeeded, match="the switch is empty"):
        routing.apply(live, QUIET, requested_by="n", reason="n")
    assert routing.apply(live, QUIET, requested_by="n", reason="n", bootstrap=True).status == "released"
    assert routing.verify(live).is_ok


def events_version(settings: Settings) -> str:
    return rows(settings, "select version from ops.routing_release order by release_id desc limit 1")[0][0]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["stage", "verify", "activate"])
def test_killed_before_the_flip_the_old_table_stays(
    live: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = pointer(live)
    approved = routing.plan(live, EVE).plan_hash
    with monkeypatch.context() as patch:
        if step == "verify":  # the live table is read first
            real = FileSwitch.verify
            patch.setattr(
                FileSwitch, "verify", lambda s, v: real(s, v) if v == before["version"] else killed()
            )
        elif step == "stage":
            writes = iter(range(3))
            write = FileSwitch._write
            patch.setattr(
                FileSwitch,
                "_write",
                lambda s, p, d: write(s, p, d) if next(writes, None) is not None else killed(),
            )
        else:
            patch.setattr(FileSwitch, step, killed)
        with pytest.raises(Killed):
            routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    assert pointer(live) == before and routing.verify(live).is_ok
    assert routing.status(live).unfinished is not None
    # The plan that was approved still holds: nothing has moved. The next run finishes cleanly.
    routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    assert [how.split()[-1] for _, how in events(live)] == ["activated", "abandoned", "activated"]
    assert routing.verify(live).is_ok and routing.status(live).unfinished is None
    assert len(list((Path(live.switch) / "releases").iterdir())) == 2  # what the killed run left is gone


def test_killed_after_the_flip_the_next_run_finds_it_live(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = routing.plan(live, EVE).plan_hash
    with monkeypatch.context() as patch:
        patch.setattr(activation, "settle", killed)
        with pytest.raises(Killed):
            routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    assert "RENNES" in table(live, "routes").read_text()
    assert routing.verify(live).is_ok  # a release in progress is no drift
    assert routing.plan(live, EVE).verdict == "nothing to do"
    assert routing.apply(live, EVE, requested_by="n", reason="n").status == "unchanged"
    assert events(live)[-1] == ("release", "staged activated")


def test_killed_by_the_system_at_the_flip(live: Settings) -> None:
    """A real SIGKILL in a real process, with the draft of the pointer written and not yet in place."""
    script = (
        "import os, signal, sys; from datetime import date; from parc import routing; "
        "from parc.routing.switches.file import FileSwitch; from parc.settings import Settings; "
        "s = Settings.from_env(); write = FileSwitch._write; "
        "FileSwitch._write = lambda self, p, d: (write(self, p, d), "
        "os.kill(os.getpid(), signal.SIGKILL) if 'current.json' in p else None); "
        "routing.apply(s, date(2012, 4, 24), requested_by='n', reason='n', "
        "approve=sys.argv[1], approved_by='Anne')"
    )
    before = pointer(live)
    approved = routing.plan(live, EVE).plan_hash
    environment = {
        **os.environ,
        "PARC_HOME": str(live.home),
        "PARC_SWITCH": live.switch,
        "PARC_LANDING": live.landing,
        "PARC_WAREHOUSE_DSN": str(live.warehouse_dsn),
    }
    done = subprocess.run(
        [sys.executable, "-c", script, approved], env=environment, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert pointer(live) == before and routing.verify(live).is_ok
    routing.apply(live, EVE, requested_by="n", reason="n", approve=approved, approved_by="Anne")
    assert routing.verify(live).is_ok
    assert sorted(path.name for path in Path(live.switch).iterdir()) == ["current.json", "releases"]


def test_a_stage_that_does_not_verify_is_not_activated(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pointer(live)
    real = FileSwitch.stage

    def lossy(self: FileSwitch, staged: Release) -> None:
        real(self, staged)
        path = table(live, "exceptions", staged.version)
        path.write_bytes(path.read_bytes()[:-5])

    monkeypatch.setattr(FileSwitch, "stage", lossy)
    with pytest.raises(
        RoutingRefused, match=r"does not verify on the switch, which keeps its table: exceptions\.csv"
    ):
        go_live(live)
    assert pointer(live) == before and events(live)[-1] == ("release", "failed")
    assert routing.status(live).hold is None


def test_a_full_disk_fails_the_release_and_says_so(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSwitch, "stage", full)
    with pytest.raises(RoutingRefused, match="could not be staged.*No space left"):
        go_live(live)
    assert events(live)[-1] == ("release", "failed") and routing.verify(live).is_ok


def test_a_release_that_fails_verification_is_rolled_back_and_held(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pointer(live)["version"]
    before = held_bytes(live, first)
    real = FileSwitch.activate

    def corrupting(self: FileSwitch, version: str, fence: int) -> None:
        real(self, version, fence)
        table(live, "prefixes", version).write_text("prefix,zone_code\n0299,53\n")

    with monkeypatch.context() as patch:
        patch.setattr(FileSwitch, "activate", corrupting)
        with pytest.raises(RoutingRefused, match=rf"prefixes\.csv.*rolled back to {first} and held"):
            go_live(live)
    assert pointer(live)["version"] == first and held_bytes(live, first) == before
    assert routing.verify(live).is_ok
    assert events(live)[1:] == [("release", "staged rolled_back"), ("rollback", "activated")]
    with pytest.raises(RoutingRefused, match=r"held by night"):
        go_live(live)


def test_a_flip_that_did_not_happen_is_detected(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pointer(live)
    monkeypatch.setattr(FileSwitch, "activate", lambda *_: None)
    with pytest.raises(RoutingRefused, match=r"could not be activated.*did not change"):
        go_live(live)
    assert pointer(live) == before and events(live)[-1] == ("release", "staged abandoned")


def test_a_rollback_killed_halfway_keeps_the_hold(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pointer(live)["version"]
    real = FileSwitch.verify

    def wrong(self: FileSwitch, version: str) -> Reading:
        reading = real(self, version)
        is_live = self.pointer().version == version != first
        return Reading(version, reading.content, ("not what was meant",)) if is_live else reading

    with monkeypatch.context() as patch:
        patch.setattr(FileSwitch, "verify", wrong)
        patch.setattr("parc.ledger.write_releases.record_automatic_rollback", killed)
        with pytest.raises(Killed):
            go_live(live)
    assert pointer(live)["version"] == first
    with pytest.raises(RoutingRefused, match="held by"):
        go_live(live)
    assert events(live)[1:] == [("release", "staged rolled_back"), ("rollback", "activated")]


def test_concurrent_releases_run_one_at_a_time(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    real = FileSwitch.stage

    def slow(self: FileSwitch, staged: Release) -> None:
        inside.set()
        assert go_on.wait(20)
        real(self, staged)

    monkeypatch.setattr(FileSwitch, "stage", slow)
    approved = routing.plan(live, EVE).plan_hash
    outcomes: list[object] = []

    def first() -> None:
        outcomes.append(
            routing.apply(live, EVE, requested_by="a", reason="r", approve=approved, approved_by="A").status
        )

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert inside.wait(20)
        with pytest.raises(Busy, match="another routing release is running"):
            routing.apply(live, EVE, requested_by="b", reason="r", approve=approved, approved_by="B")
        with pytest.raises(Busy):
            routing.rollback(live, requested_by="b", reason="r")
    finally:
        go_on.set()
        thread.join()
    assert outcomes == ["released"] and len(events(live)) == 2


def test_a_run_that_lost_its_lock_does_not_flip(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session is cut while it stages; another release goes through; the late one must not undo it."""
    real = FileSwitch.stage
    approved = routing.plan(live, EVE).plan_hash

    def overtaken(self: FileSwitch, staged: Release) -> None:
        monkeypatch.setattr(FileSwitch, "stage", real)
        real(self, staged)
        with connect(live, "admin", autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pid) from ops.lock where pid is not null")
        routing.apply(live, EVE, requested_by="b", reason="r", approve=approved, approved_by="B")

    monkeypatch.setattr(FileSwitch, "stage", overtaken)
    with pytest.raises((ParcError, psycopg.OperationalError)):
        routing.apply(live, EVE, requested_by="a", reason="r", approve=approved, approved_by="A")
    newest = (
        "select approved_by from ops.routing_release inner join ops.routing_release_event using (release_id) "
        "where event = 'activated' order by event_id desc limit 1"
    )
    assert rows(live, newest) == [("B",)]
    assert routing.verify(live).is_ok


@pytest.mark.parametrize(
    "name",
    [
        "routing_release",
        "routing_release_event",
        "routing_change",
        "routing_hold",
        "routing_kill_switch",
        "routing_drift",
        "routing_plan",
        "routing_request",
        "routing_answer",
    ],
)
def test_the_audit_only_grows(live: Settings, name: str) -> None:
    for statement in (
        f"update ops.{name} set {{}}",
        f"delete from ops.{name}",
        f"truncate ops.{name} cascade",
    ):
        column = {
            "routing_release_event": "release_id = 1",
            "routing_change": "release_id = 1",
            "routing_plan": "reasons = '{}'",
            "routing_request": "plan_id = 1",
        }.get(name, "reason = 'x'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):  # noqa: SIM117
            with connect(live, "admin") as connection:
                connection.execute(statement.format(column).encode())


def test_no_number_is_in_the_audit(live: Settings) -> None:
    with connect(live, "loader") as connection:
        connection.execute(
            "insert into routing.line_assignment values ('+33299120009', '35', 'ported', '2012-04-02', null)"
        )
    routing.apply(live, QUIET, requested_by="n", reason="n")
    key = UUID(bytes=hmac.digest(live.pseudonym_secret, b"+33299120009", "sha256")[:16])
    kept = "select row_key, after from ops.routing_change where table_name = 'exceptions' and release_id > 1"
    assert rows(live, kept) == [({"number_key": str(key)}, {"zone_code": "53"})]
    with connect(live, "admin") as connection:
        names = [
            row[0] for row in connection.execute("select tablename from pg_tables where schemaname = 'ops'")
        ]
        for name in names:
            query = f"select count(*) from ops.{name} t where t::text ~ '29912000|69900000'"
            assert connection.execute(query.encode()).fetchone() == (0,), name


def test_recorded_rows_are_bounded_and_counts_are_complete(
    world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parc.routing.steering.record.CHANGES_KEPT", 3)
    routing.apply(world, QUIET, requested_by="n", reason="n", bootstrap=True)
    kept = dict(rows(world, "select table_name, count(*) from ops.routing_change group by 1"))
    assert kept == {
        name: min(3, count)
        for name, count in rows(world, "select row_counts from ops.routing_release")[0][0].items()
    }
    assert set(kept) == set(SHAPES)


def test_roles_keep_to_their_rights(live: Settings) -> None:
    with connect(live, "reader") as connection:
        assert connection.execute("select count(*) from ops.routing_release").fetchone() == (1,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(live, "transformer") as connection:
        connection.execute(
            "insert into ops.routing_hold (event, set_by, reason) values ('released', 'x', 'x')"
        )


def test_old_versions_are_discarded_except_for_rollback(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "VERSIONS_KEPT", 2)
    versions = [pointer(live)["version"]]
    for last in range(1, 4):
        marts(live, f"insert into marts.routing_prefixes values ('2012-04-01', '02999{last}', '53')")
        versions.append(str(routing.apply(live, QUIET, requested_by="n", reason="n").version))
    held = sorted(path.name for path in (Path(live.switch) / "releases").iterdir())
    assert held == versions[-2:]
    assert routing.rollback(live, requested_by="p", reason="r").version == versions[-2]


def test_status_shows_the_state_of_routing(live: Settings) -> None:
    found = routing.status(live, EVE)
    assert (found.version, found.kind, found.released_by) == (pointer(live)["version"], "bootstrap", "night")
    assert (found.drift, found.hold, found.kill_switch, found.unfinished) == (None, None, None, None)
    assert found.pending is not None and found.pending.verdict == "needs approval"
    assert found.pending.plan_hash in found.facts()["pending plan"]
    json.dumps(found.to_json())
    assert newest_business_date(live) == QUIET  # the last release's: no calls were built here


def test_an_unbuilt_warehouse_is_reported(warehouse: Settings) -> None:
    with pytest.raises(RoutingRefused, match="the marts hold no calls yet"):
        newest_business_date(warehouse)
    assert routing.verify(warehouse).problems == ["no release was made yet: `parc routing apply --bootstrap`"]
