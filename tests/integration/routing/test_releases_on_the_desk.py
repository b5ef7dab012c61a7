"""What the desk, `parc routing status` and doctor say of a release that is refused, waits or was rejected."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from parc import routing
from parc.desk import notices, switch
from parc.desk.go_live import GoLive, next_go_live
from parc.errors import RoutingRefused
from parc.findings import Finding, FindingKind, Step
from parc.host.sending import Notification
from parc.ledger import history, write_notices
from parc.ledger import notices as ledger
from parc.ledger.notices import Notice
from parc.routing import Plan
from parc.routing.switches.file import FileSwitch
from parc.settings import Settings
from parc.warehouse import connect
from support.printed import run_printed
from support.routing_world import EVE, QUIET, go_live, marts


def on_desk(settings: Settings) -> list[Finding]:
    with connect(settings, "reader") as connection:
        found = switch.findings(settings, connection, None)
        return found + notices.findings(connection, found)


def test_a_refused_release_stays_on_the_desk_until_another_is_planned(live: Settings) -> None:
    """Not cut at the colon, with what mends it, and no later build hides it."""
    marts(
        live,
        "update marts.mart_routing_demand_half_hourly set handle_seconds = offered_count * 300; "
        "update marts.routing_site_positions set position_count = 10 "
        "where site_code = 'RENNES' and weekday = 3",
    )
    with pytest.raises(RoutingRefused):
        routing.apply(live, EVE, requested_by="night", reason="n")
    step = Step("see what is live", "parc routing status")
    failed = Notice(
        FindingKind.RELEASE_RUN_FAILED, "export_routing", "r", None, EVE, EVE, "o", ["r"], "none", (step,)
    )
    with connect(live, "loader") as connection:
        write_notices.keep(connection, failed, Notification("the title", "the whole", datetime.now(UTC)))
    with connect(live, "admin") as connection:
        connection.execute("insert into ops.build (status, is_full_refresh) values ('published', false)")
        connection.execute("update marts.published_build set build_id = 2")
    [refused] = on_desk(live)  # the notice says nothing more
    assert (refused.kind, refused.is_wrong) == (FindingKind.ROUTING_REFUSED, True)
    assert refused.subject.name == "release for 2012-04-25"
    assert "the switch keeps its table: rule 6: RENNES: Wed 12:00-12:30, load 10.0 erlangs" in refused.text
    assert refused.text.endswith("It was planned from build 1; build 2 is published since")
    assert [step.command for step in refused.steps] == [
        "parc routing plan --date 2012-04-24",
        "",
        "parc build",
        "parc routing apply --date 2012-04-24",
    ]
    marts(live, "update marts.routing_site_positions set position_count = 14 where site_code = 'RENNES'")
    run_printed(live, FindingKind.ROUTING_REFUSED, codes=(0, 7))  # it waits for approval
    assert FindingKind.ROUTING_REFUSED not in [each.kind for each in on_desk(live)]
    with connect(live, "reader") as connection:
        assert ledger.still_true(connection, 5) == [], "the later plan is not refused"


def asked(settings: Settings) -> tuple[Plan, UUID]:
    """A run of export_routing asks for the approval of the go-live."""
    plan, question = routing.plan(settings, EVE), uuid4()
    run = replace(settings, airflow_run=("export_routing", "manual__1"))
    routing.ask(run, plan, requested_by="Bernard", question_id=question)
    return plan, question


def test_a_plan_that_waits_for_a_person_is_shown_until_somebody_approves(live: Settings) -> None:
    plan, question = asked(live)
    [waits] = on_desk(live)
    assert (waits.kind, waits.subject.run_id) == (FindingKind.APPROVAL, "manual__1")
    assert waits.text.startswith("Go-live of 53 fixe, internet on 2012-04-25: 10.0% of calls move; waits for")
    assert waits.steps[0].link == "/dags/export_routing/runs/manual__1/tasks/approve/required_actions"
    approve = f"parc routing apply --date 2012-04-24 --approve {plan.plan_hash}"
    reject = f"parc routing reject {plan.plan_hash}"
    assert [step.command for step in waits.steps[2:]] == [approve, reject]
    text = routing.status(live).facts()["waits for approval"]
    assert "asked by Bernard" in text and approve in text and reject in text
    with connect(live, "reader") as connection:
        assert [each.kind for each in switch.findings(live, connection, EVE)] == [FindingKind.APPROVAL]
    assert not routing.is_answered(live, question)
    run_printed(live, FindingKind.APPROVAL, instead=True, codes=(0, 7))  # 7 is that of reading the plan
    assert routing.is_answered(live, question) and on_desk(live) == []
    _, question = asked(live)
    run_printed(live, FindingKind.APPROVAL, codes=(0, 7))
    assert routing.is_answered(live, question) and on_desk(live) == []
    assert "the release of 2012-04-24 was approved by " in routing.status(live).facts()["last answer"]


def test_a_plan_no_longer_waits_when_another_was_made(live: Settings) -> None:
    asked(live)
    routing.note(live, routing.plan(live, QUIET), requested_by="night")
    assert on_desk(live) == []


def test_a_rejected_go_live_leaves_who_when_and_why(live: Settings) -> None:
    plan, question = asked(live)
    with connect(live, "admin") as connection:  # the marts hold the calls of its business date
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in) "
            "values ('calls', %s, 'published', '[]', 'd', 1)",
            [EVE],
        )
    routing.reject(live, plan.plan_hash, rejected_by="Anne", reason="Rennes has no staff")
    assert routing.is_answered(live, question)
    [behind] = on_desk(live)
    assert behind.kind is FindingKind.SWITCH_BEHIND and not behind.is_wrong
    assert re.search(
        r"plan changes on 2012-04-25; its release was rejected by Anne on .* \(Rennes has no staff\)$",
        behind.text,
    )
    assert routing.status(live).last_answer is not None
    with pytest.raises(RoutingRefused, match="no plan .* waits for an answer"):
        routing.reject(live, plan.plan_hash, rejected_by="Anne", reason="again")
    with pytest.raises(RoutingRefused, match="Eve is not among those who approve"):
        routing.reject(replace(live, approvers=("Anne",)), plan.plan_hash, rejected_by="Eve", reason="r")
    run_printed(live, FindingKind.SWITCH_BEHIND, found=on_desk(live), codes=(0, 7))
    run_printed(live, FindingKind.WAITING, found=on_desk(live), codes=(0, 7))
    assert on_desk(live) == []


def test_drift_and_a_release_cut_short_are_settled_as_printed(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(live, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in) "
            "values ('calls', %s, 'published', '[]', 'd', 1)",
            [QUIET],
        )
    for instead in (True, False):
        prefixes = Path(live.switch, "releases", routing.status(live).version or "", "prefixes.csv")
        prefixes.write_text(prefixes.read_text().replace("029912,53", "029912,52"))
        run_printed(live, FindingKind.DRIFT, found=on_desk(live), instead=instead, codes=(0, 6))
        assert on_desk(live) == []

    plan = routing.plan(live, EVE)
    with monkeypatch.context() as patch:
        patch.setattr(FileSwitch, "activate", cut_short)
        with pytest.raises(KeyboardInterrupt):
            routing.apply(live, EVE, requested_by="n", reason="n", approve=plan.plan_hash, approved_by="Anne")
    run_printed(live, FindingKind.UNFINISHED_RELEASE, found=on_desk(live), codes=(0, 7))
    assert FindingKind.UNFINISHED_RELEASE not in {each.kind for each in on_desk(live)}


def cut_short(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_new_month_is_due_and_no_fault_while_the_table_has_opening_hours(live: Settings) -> None:
    """The table for 30 April is live. The marts hold 30 April, so the table for 1 May is due."""
    last = date(2012, 4, 30)
    routing.apply(live, last - timedelta(days=1), requested_by="n", reason="n", **approval(live, last))
    with connect(live, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in) "
            "values ('calls', %s, 'published', '[]', 'd', 1)",
            [last],
        )
    [behind] = on_desk(live)
    assert behind.kind is FindingKind.SWITCH_BEHIND and not behind.is_wrong
    assert behind.text == (
        f"{routing.status(live).version} was made for 2012-04-30. The marts hold 2012-04-30, so the table "
        "for 2012-05-01 is due: a new month begins; the live table has opening hours up to 2012-07-31"
    )


def approval(settings: Settings, day: date) -> dict[str, str]:
    """What approves the release that takes effect on a day."""
    return {
        "approve": routing.plan(settings, day - timedelta(days=1)).plan_hash,
        "approved_by": "Anne",
    }


def test_the_history_says_who_what_when_and_why(live: Settings) -> None:
    plan, _ = asked(live)
    routing.reject(live, plan.plan_hash, rejected_by="Anne", reason="Rennes has no staff")
    asked(live)
    version = go_live(live).version
    routing.rollback(live, requested_by="Paul", reason="echo")
    with connect(live, "reader") as connection:
        found = history.events(connection, 100)
    assert sorted((each.at for each in found), reverse=True) == [each.at for each in found]
    told = {each.what: (each.subject, each.who, each.why) for each in found}
    assert told["rejected"] == (routing.subject(plan), "Anne", "Rennes has no staff")
    assert told["approved"] == (routing.subject(plan), "Anne", "Bretagne")
    assert told["waits for a person"][1:] == ("Bernard", "rule 5: go-live of 53 fixe, 53 internet")
    assert (version, "Bernard", "approved by Anne; Bretagne") in [
        (each.subject, each.who, each.why) for each in found if each.what == "released"
    ]
    assert told["rolled back"][1:] == ("Paul", "echo") == told["hold set"][1:]

    with connect(live, "bi_reader") as connection:
        releases = connection.execute(
            "select kind, outcome, approved_by, requested_by, version = %s, live_from_at is not null, "
            "live_until_at = lead(live_from_at) over (order by release_id) from mart_releases "
            "order by release_id",
            [version],
        ).fetchall()
    assert releases == [
        ("bootstrap", "activated", None, "night", False, True, True),
        ("release", "activated", "Anne", "Bernard", True, True, True),
        ("rollback", "activated", None, "Paul", False, True, None),
    ]


def test_the_next_go_live_and_what_still_blocks_it(live: Settings) -> None:
    with connect(live, "reader") as connection:
        assert next_go_live(live, connection) == GoLive(
            date(2012, 4, 25), "53 fixe, internet", ["a person must approve it"]
        )
    marts(live, "insert into marts.routing_freeze_windows values ('2012-04-24Z', '2012-04-26Z', 'vote')")
    plan, _ = asked(live)
    routing.reject(live, plan.plan_hash, rejected_by="Anne", reason="no staff")
    routing.disable(live, disabled_by="Paul", reason="works")
    with connect(live, "reader") as connection:
        found = next_go_live(live, connection)
    assert found and [block.split(" on ")[0] for block in found.blocks] == [
        found.blocks[0],
        "a freeze until 2012-04-26 02:00 Paris: vote",
        "its release was rejected by Anne",
        "a person must approve it",
    ]
    assert found.blocks[0].startswith("routing is disabled by Paul since ")


def test_a_folder_takes_no_drain_and_says_what_to_do(live: Settings) -> None:
    with pytest.raises(RoutingRefused, match="LYON cannot be drained: the switch is a folder") as refused:
        routing.drain(live, "LYON", datetime(2012, 5, 1, tzinfo=UTC), drained_by="Anne", reason="r")
    assert [step.command for step in refused.value.steps] == [
        "",
        "parc build",
        "parc routing apply",
        "parc routing emergency national",
    ]
    with connect(live, "reader") as connection:
        assert connection.execute("select count(*) from ops.routing_drain").fetchone() == (0,)
