"""What wants a person, in each state of a platform; after builds see test_nightly.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from parc import desk, routing
from parc.desk import Matter
from parc.errors import ConfigurationError
from parc.host import services
from parc.ledger import locks
from parc.loading import ingest
from parc.platform import doctor, status
from parc.settings import Settings
from parc.warehouse import connect

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


def told(settings: Settings) -> dict[str, Matter]:
    """What wants a person by kind, once each."""
    found = desk.matters(settings)
    assert len({matter.kind for matter in found}) == len(found), found
    return {matter.kind: matter for matter in found}


def test_an_empty_platform_wants_nothing(warehouse: Settings) -> None:
    assert desk.matters(warehouse) == []
    assert desk.newest_night(warehouse) is None


def test_a_warehouse_that_is_down_says_so(warehouse: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        desk.matters(warehouse.with_warehouse("postgresql://x@127.0.0.1:1/x"))


def test_a_schema_that_is_behind_is_all_that_can_be_told(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("delete from ops.schema_version where name = '0005_looked_for.sql'")
    what = "0005_looked_for.sql not applied to this warehouse"
    assert desk.matters(warehouse) == [Matter("schema", True, "schema", what, "parc up --no-airflow")]


def test_missing_days_are_told_together_also_before_the_first_build(warehouse: Settings) -> None:
    for day in (DAY, DAY + timedelta(days=1)):
        assert ingest(warehouse, "calls", day).status == "missing"
    assert ingest(warehouse, "boutiques", DAY).status == "missing"  # it is due on the first of a month
    missing = told(warehouse)["missing"]
    assert missing.is_wrong and missing.subject == "calls 2012-04-25 to 2012-04-26"
    assert missing.what == "due since 2012-04-26 04:00 Paris, has not come"
    assert missing.command == "have it sent, then parc ingest calls --from 2012-04-25 --to 2012-04-26"


def test_refused_until_a_later_one_is_published(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "refused", reason="lacks column `market`")
    refused = told(warehouse)["refused"]
    assert refused == Matter(
        "refused",
        True,
        "calls 2012-04-25",
        "refused: lacks column `market`",
        "have it sent again, then parc ingest calls --date 2012-04-25",
    )
    delivered(warehouse, "calls", DAY, "published")
    assert "refused" not in told(warehouse)
    delivered(warehouse, "calls", DAY, "refused", reason="half a day")
    again = told(warehouse)["refused"]
    assert not again.is_wrong and "delivery 2 of that day stays published" in again.what
    with connect(warehouse, "admin") as connection:  # the published bytes lie there again
        connection.execute("update ops.delivery set seen_at = clock_timestamp() where delivery_id = 2")
    assert "refused" not in told(warehouse)


def test_a_load_that_died_and_one_at_work(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "landed")
    assert told(warehouse)["interrupted"].command == "parc ingest calls --date 2012-04-25"
    with (
        connect(warehouse, "loader", autocommit=True) as connection,
        locks.held(connection, locks.of_load("calls", DAY), ""),
    ):
        assert desk.matters(warehouse) == []


@pytest.mark.parametrize(("rejected", "is_told"), [(49, False), (50, True)])
def test_quarantine_near_the_limit(warehouse: Settings, rejected: int, is_told: bool) -> None:
    delivered(warehouse, "calls", DAY, "published", read=10_000, rejected=rejected)
    found = told(warehouse)
    assert ("quarantine" in found) == is_told
    if is_told:
        assert found["quarantine"].what == "50 of 10,000 rows in quarantine (0.50%, the limit is 1%)"
        assert found["quarantine"].command == f"parc quarantine list calls --date {DAY}"


def test_what_is_not_built(warehouse: Settings) -> None:
    delivered(warehouse, "calls", DAY, "published")
    unbuilt(warehouse)
    assert told(warehouse)["not built"] == Matter(
        "not built", True, "1 delivery", "published and not in the marts yet: calls 2012-04-25", "parc build"
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
    failed = told(warehouse)["build failed"]
    assert (failed.subject, failed.what) == ("build 1", "fct_calls failed (no room)")
    assert failed.command == "mend the data or the model, then parc build"


def test_a_kill_switch_and_a_hold_are_no_faults(warehouse: Settings) -> None:
    routing.disable(warehouse, disabled_by="Anne", reason="works on the line")
    with connect(warehouse, "exporter") as connection:
        connection.execute("insert into ops.routing_hold (event, set_by, reason) values ('set', 'Paul', 'r')")
    found = told(warehouse)
    assert found.keys() == {"kill switch", "hold"} and not any(matter.is_wrong for matter in found.values())
    assert "Anne" in found["kill switch"].what and found["kill switch"].command == "parc routing enable"
    assert "Paul since" in found["hold"].what and found["hold"].command == "parc routing release-hold"
    checks = doctor.checks(warehouse)
    assert {check.name for check in checks if check.state == "note"} == {"routing"}
    assert all(check.is_ok for check in checks)


def test_a_switch_that_cannot_be_read(warehouse: Settings) -> None:
    found = told(replace(warehouse, switch="nosuch://place"))["switch"]
    assert found.is_wrong and "PARC_SWITCH" in found.what


def test_a_notice_is_told_unless_its_cause_is(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        for dag_id in ("ingest_calls", "export_routing"):
            connection.execute(
                "insert into ops.notice (dag_id, run_id, owner, text) values (%s, 'r', 'o', %s)",
                [dag_id, f"{dag_id} failed\n\nthe reason\n\nmore"],
            )
    assert {matter.subject for matter in desk.matters(warehouse)} == {"ingest_calls", "export_routing"}
    delivered(warehouse, "calls", DAY, "refused", reason="r")
    notice = told(warehouse)["notice"]
    assert notice.what.startswith("export_routing failed: the reason (told ") and not notice.is_wrong


def test_what_is_due_of_a_night(warehouse: Settings) -> None:
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
    assert {each.state for each in desk.due(warehouse, date(2999, 1, 2))} == {"due"}  # its hour has not come
    assert desk.newest_night(warehouse) == monday


def test_processes_that_ended_are_a_fault_and_those_never_started_none(
    warehouse: Settings, tmp_path: Path
) -> None:
    settings = replace(warehouse, home=tmp_path)
    assert status.matters(settings) == []
    for name in services.COMMANDS:
        (tmp_path / "run" / f"{name}.json").write_text('{"pid": 999999999, "created": 0}')
    gone = status.matters(settings)
    assert [matter.subject for matter in gone] == [f"airflow {name}" for name in services.COMMANDS]
    assert all(matter.is_wrong and matter.command == "parc up" for matter in gone)
