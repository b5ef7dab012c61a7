"""Quarantined rows: listed, shown, and replayed once the rule or the data is fixed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parc import feeds
from parc.errors import DeliveryRefused
from parc.feeds import FEEDS
from parc.loading import Outcome, held, ingest, ingestion
from parc.loading import replay as replayed
from parc.settings import Settings
from support.command_line import parc
from support.deliveries import DAY, as_csv, counts, deliver, ledger, legs, published

BAD = {3, 500, 900}


@pytest.fixture
def loaded(warehouse: Settings) -> Outcome:
    """A day with three rows of a market unknown to the contract."""
    rows = legs(1_000)
    for line in BAD:
        rows[line - 2]["market"] = "mobile"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("published", 1_000, 997, 3)
    return outcome


def admit_mobile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract is fixed: it has one more market."""
    calls = feeds.get("calls")
    columns = tuple(
        replace(column, one_of=(*column.one_of, "mobile")) if column.name == "market" else column
        for column in calls.columns
    )
    corrected = replace(calls, columns=columns)
    monkeypatch.setattr(feeds, "get", lambda name: corrected if name == "calls" else FEEDS[name])


def test_quarantined_rows_are_listed_and_shown(warehouse: Settings, loaded: Outcome) -> None:
    [reported] = held(warehouse)
    assert (reported.delivery_id, reported.row_count, reported.column_name, reported.first_line) == (
        loaded.delivery_id,
        3,
        "market",
        3,
    )
    listed = parc(warehouse, "quarantine", "list", "calls")
    assert "`market` is outside fixe|internet|open" in listed.stdout and "calls.csv line 3" in listed.stdout
    assert parc(warehouse, "quarantine", "list", "visits").returncode == 2
    shown = parc(warehouse, "quarantine", "show", str(loaded.delivery_id))
    assert f"calls {DAY}, published" in shown.stdout
    assert f"Quarantine of delivery {loaded.delivery_id}: 3 rows broke a rule" in shown.stdout
    assert shown.stdout.count("->market=mobile") == 3 and "queue_code=" in shown.stdout
    shown = parc(warehouse, "quarantine", "show", str(loaded.delivery_id), "--limit", "2")
    assert "the first 2 of 3 rows that broke a rule" in shown.stdout and "--limit 3 shows" in shown.stdout
    shown = parc(warehouse, "quarantine", "show", str(loaded.delivery_id), "--json")
    assert shown.stdout.count("line_number") == 3 and "+33" not in shown.stdout


def test_a_refused_delivery_says_how_many_rows_are_kept(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "REFUSED_ROWS_LISTED", 5)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv([leg | {"market": "mobile"} for leg in legs(20)]))
    refused = ingest(warehouse, "calls", DAY)
    assert refused.status == "refused"
    shown = parc(warehouse, "quarantine", "show", str(refused.delivery_id)).stdout
    assert "the first 5 of 20 rows that broke a rule (of a refused delivery no more are kept)" in shown
    listed = parc(warehouse, "quarantine", "list").stdout
    assert f"delivery {refused.delivery_id}: the first 5 of 20 rows" in listed
    shown = parc(warehouse, "quarantine", "show", str(refused.delivery_id), "--limit", "2").stdout
    assert "the first 2 of 20 rows that broke a rule, of which 5 are kept" in shown


def test_a_replay_publishes_rows_allowed_by_the_corrected_declaration(
    warehouse: Settings, loaded: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ingest(warehouse, "calls", DAY).status == "unchanged"
    admit_mobile(monkeypatch)
    outcome = replayed(warehouse, loaded.delivery_id or 0)
    assert counts(outcome) == ("published", 1_000, 1_000, 0)
    assert "3 rows added" in outcome.message or "added 3" in outcome.message, outcome.message
    assert held(warehouse) == [] and len(published(warehouse)) == 1_000
    again = replayed(warehouse, outcome.delivery_id or 0)
    assert counts(again) == counts(outcome) and len(published(warehouse)) == 1_000
    states = [(status, read, good + bad) for _, status, read, good, bad, _ in ledger(warehouse)]
    assert states == [("superseded", 1_000, 1_000)] * 2 + [("published", 1_000, 1_000)]
    with pytest.raises(DeliveryRefused, match=f"was replaced by delivery {again.delivery_id}"):
        replayed(warehouse, loaded.delivery_id or 0)


def test_a_replay_of_corrected_data_is_a_restatement(warehouse: Settings, loaded: Outcome) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(1_000)))
    assert counts(replayed(warehouse, loaded.delivery_id or 0)) == ("published", 1_000, 1_000, 0)


def test_a_replay_without_its_file_says_so(warehouse: Settings, loaded: Outcome) -> None:
    folder = deliver(warehouse, "calls", DAY)
    done = parc(warehouse, "quarantine", "replay", str(loaded.delivery_id))
    assert done.returncode == 4 and f"{folder}/calls.csv" in done.stderr
    assert "no longer exists" in done.stderr and f"parc ingest calls --date {DAY}" in done.stderr
    assert len(ledger(warehouse)) == 1 and len(published(warehouse)) == 997


def test_an_unknown_delivery_is_named(warehouse: Settings) -> None:
    for command in ("show", "replay"):
        done = parc(warehouse, "quarantine", command, "77")
        assert done.returncode == 3 and "there is no delivery 77" in done.stderr
