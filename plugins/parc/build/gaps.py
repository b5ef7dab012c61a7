"""Deliveries that were due but are not in a build: recorded with the build, and reported."""

from __future__ import annotations

from datetime import datetime

from parc.instants import shown
from parc.ledger.due import Gap

REPORTED_GAPS = 5


def words(gaps: list[Gap]) -> list[str]:
    """A line for each of the newest gaps, and one for the rest."""
    lines = []
    for gap in gaps[::-1][:REPORTED_GAPS]:
        due = shown(datetime.fromisoformat(gap["due_at"]))
        then = {
            "missing": "it is built when it arrives",
            "refused": "it was refused; it is built when it is sent again",
            "arriving": "it arrived in the meantime; the next build takes it",
        }[gap["status"]]
        lines.append(f"built without {gap['feed']} {gap['business_date']}, due {due}: {then}")
    if len(gaps) > REPORTED_GAPS:
        lines.append(f"and without {len(gaps) - REPORTED_GAPS} more (marts.mart_feed_health has them all)")
    return lines
