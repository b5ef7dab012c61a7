"""Handwritten deliveries of the boutiques."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

from parc.loading import ingest
from parc.settings import Settings

Row = dict[str, Any]


def boutique(code: str, department: str, closed_on: date | str = "") -> Row:
    """A boutique that has always been open."""
    return {
        "boutique_code": code,
        "name": code.title(),
        "department_code": department,
        "opened_on": "1990-01-01",
        "closed_on": str(closed_on),
    }


def visit(visit_id: str, day: date, boutique: str = "RENNES", **values: Any) -> Row:
    """A visitor of ten o'clock who is served after five minutes."""
    return {
        "visit_id": visit_id,
        "boutique_code": boutique,
        "arrived_at": f"{day}T10:00:00+02:00",
        "served_at": f"{day}T10:05:00+02:00",
        "left_at": f"{day}T10:20:00+02:00",
        "customer_ref": "",
        "reason_code": "bill",
        "outcome": "served",
        "satisfaction": "",
    } | values


def deliver(settings: Settings, feed: str, day: date, rows: list[Row], expect: str = "published") -> None:
    """Write a delivery into the landing zone and load it."""
    folder = Path(settings.landing) / feed / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / f"{feed}.csv").write_text(text.getvalue())
    outcome = ingest(settings, feed, day)
    assert outcome.status == expect, outcome.message
