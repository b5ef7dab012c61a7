"""Rows of every feed that every rule accepts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import product

from parc.feeds import Feed, Type
from parc.instants import PARIS

Row = dict[str, str]


DAY = date(2012, 4, 25)


DAY_BEGINS = datetime.combine(DAY, time(), PARIS).astimezone(UTC)


SOUND_ROWS = 600
"""Sound rows beside the odd ones of a feed: its suite judges the delivery by what most of it is."""


def local(instant: datetime) -> str:
    return instant.astimezone(PARIS).isoformat()


def at(minutes: float) -> str:
    """Minutes after 10:00 on the day."""
    return local(DAY_BEGINS + timedelta(hours=10, minutes=minutes))


SOUND: dict[str, Row] = {
    "calls": {
        "call_id": "C",
        "leg_no": "1",
        "offered_at": at(0),
        "queued_at": at(0.1),
        "answered_at": at(0.4),
        "ended_at": at(5),
        "caller_number": "+33299120001",
        "dialled_number": "3900",
        "market": "internet",
        "customer_ref": "CUSTOMER",
        "line_department": "35",
        "site_code": "RENNES",
        "queue_code": "Q",
        "outcome": "answered",
        "agent_ref": "A",
        "hold_s": "0",
        "talk_s": "250",
        "wrap_up_s": "20",
        "transferred_to": "",
        "reason_code": "bill",
        "satisfaction": "5",
        "recommend": "9",
    },
    "boutique_visits": {
        "visit_id": "V",
        "boutique_code": "B",
        "arrived_at": at(0),
        "served_at": at(5),
        "left_at": at(20),
        "customer_ref": "CUSTOMER",
        "reason_code": "bill",
        "outcome": "served",
        "satisfaction": "4",
    },
    "interventions": {
        "job_id": "J",
        "updated_at": at(300),
        "unit_code": "UI_RENNES",
        "kind": "repair",
        "market": "fixe",
        "customer_ref": "CUSTOMER",
        "line_ref": "LINE",
        "department_code": "35",
        "requested_at": at(-1500),
        "first_slot_offered_at": at(0),
        "slot_start": at(0),
        "slot_end": at(120),
        "rescheduled_by": "",
        "arrived_at": at(30),
        "closed_at": at(90),
        "result": "done",
        "cause_code": "cable",
    },
    "active_lines": {"month": "2012-04", "department_code": "35", "market": "fixe", "lines": "1000"},
    "boutiques": {
        "boutique_code": "B",
        "name": "Rennes",
        "department_code": "35",
        "opened_on": "1990-01-01",
        "closed_on": "",
    },
    "numbering_plan": {
        "prefix": "029912",
        "operator_code": "FT",
        "zne_insee": "35238",
        "zne_name": "RENNES",
        "department_code": "35",
        "region_2012": "Bretagne",
    },
    "line_assignments": {"number": "+33299120001", "department_code": "35", "reason": "ported"},
}


def free_key(feed: Feed) -> list[str]:
    """The columns of its key that hold any text."""
    return [
        column.name
        for column in feed.file_columns
        if column.name in feed.key
        and column.type is Type.TEXT
        and not (column.one_of or column.form or column.personal)
    ]


def unlike(feed: Feed, number: int) -> Row:
    """A key of its own for a row of a feed whose keys are no free text."""
    match feed.name:
        case "active_lines":
            return {"month": f"{2003 + number // 12}-{1 + number % 12:02d}"}
        case "numbering_plan":
            return {"prefix": f"01{number:04d}"}
        case "line_assignments":
            return {"number": f"+332{number:08d}"}
        case _:
            return {}


def sound_rows(feed: Feed) -> list[Row]:
    """Enough normal rows to make the odd ones few."""
    rows = [SOUND[feed.name] | unlike(feed, 1000 + number) for number in range(SOUND_ROWS)]
    if feed.name == "active_lines":
        return [
            row | {"month": "2012-04", "department_code": f"{number % 95 + 1:02d}", "market": market}
            for number, (row, market) in enumerate(product(rows[:95], ("fixe", "internet", "open")))
        ]
    return [row | dict.fromkeys(free_key(feed), f"sound {number}") for number, row in enumerate(rows)]
