"""A withdrawn delivery: its rows go, its date is due again, its bytes stay out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from parc import desk, quality
from parc.errors import Busy, ConfigurationError, DeliveryRefused
from parc.host import shell
from parc.ledger import locks
from parc.loading import Outcome, ingest, replay, unseen, withdraw
from parc.quality import Verdict
from parc.settings import Settings
from parc.warehouse import connect
from support.command_line import parc
from support.deliveries import DAY, as_csv, deliver, legs, published, query, raw_tables

NUMBERS = "line_assignments"


@pytest.fixture(autouse=True)
def nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def load(settings: Settings, rows: int, day: date = DAY) -> Outcome:
    deliver(settings, "calls", day, calls__csv=as_csv(legs(rows, day)))
    outcome = ingest(settings, "calls", day)
    assert outcome.delivery_id
    return outcome


def statuses(settings: Settings) -> list[tuple[str, str | None]]:
    return query(settings, "select status, reason from ops.delivery order by delivery_id")


def test_withdrawal_removes_rows_and_blocks_their_bytes(warehouse: Settings) -> None:
    first, second = load(warehouse, 30), load(warehouse, 20)
    assert second.delivery_id
    reported = withdraw(warehouse, second.delivery_id, "of the test system")
    assert f"delivery {second.delivery_id} (calls {DAY}) is withdrawn: 20 rows" in reported
    assert published(warehouse) == raw_tables(warehouse) == []
    assert statuses(warehouse) == [("superseded", None), ("withdrawn", "of the test system")]
    assert "already withdrawn" in withdraw(warehouse, second.delivery_id, "again")

    assert ("calls", DAY) not in unseen(warehouse, DAY, DAY)
    again = ingest(warehouse, "calls", DAY)
    assert (again.status, again.is_failure) == ("refused", True)
    assert "withdrawn as delivery" in again.message and "of the test system" in again.message
    assert published(warehouse) == [] and len(statuses(warehouse)) == 2

    assert load(warehouse, 30).status == "published"  # what it had replaced may be sent again
    assert first.delivery_id and len(published(warehouse)) == 30


def test_a_replay_accepts_withdrawn_bytes(warehouse: Settings) -> None:
    outcome = load(warehouse, 20)
    assert outcome.delivery_id
    withdraw(warehouse, outcome.delivery_id, "by mistake")
    assert replay(warehouse, outcome.delivery_id).status == "published"
    assert len(published(warehouse)) == 20
    assert ingest(warehouse, "calls", DAY).status == "unchanged"


def test_withdrawing_a_refused_delivery_changes_only_the_ledger(warehouse: Settings) -> None:
    load(warehouse, 20)
    deliver(warehouse, "calls", DAY, calls__csv=b"who\nme\n")
    refused = ingest(warehouse, "calls", DAY)
    assert refused.status == "refused" and refused.delivery_id
    assert "none of it was published" in withdraw(warehouse, refused.delivery_id, "a slip")
    assert len(published(warehouse)) == 20
    assert [finding for finding in desk.findings(warehouse) if finding.kind == "refused"] == []


def test_a_withdrawn_date_is_due_again_and_no_longer_the_newest(warehouse: Settings) -> None:
    last = load(warehouse, 20, DAY + timedelta(days=30))
    load(warehouse, 20)
    assert desk.newest_night(warehouse) == DAY + timedelta(days=30)
    assert last.delivery_id
    withdraw(warehouse, last.delivery_id, "a slip of the date")
    assert desk.newest_night(warehouse) == DAY
    [calls] = [each for each in desk.due(warehouse, DAY + timedelta(days=30)) if each.feed == "calls"]
    assert calls.state == "missing"


def test_an_impossible_withdrawal_says_why(warehouse: Settings) -> None:
    first, second = load(warehouse, 20), load(warehouse, 21)
    assert first.delivery_id and second.delivery_id
    with pytest.raises(ConfigurationError, match="there is no delivery 99"):
        withdraw(warehouse, 99, "")
    with pytest.raises(DeliveryRefused, match=f"parc withdraw {second.delivery_id}"):
        withdraw(warehouse, first.delivery_id, "")
    with (
        connect(warehouse, "transformer", autocommit=True) as build,
        locks.held(build, locks.READING, ""),
        pytest.raises(Busy, match="a build reads the raw tables"),
    ):
        withdraw(warehouse, second.delivery_id, "")
    with connect(warehouse, "loader") as loading:
        assert locks.try_keep(loading, locks.of_load("calls", DAY))
        with pytest.raises(Busy, match="its date is being loaded"):
            withdraw(warehouse, second.delivery_id, "")
    query(warehouse, "update ops.delivery set expired_at = now() where status = 'published' returning 1")
    with pytest.raises(DeliveryRefused, match="past retention"):
        withdraw(warehouse, second.delivery_id, "")
    assert len(published(warehouse)) == 21


def test_the_command_line_reports_it_in_one_line_with_its_steps(warehouse: Settings) -> None:
    outcome = load(warehouse, 20)
    done = parc(warehouse, "withdraw", str(outcome.delivery_id), "--reason", "a slip")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    wrong = parc(warehouse, "withdraw", "99", "--reason", "a slip")
    assert wrong.returncode == 3
    assert wrong.stderr.splitlines() == [
        "parc: there is no delivery 99",
        '  list them: parc sql "select * from ops.delivery"',
        f"  In a shell, first: {shell.definition(warehouse)}",
    ]


def test_a_range_snapshot_stays_if_its_predecessor_is_past_retention(warehouse: Settings) -> None:
    def snapshot(day: date, department: str) -> int:
        row = f"number,department_code,reason\n+33299000001,{department},moved\n"
        deliver(warehouse, NUMBERS, day, lines__csv=row.encode())
        outcome = ingest(warehouse, NUMBERS, day)
        assert outcome.delivery_id, outcome.message
        return outcome.delivery_id

    snapshot(DAY, "22")
    newest = snapshot(DAY + timedelta(days=7), "35")
    query(warehouse, "update ops.delivery set expired_at = now() where business_date = %s returning 1", DAY)
    with pytest.raises(DeliveryRefused, match="the snapshot before it .* is past retention"):
        withdraw(warehouse, newest, "")
