"""Rows of calls, and how the row rules sort them."""

from __future__ import annotations

import csv
import io
from datetime import date

from parc.feeds import FEEDS
from parc.loading.csvfile import read_blocks, read_header
from parc.loading.rows import CheckedBlock, RowRejection, RowRules, ValueChange
from parc.pseudonyms import Pseudonyms

SECRET = b"a secret that is longer than the sixty-four bytes of one block of SHA-256"


DAY = date(2012, 4, 25)


GOOD = {
    "call_id": "c1",
    "leg_no": "1",
    "offered_at": "2012-04-25T08:00:00+02:00",
    "queued_at": "2012-04-25T08:00:09+02:00",
    "answered_at": "2012-04-25T08:00:20+02:00",
    "ended_at": "2012-04-25T08:03:00+02:00",
    "caller_number": "+33299123456",
    "dialled_number": "3900",
    "market": "fixe",
    "customer_ref": "C0042",
    "line_department": "35",
    "site_code": "RENNES",
    "queue_code": "Q1",
    "outcome": "answered",
    "agent_ref": "A7",
    "hold_s": "0",
    "talk_s": "160",
    "wrap_up_s": "20",
    "transferred_to": "",
    "reason_code": "bill",
    "satisfaction": "5",
    "recommend": "10",
}


GOOD_ROWS = {
    "calls": GOOD,
    "boutique_visits": {
        "visit_id": "V1",
        "boutique_code": "B35-001",
        "arrived_at": "2012-04-25T10:00:00+02:00",
        "served_at": "2012-04-25T10:05:00+02:00",
        "left_at": "2012-04-25T10:15:00+02:00",
        "customer_ref": "C0042",
        "reason_code": "BILLING",
        "outcome": "served",
        "satisfaction": "4",
    },
    "interventions": {
        "job_id": "J1",
        "updated_at": "2012-04-25T18:00:00+02:00",
        "unit_code": "UI_RENNES",
        "kind": "repair",
        "market": "fixe",
        "customer_ref": "C0042",
        "line_ref": "L7",
        "department_code": "35",
        "requested_at": "2012-04-20T09:00:00+02:00",
        "first_slot_offered_at": "2012-04-25T14:00:00+02:00",
        "slot_start": "2012-04-25T14:00:00+02:00",
        "slot_end": "2012-04-25T16:00:00+02:00",
        "rescheduled_by": "customer",
        "arrived_at": "2012-04-25T14:10:00+02:00",
        "closed_at": "2012-04-25T15:00:00+02:00",
        "result": "done",
        "cause_code": "CABLE",
    },
    "active_lines": {"month": "2012-04", "department_code": "35", "market": "open", "lines": "7"},
    "boutiques": {
        "boutique_code": "B35-001",
        "name": "Rennes Le Bastard",
        "department_code": "35",
        "opened_on": "2006-07-15",
        "closed_on": "",
    },
    "numbering_plan": {
        "prefix": "029912",
        "operator_code": "FRTE",
        "zne_insee": "35238",
        "zne_name": "RENNES",
        "department_code": "35",
        "region_2012": "Bretagne",
    },
    "line_assignments": {"number": "+33299123456", "department_code": "22", "reason": "moved"},
}


def checked_blocks(
    feed: str, *rows: dict[str, str], day: date = DAY, block_bytes: int = 1 << 20
) -> list[CheckedBlock]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    stream = io.BytesIO(text.getvalue().encode())
    listed = {
        "service_numbers.dialled_number": ["3900", "0299120000"],
        "sites.site_code": ["RENNES", "SITE 12345678"],
    }
    rules = RowRules(FEEDS[feed], day, Pseudonyms(SECRET), listed)
    blocks = read_blocks(stream, read_header(stream), block_bytes)
    return [rules.check_block(block, 1, "calls.csv") for block in blocks]


def check_block(feed: str, *rows: dict[str, str], day: date = DAY) -> tuple[list[dict], list[RowRejection]]:
    (found,) = checked_blocks(feed, *rows, day=day)
    return found.rows.to_dicts(), found.rejected


def changes(feed: str, *rows: dict[str, str]) -> dict[tuple[str, ValueChange], tuple[int, int]]:
    """Count and first line of what was changed, by column and kind."""
    (found,) = checked_blocks(feed, *rows)
    return {(each.column, each.change): (each.count, each.first_line) for each in found.changed}


def call(**changes: str) -> tuple[list[dict], list[RowRejection]]:
    return check_block("calls", GOOD | changes)
