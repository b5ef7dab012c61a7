"""Handwritten deliveries of calls, and what the warehouse then contains of them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from parc.loading import Outcome
from parc.settings import Settings
from parc.warehouse import connect

DAY = date(2012, 4, 25)


Row = dict[str, str]


def legs(count: int, day: date = DAY, first: int = 0) -> list[Row]:
    """A day's legs, spread from 8 to 20 h; one contact in nine gives up."""
    opening = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
    return [
        leg(number, opening + timedelta(hours=12) * (number - first) / count)
        for number in range(first, first + count)
    ]


def leg(number: int, offered_at: datetime) -> Row:
    answered = number % 9 > 0
    offered_at = offered_at.replace(microsecond=0)

    def after(seconds: int) -> str:
        return (offered_at + timedelta(seconds=seconds)).isoformat()

    return {
        "call_id": f"call-{number}",
        "leg_no": "1",
        "offered_at": after(0),
        "queued_at": after(8),
        "answered_at": after(20) if answered else "",
        "ended_at": after(200),
        "caller_number": "" if number % 11 == 0 else f"+33299{number % 10**6:06d}",
        "dialled_number": "3900",
        "market": ("fixe", "internet", "open")[number % 3],
        "customer_ref": f"CUST{number:07d}" if number % 2 else "",
        "line_department": "35" if number % 2 else "",
        "site_code": "RENNES",
        "queue_code": "Q1",
        "outcome": "answered" if answered else "abandoned",
        "agent_ref": f"AGENT{number % 90:03d}" if answered else "",
        "hold_s": "0" if answered else "",
        "talk_s": "150" if answered else "",
        "wrap_up_s": "30" if answered else "",
        "transferred_to": "",
        "reason_code": "bill" if answered else "",
        "satisfaction": "",
        "recommend": "",
    }


def as_csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def deliver(settings: Settings, feed: str, day: date, **files: bytes | dict[str, Any]) -> Path:
    """Put files (`__` for the dot in their names) in the landing zone, replacing what was there."""
    folder = Path(settings.landing) / feed / f"date={day}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / (name.replace("__", ".") if name != "control" else "_CONTROL.json")
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def query(settings: Settings, text: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(settings, "admin") as connection:
        return connection.execute(text.encode(), values or None).fetchall()


def ledger(settings: Settings, feed: str = "calls") -> list[tuple[Any, ...]]:
    """(delivery, status, read, published, quarantined, rejected) by delivery."""
    return query(
        settings,
        "select delivery_id, status, rows_read, rows_published, rows_quarantined, rows_rejected "
        "from ops.delivery where feed = %s order by delivery_id",
        feed,
    )


def raw_tables(settings: Settings) -> list[str]:
    """Tables of single deliveries, wherever they are."""
    found = query(
        settings,
        "select relname from pg_class where relkind = 'r' and relname like '%%\\_\\_%%' "
        "and relnamespace in ('raw'::regnamespace, 'routing'::regnamespace) order by 1",
    )
    return [name for (name,) in found]


def published(settings: Settings, day: date = DAY) -> list[str]:
    found = query(settings, "select call_id from raw.calls where business_date = %s order by call_id", day)
    return [call_id for (call_id,) in found]


def counts(outcome: Outcome) -> tuple[str, int, int, int]:
    return outcome.status, outcome.rows_read, outcome.rows_published, outcome.rows_quarantined
