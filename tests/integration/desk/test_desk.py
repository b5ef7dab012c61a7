"""What needs attention, in each state of a platform; after builds see test_nightly.py."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from parc import desk, routing
from parc.errors import ConfigurationError, ParcError
from parc.findings import BUILD, Finding, FindingAnswer, FindingKind, Severity, Step, Subject
from parc.host import programs
from parc.host.sending import Notification
from parc.ledger import locks, nights, notices, write_deliveries, write_notices
from parc.ledger.notices import Notice
from parc.loading import ingest
from parc.platform import doctor
from parc.settings import Settings
from parc.warehouse import connect
from support.deliveries import deliver

DAY = date(2012, 4, 25)  # a Wednesday: only what is daily is due


def delivered(
    settings: Settings,
    feed: str,
    day: date,
    status: str,
    *,
    read: int = 100,
    rejected: int = 0,
    reason: str = "",
) -> None:
    """A row of the ledger; what is published is built too."""
    published = 0 if status == "refused" else read - rejected
    with connect(settings, "admin") as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, rows_read, "
            "rows_published, rows_quarantined, rows_rejected, reason, built_in) "
            "values (%s, %s, %s, '[]', '', %s, %s, %s, %s, %s, %s)",
            [
                feed,
                day,
                status,
                read,
                published,
                read - published,
                rejected,
                reason or None,
                1 if status == "published" else None,
            ],
        )


def unbuilt(settings: Settings) -> None:
    with connect(settings, "admin") as connection:
        connection.execute("update ops.delivery set built_in = null")


def found_by_kind(settings: Settings) -> dict[str, Finding]:
    """What needs attention, by kind, once each."""
    found = desk.findings(settings)
    assert len({finding.kind for finding in found}) == len(found), found
    return {finding.kind: finding for finding in found}


def test_an_empty_platform_needs_no_attention(warehouse: Settings) -> None:
    assert desk.findings(warehouse) == []
    assert desk.newest_night(warehouse) is None


def test_a_warehouse_that_is_down_is_reported(warehouse: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        desk.findings(warehouse.with_warehouse("postgresql://x@127.0.0.1:1/x"))


def test_an_outdated_schema_is_the_only_finding(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("delete from ops.schema_version where name = '0005_looked_for.sql'")
    what = "0005_looked_for.sql not applied to this warehouse"
    step = Step("apply what is missing", "parc up --no-airflow")
    assert desk.findings(warehouse) == [
        Finding(FindingKind.SCHEMA, Severity.WRONG, Subject("schema"), what, (step,))
    ]


def test_missing_days_are_one_finding_even_before_the_first_build(warehouse: Settings) -> None:
    for day in (DAY, DAY + timedelta(days=1)):
        assert ingest(warehouse, "calls", day, complete_only=True).status == "missing"
    # Boutiques are due on the first of a month only.
    assert ingest(warehouse, "boutiques", DAY, complete_only=True).status == "missing"
    missing = found_by_kind(warehouse)["missing"]
    assert missing.is_wrong and missing.subject == Subject.deliveries("calls", DAY, DAY + timedelta(days=1))
    assert missing.subject.name == "calls 2012-04-25 to 2012-04-26"
    assert missing.text == "due since 2012-04-26 04:00 Paris, has not arrived"
    assert missing.command == (
        "have it sent, then parc ingest calls --from 2012-04-25 --to 2012-04-26, then parc build"
    )


def test_what_lies_in_the_landing_zone_has_arrived(warehouse: Settings) -> None:
    """Desk and status say why no load has taken it, and until when it is left for the rest."""
    control: dict[str, Any] = {"sha256": {"calls.csv": "0" * 64, "more.csv": "0" * 64}}
    deliver(warehouse, "calls", DAY, calls__csv=b"who\nme\n", control=control)
    assert ingest(warehouse, "calls", DAY, complete_only=True).status == "missing"
    [due] = [each for each in desk.due(warehouse, DAY) if each.feed == "calls"]
    missing = found_by_kind(warehouse)["missing"]
    assert missing.is_wrong and missing.text == f"due since 2012-04-26 04:00 Paris, {due.detail}"
    assert re.fullmatch(
        r"lies in the landing zone \(calls\.csv, _CONTROL\.json; last written at .{16} Paris\), "
        r"not loaded yet: _CONTROL\.json names more\.csv, not there yet; "
        r"a night loads it as it is from .{16} Paris on",
        due.detail,
    )
    load = "parc ingest calls --date 2012-04-25, then parc build"
    assert missing.command == f"wait for the rest, or have it sent whole, then {load}"

    deliver(warehouse, "calls", DAY, calls__csv=b"who\nme\n", control={"rows": 1})
    missing = found_by_kind(warehouse)["missing"]
    assert missing.text.endswith("not loaded yet: the next look of a night loads it")
    assert missing.command == load

    remote = replace(warehouse, landing="sftp://127.0.0.1:1/landing")  # is not asked: that takes seconds
    text = found_by_kind(remote)["missing"].text
    assert "was not there, or not whole, when a night looked (the last time on 2" in text


def test_refused_until_a_later_one_is_published(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "refused", reason="lacks column `market`")
    refused = found_by_kind(warehouse)["refused"]
    assert refused == Finding(
        FindingKind.REFUSED,
        Severity.WRONG,
        Subject("calls 2012-04-25", feed="calls", first_date=DAY, last_date=DAY),
        "refused: lacks column `market`",
        (Step("have it sent again"), Step("load it", "parc ingest calls --date 2012-04-25"), BUILD),
    )
    assert refused.command == "have it sent again, then parc ingest calls --date 2012-04-25, then parc build"
    delivered(warehouse, "calls", DAY, "published")
    assert "refused" not in found_by_kind(warehouse)
    delivered(warehouse, "calls", DAY, "refused", reason="half a day")
    again = found_by_kind(warehouse)["refused"]
    assert not again.is_wrong and "delivery 2 of that day stays published" in again.text
    with connect(warehouse, "admin") as connection:  # the published bytes are there again
        connection.execute("update ops.delivery set seen_at = clock_timestamp() where delivery_id = 2")
    assert "refused" not in found_by_kind(warehouse)


def test_the_published_bytes_again_end_a_refusal_in_the_nights_too(warehouse: Settings) -> None:
    """A refused restatement, then the published file put back: the load finds its bytes unchanged."""

    def state() -> str:
        with connect(warehouse, "reader") as connection:
            [night] = nights.nights(connection, DAY)
        return night.state

    delivered(warehouse, "calls", DAY, "published")
    delivered(warehouse, "calls", DAY, "refused", reason="half a day")
    assert state() == "refused"
    with connect(warehouse, "loader") as connection:
        write_deliveries.see_again(connection, 1, files=[], listing=[])
    assert state() == "published"


def test_a_date_looked_for_by_hand_makes_no_night(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "published")
    outcome = ingest(warehouse, "calls", date(2030, 1, 1))
    assert outcome.status == "missing" and outcome.is_failure
    assert desk.newest_night(warehouse) == DAY
    assert not any(each["business_date"] > DAY for each in desk.missing(warehouse))


def test_dead_and_running_loads(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "landed")
    interrupted = found_by_kind(warehouse)["interrupted"]
    assert interrupted.command == "parc ingest calls --date 2012-04-25, then parc build"
    with (
        connect(warehouse, "loader", autocommit=True) as connection,
        locks.held(connection, locks.of_load("calls", DAY), ""),
    ):
        assert desk.findings(warehouse) == []


@pytest.mark.parametrize(("rejected", "is_found"), [(49, False), (50, True)])
def test_quarantine_near_the_limit(warehouse: Settings, rejected: int, is_found: bool) -> None:
    delivered(warehouse, "calls", DAY, "published", read=10_000, rejected=rejected)
    found = found_by_kind(warehouse)
    assert ("quarantine" in found) == is_found
    if is_found:
        assert found["quarantine"].text == "50 of 10,000 rows in quarantine (0.50%, the limit is 1%)"
        assert found["quarantine"].command == f"parc quarantine list calls --date {DAY}"


def test_unbuilt_deliveries_are_reported(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "published")
    unbuilt(warehouse)
    assert found_by_kind(warehouse)["not built"] == Finding(
        FindingKind.NOT_BUILT,
        Severity.WRONG,
        Subject("1 delivery"),
        "published and not in the marts yet: calls 2012-04-25",
        (Step("build the marts", "parc build"),),
    )


def test_a_failed_build_names_its_nodes(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute(
            "insert into ops.build (status, is_full_refresh, reason) values ('failed', false, 'r')"
        )
        connection.execute(
            "insert into ops.build_node (build_id, node, kind, status, seconds, message, position) values "
            "(1, 'stg_calls', 'model', 'success', 1, null, 1), "
            "(1, 'fct_calls', 'model', 'error', 1, 'no room', 2), "
            "(1, 'mart_parc', 'model', 'skipped', 0, null, 3)"
        )
    failed = found_by_kind(warehouse)["build failed"]
    assert (failed.subject, failed.text) == (Subject.build(1), "fct_calls failed (no room)")
    assert failed.command == "correct the data or the model, then parc build"
    with connect(warehouse, "admin") as connection:
        connection.execute("update ops.build_node set is_out_of_step = true")
    again = found_by_kind(warehouse)["build failed"]
    assert again.steps == (Step("rebuild the tables with their new columns", "parc build --full-refresh"),)


def test_a_kill_switch_and_a_hold_are_notes(warehouse: Settings) -> None:
    routing.disable(warehouse, disabled_by="Anne", reason="works on the line")
    with connect(warehouse, "exporter") as connection:
        connection.execute("insert into ops.routing_hold (event, set_by, reason) values ('set', 'Paul', 'r')")
    found = found_by_kind(warehouse)
    assert found.keys() == {"kill switch", "hold"} and not any(finding.is_wrong for finding in found.values())
    assert "Anne" in found["kill switch"].text and found["kill switch"].command == "parc routing enable"
    assert "Paul since" in found["hold"].text and found["hold"].command == "parc routing release-hold"
    checks = doctor.checks(warehouse)
    assert {check.name for check in checks if check.state == "note"} == {"routing"}
    assert all(check.is_ok for check in checks)


def test_a_switch_that_cannot_be_read(warehouse: Settings) -> None:
    found = found_by_kind(replace(warehouse, switch="nosuch://place"))["switch"]
    assert found.is_wrong and "cannot be opened" in found.text and "PARC_SWITCH" not in found.text
    assert found.command == "set PARC_SWITCH to the switch"


def test_an_error_brings_its_steps_to_the_finding(warehouse: Settings, tmp_path: Path) -> None:
    stopped = replace(warehouse, home=tmp_path, warehouse_dsn=None, landing=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError) as stop:
        desk.findings(stopped)
    assert stop.value.steps == (Step("start it", "parc up --no-airflow"),)
    commands = {check.name: check.command for check in doctor.checks(stopped) if not check.is_ok}
    assert commands["warehouse"] == "parc up --no-airflow"
    assert commands["landing zone"] == ("set PARC_LANDING to where deliveries arrive, or create the folder")


def notification() -> Notification:
    return Notification("the title", "the whole", datetime.now(UTC))


def noticed(dag_id: str, kind: FindingKind, feed: str | None = None) -> Notice:
    steps = (Step("trigger it again"), Step("open the run", link=f"/dags/{dag_id}/runs/r"))
    return Notice(kind, dag_id, "r", feed, None, None, "o", ["the reason\nmore"], "none", steps)


def test_a_notice_is_shown_unless_its_cause_is(warehouse: Settings) -> None:
    told = [
        noticed("ingest_calls", FindingKind.INGEST_RUN_FAILED, "calls"),
        noticed("export_routing", FindingKind.RELEASE_RUN_FAILED),
    ]
    with connect(warehouse, "loader") as connection:
        for notice in told:
            write_notices.keep(connection, notice, notification())
    assert {finding.kind for finding in desk.findings(warehouse)} == {notice.kind for notice in told}
    delivered(warehouse, "calls", DAY, "refused", reason="r")
    [found] = [finding for finding in desk.findings(warehouse) if finding.kind != "refused"]
    assert found.text.startswith("export_routing failed: the reason (reported ") and not found.is_wrong
    assert found.kind is FindingKind.RELEASE_RUN_FAILED and found.subject.run_id == "r"
    assert [step.label for step in found.steps] == [
        "trigger it again",
        "open the run",
        "read the whole notice",
    ]


def test_a_notice_is_not_cut_where_its_list_begins() -> None:
    notice = noticed("export_routing", FindingKind.RELEASE_RUN_FAILED)
    reason = "plan_release: the release is blocked:\n  - held by Paul\n  - a freeze"
    text = replace(notice, reasons=[reason]).finding.text
    assert text == "export_routing failed: plan_release: the release is blocked: held by Paul; a freeze"


ENDS = {
    FindingKind.INGEST_RUN_FAILED: "update ops.delivery set seen_at = clock_timestamp() where feed = 'calls'",
    FindingKind.BUILD_RUN_FAILED: "insert into marts.published_build values (1, clock_timestamp())",
    FindingKind.BUILD_RUN_OVERDUE: "insert into marts.published_build values (1, clock_timestamp())",
    FindingKind.RELEASE_RUN_OVERDUE: "insert into ops.routing_answer (request_id, verdict) "
    "values (1, 'expired')",
    FindingKind.MAINTENANCE_RUN_FAILED: "update ops.notice set ended_at = clock_timestamp()",
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_notice_ends_with_its_cause_and_with_no_other(warehouse: Settings, kind: FindingKind) -> None:
    feed, day = ("calls", DAY) if kind is FindingKind.INGEST_RUN_FAILED else (None, None)
    notice = replace(noticed("dag", kind, feed), first_date=day, last_date=day)
    with connect(warehouse, "admin") as connection:
        connection.execute("insert into ops.build (status, is_full_refresh) values ('published', false)")
        connection.execute(
            "insert into ops.routing_request (plan_hash, business_date, requested_by) "
            "values ('h', '2012-04-25', 'a')"
        )
    delivered(warehouse, "calls", DAY, "published")
    with connect(warehouse, "loader") as connection:
        write_notices.keep(connection, notice, notification())
    for other in {ENDS[other] for other in ENDS} - {ENDS[kind]}:
        with connect(warehouse, "admin") as connection:
            if kind is not FindingKind.MAINTENANCE_RUN_FAILED and "ops.notice" in other:
                continue
            connection.execute(other.encode())
        assert kind in found_by_kind(warehouse), other
    with connect(warehouse, "admin") as connection:
        connection.execute(ENDS[kind].encode())
    assert kind not in found_by_kind(warehouse)


def test_a_later_success_ends_the_notices_of_its_dag(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        for dag_id in ("ingest_late", "maintain_warehouse"):
            notice = noticed(dag_id, FindingKind.LATE_RUN_FAILED)
            write_notices.keep(connection, notice, notification())
        for notice_id, each in notices.open_of_dag(connection, "ingest_late").items():
            write_notices.update(connection, notice_id, replace(each, ended_at=each.at, ended_by="r2"))
    [found] = desk.findings(warehouse)
    assert found.subject.dag_id == "maintain_warehouse"
    with connect(warehouse, "loader") as connection:  # it fails again
        notice = noticed("ingest_late", FindingKind.LATE_RUN_FAILED)
        write_notices.keep(connection, notice, notification())
    assert len(desk.findings(warehouse)) == 2


def answer(verdict: Literal["acknowledged", "dismissed"], *, hours: int = 1) -> FindingAnswer:
    return FindingAnswer(verdict, "Anne", "a mistyped date", datetime.now(UTC) + timedelta(hours=hours))


def test_a_finding_is_acknowledged_and_dismissed(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "refused", reason="half a day")
    [finding] = desk.findings(warehouse)
    assert finding.answer is None and finding.is_wrong

    desk.answer(warehouse, finding.id, answer("acknowledged"))
    [acknowledged] = desk.findings(warehouse)
    assert acknowledged.answer and acknowledged.answer.answered_by == "Anne"
    assert acknowledged.is_wrong and not acknowledged.is_dismissed

    desk.answer(warehouse, finding.id, answer("dismissed"))
    [dismissed] = desk.findings(warehouse)
    assert dismissed.is_dismissed and not dismissed.is_wrong
    assert dismissed.to_json()["answer"]["reason"] == "a mistyped date"
    [check] = [each for each in doctor.checks(warehouse) if each.name == "deliveries"]
    assert check.is_ok and check.state == "note" and "dismissed by Anne until" in check.text

    delivered(warehouse, "boutique_visits", DAY, "refused", reason="another")
    assert [each.is_dismissed for each in desk.findings(warehouse)] == [False, True]
    desk.answer(warehouse, finding.id, answer("dismissed", hours=-1))  # it has ended
    assert not any(each.is_dismissed for each in desk.findings(warehouse))

    with pytest.raises(ParcError, match="nothing that needs attention has the id 00000000"):
        desk.answer(warehouse, "00000000", answer("dismissed"))


def test_the_id_of_a_finding_without_a_subject_of_its_own_is_that_of_its_text() -> None:
    def found(subject: Subject, text: str) -> str:
        return Finding(FindingKind.DRIFT, Severity.WRONG, subject, text).id

    assert found(Subject("switch"), "holds a") != found(Subject("switch"), "holds b")
    assert found(Subject.build(7), "1 waits") == found(Subject.build(7), "2 wait")
    assert found(Subject.build(7), "") != found(Subject.build(8), "")


def test_deliveries_due_in_a_night(warehouse: Settings) -> None:
    monday = date(2012, 4, 23)
    delivered(warehouse, "calls", monday, "refused", reason="half a day")
    delivered(warehouse, "boutique_visits", monday, "published", rejected=2)
    due = desk.due(warehouse, monday)
    assert [(each.feed, each.state, each.detail) for each in due] == [
        ("line_assignments", "missing", ""),
        ("calls", "refused", "half a day"),
        ("boutique_visits", "published", "98 rows, 2 in quarantine"),
        ("interventions", "missing", ""),
    ]
    assert due[0].due_at == datetime(2012, 4, 24, 1, tzinfo=UTC) and not due[0].is_daily
    assert {each.state for each in desk.due(warehouse, date(2999, 1, 2))} == {"expected"}
    assert desk.newest_night(warehouse) == monday


def test_crashed_processes_are_findings_and_unstarted_ones_are_not(
    warehouse: Settings, tmp_path: Path
) -> None:
    settings = replace(warehouse, home=tmp_path)
    assert desk.findings(settings) == []
    for name in programs.COMMANDS:
        (tmp_path / "run" / f"{name}.json").write_text('{"pid": 999999999, "created": 0}')
    gone = desk.findings(settings)
    assert [finding.subject.name for finding in gone] == [f"airflow {name}" for name in programs.COMMANDS]
    assert all(finding.is_wrong and finding.command == "parc up" for finding in gone)
