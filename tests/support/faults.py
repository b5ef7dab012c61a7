"""What a load of a simulated fault left, compared with what the simulator recorded of it."""

from __future__ import annotations

from datetime import date
from typing import Any

from parc.loading import Outcome
from parc.settings import Settings
from support.deliveries import query

Record = dict[str, Any]


def raw_rows(settings: Settings, feed: str, day: date) -> int:
    return int(query(settings, f"select count(*) from raw.{feed} where business_date = %s", day)[0][0])


def check_outcome(settings: Settings, outcome: Outcome, record: Record) -> None:
    """Compare an outcome, its ledger row, the quarantine and the raw table with the record."""
    assert outcome.status == record["outcome"]
    assert raw_rows(settings, outcome.feed, outcome.business_date) == outcome.rows_published
    if outcome.delivery_id is None:
        assert (outcome.status, outcome.rows_read) == ("missing", 0)
        return
    ((status, read, published, quarantined, reason, warnings),) = query(
        settings,
        "select status, rows_read, rows_published, rows_quarantined, reason, warnings from ops.delivery "
        "where delivery_id = %s",
        outcome.delivery_id,
    )
    kept = query(
        settings, "select line_number, reason from ops.quarantine where delivery_id = %s", outcome.delivery_id
    )
    assert status == ("published" if outcome.status == "unchanged" else outcome.status)
    assert (read, published) == (outcome.rows_read, outcome.rows_published)
    assert read == published + quarantined
    assert (reason is not None) == (status == "refused")
    if status == "refused":
        assert published == 0
    else:
        assert quarantined == len(kept) == record["rows_quarantined"]
    assert all(line > 1 for line, _ in kept)
    if record["names"]:
        reported = [reason or "", *warnings, *(reason for _, reason in kept)]
        assert any(record["names"] in text for text in reported), reported
