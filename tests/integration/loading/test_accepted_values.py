"""Whatever loading accepts, the marts accept: every value of every column of every feed, each in its own
row."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from parc.build import build
from parc.feeds import FEEDS, LONGEST_VALUE, Column, Feed, Personal, Type
from parc.feeds.declaration import DEPARTMENT
from parc.instants import PARIS
from parc.loading import ingest
from parc.settings import Settings
from support.accepted_values import DAY, SOUND, Row, at, free_key, local, sound_rows, unlike
from support.marts import marts, rows

TEXTS = (
    "x",
    "0",
    "%s",
    "{{ ref('x') }}",
    "{}",
    "$1",
    "'",
    "';--",
    'a "quoted" word',
    "a, b",
    "two\nlines",
    "a\ttab",
    "\u00e9",
    "e\u0301",
    "\u4e2d\u6587",
    "\U0001f642",
    "a\u200bb",
    "\u202eright to left",
    "a\u2028b",
    "a\x7fb",
    "unknown",
    "all",
    "infinity",
    "region 53",
    "a" * LONGEST_VALUE,
    # As long in bytes as a text can be, and no two alike: neither an index nor compression makes it short.
    "".join(chr(0x20000 + (number * 7919) % 40000) for number in range(LONGEST_VALUE)),
)
WITHHELD = ("", "anonymous", "restricted", "unavailable", "+266696687")
NUMBERS = (
    "+33299120001",
    "0299120002",
    "0033299120003",
    "+33612345678",
    "+590590123456",
    "+262692123456",
    "+508412345",
    "+12025550123",
    "+8613800138000",
)
DEPARTMENTS = ("2A", "2B", "20", "975", "971", "976", "00", "01", "95", "96", "99", "000", "999")
FORMS = {
    "prefix": ("0000", "0299", "02999", "029999", "0262", "0508", "0700", "099999"),
    "zne_insee": ("2A004", "2B033", "00000", "99999"),
}
WHOLE = {Type.SMALLINT: 2**15 - 1, Type.INTEGER: 2**31 - 1, Type.BIGINT: 2**63 - 1}


def accepted(feed: Feed, column: Column) -> Iterator[Row]:
    """What to set so that the column holds each of the values that its declaration accepts."""
    if column.nullable:
        yield {column.name: ""} | (
            {"outcome": "abandoned"} if any(column.name in need.needed for need in feed.needs) else {}
        )
    if column.personal is Personal.NUMBER:
        yield from ({column.name: number} for number in (*(WITHHELD if column.nullable else ()), *NUMBERS))
    elif column.one_of:
        yield from ({column.name: value} for value in column.one_of)
    elif column.form:
        forms = DEPARTMENTS if column.form is DEPARTMENT else FORMS[column.name]
        yield from ({column.name: value} for value in forms)
    elif column.type in WHOLE:
        edges = (column.at_least or 0, (column.at_least or 0) + 1, column.at_most or WHOLE[column.type])
        yield from ({column.name: str(value)} for value in edges)
    elif column.type is Type.INSTANT:
        yield from _moments(feed, column)
    elif column.window:
        days = {*column.window.dates(DAY), date(2012, 2, 29), date(2012, 5, 1)}
        yield from ({column.name: str(day)} | _in_order(feed, column.name, str(day)) for day in sorted(days))
    else:
        yield from ({column.name: text} for text in TEXTS)


def _moments(feed: Feed, column: Column) -> Iterator[Row]:
    """The first and the last moment that the column may hold."""
    first, last = column.window.dates(DAY) if column.window else (DAY, DAY)
    begins = datetime.combine(first, time(), PARIS)
    ends = datetime.combine(last + timedelta(days=1), time(), PARIS) - timedelta(microseconds=1)
    for moment in (local(begins), local(ends)):
        yield _in_order(feed, column.name, moment) | {column.name: moment}


def _in_order(feed: Feed, name: str, moment: str) -> Row:
    """What must not be later than that moment, or earlier, if the sound row has it so."""
    found = {}
    for direction in (-1, 1):
        for other in _with(feed, name, direction):
            sound = SOUND[feed.name][other]
            if sound and (datetime.fromisoformat(sound) > datetime.fromisoformat(moment)) != (direction > 0):
                found[other] = moment
    return found


def _with(feed: Feed, name: str, direction: int) -> list[str]:
    """The columns before (-1) or after (1) it in an order that the feed declares."""
    for sequence in feed.in_order:
        if name in sequence:
            place = sequence.index(name)
            return list(sequence[:place] if direction < 0 else sequence[place + 1 :])
    return []


def odd_rows(feed: Feed) -> list[Row]:
    """A row for each accepted value of each column, otherwise valid and with its own key."""
    found: list[Row] = []
    for column in feed.file_columns:
        for number, values in enumerate(accepted(feed, column)):
            key = dict.fromkeys(free_key(feed), f"{column.name} {number}")
            found.append(SOUND[feed.name] | key | unlike(feed, len(found)) | values)
    return list({tuple(row[name] for name in feed.key): row for row in found}.values())


def odd_contacts(chance: random.Random) -> list[Row]:
    """Contacts of several legs, each accepted, that no switch would report together."""
    found = []
    for number in range(150):
        for leg_no in chance.sample(range(1, 6), chance.randint(1, 4)):
            outcome = chance.choice(("answered", "abandoned", "ivr_resolved", "overflowed", "blocked"))
            moments = sorted(chance.choices(range(0, 1800), k=4))
            row = SOUND["calls"] | {
                "call_id": f"odd {number}",
                "leg_no": str(leg_no),
                "outcome": outcome,
                "market": chance.choice(("fixe", "internet", "open")),
                "satisfaction": chance.choice(("", "1", "5")),
                "recommend": chance.choice(("", "0", "10")),
                "customer_ref": chance.choice(("", "C1", "C2")),
                "caller_number": chance.choice(("", "anonymous", "+33299120001", "+33299120002")),
                "line_department": chance.choice(("", "35", "975", "20", "999")),
                "site_code": chance.choice(("", "RENNES", "NOWHERE")),
                "reason_code": chance.choice(("", "bill", "unknown")),
            }
            names = ("offered_at", "queued_at", "answered_at", "ended_at")
            row |= {name: at(minutes / 10) for name, minutes in zip(names, moments, strict=True)}
            if outcome != "answered":
                row |= {name: "" for name in ("queued_at", "answered_at") if chance.random() < 0.5}
            found.append(row)
    return found


def odd_jobs(chance: random.Random) -> list[Row]:
    """Jobs of several states, each accepted, in which nothing need follow from anything."""
    found = []
    for number in range(150):
        for state in range(chance.randint(1, 4)):
            moments = sorted(chance.choices(range(-3000, 2200), k=3))
            slot = sorted(chance.choices(range(-3000, 3000), k=2))
            row = SOUND["interventions"] | {
                "job_id": f"odd {number}",
                "updated_at": at(chance.randint(-1500, 1500) + state / 100),
                "kind": chance.choice(("repair", "installation")),
                "line_ref": chance.choice(("", "L1", "L2", "L3")),
                "customer_ref": chance.choice(("", "C1", "C2")),
                "department_code": chance.choice(("35", "975", "20", "999")),
                "rescheduled_by": chance.choice(("", "", "customer", "operator")),
                "result": chance.choice(
                    ("", "done", "incomplete", "customer_absent", "technician_absent", "cancelled")
                ),
                "first_slot_offered_at": chance.choice(("", at(-4000), at(4000))),
            }
            row |= dict(zip(("requested_at", "arrived_at", "closed_at"), map(at, moments), strict=True))
            row |= dict(zip(("slot_start", "slot_end"), map(at, slot), strict=True))
            row |= {
                name: ""
                for name in ("arrived_at", "closed_at", "slot_start", "slot_end")
                if chance.random() < 0.3
            }
            found.append(row)
    return list({(row["job_id"], row["updated_at"]): row for row in found}.values())


def odd_visits(chance: random.Random) -> list[Row]:
    """Visits of every outcome, served or not."""
    outcomes, served = ("served", "left_unserved", "sale"), (at(0), at(20), "")
    return [
        SOUND["boutique_visits"] | {"visit_id": f"odd {number}", "outcome": outcome, "served_at": served_at}
        for number, (outcome, served_at) in enumerate(product(outcomes, served))
    ]


def deliver(settings: Settings, feed: Feed, day: date, found: list[Row]) -> None:
    """Load the rows as the day's delivery: every one of them is accepted."""
    folder = Path(settings.landing) / feed.name / f"date={day}"
    folder.mkdir(parents=True)
    with (folder / f"{feed.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in feed.file_columns])
        writer.writeheader()
        writer.writerows(found)
    outcome = ingest(settings, feed.name, day)
    assert outcome.status == "published", outcome.message
    assert outcome.rows_published == len(found), outcome.message


def odd_days(chance: random.Random) -> dict[str, list[Row]]:
    """Per feed all its odd rows, and the sound ones beside them."""
    together = {
        "calls": odd_contacts(chance),
        "interventions": odd_jobs(chance),
        "boutique_visits": odd_visits(chance),
    }
    return {
        feed.name: [*odd_rows(feed), *together.get(feed.name, []), *sound_rows(feed)]
        for feed in FEEDS.values()
    }


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Iterator[Settings]:
    """All of them loaded and built."""
    for name, found in odd_days(random.Random(820)).items():
        deliver(module_warehouse, FEEDS[name], DAY, found)
    build(module_warehouse)
    yield module_warehouse


def test_every_accepted_value_builds_and_is_read(built: Settings) -> None:
    """Tables hold it, and views can reckon with it."""
    assert sum(len(odd_rows(feed)) for feed in FEEDS.values()) > 650
    names = rows(built, "select table_name from information_schema.tables where table_schema = 'marts'")
    for (name,) in names:
        assert rows(built, f'select m::text from marts."{name}" as m', "bi_reader") is not None, name


@pytest.mark.soak
def test_odd_values_and_order_make_no_difference(built: Settings) -> None:
    """Delivered again with the next day, in another order: the result equals a full refresh of both."""
    chance = random.Random(821)
    for name, found in odd_days(random.Random(820)).items():
        feed = FEEDS[name]
        later = [row | _of_the_next_day(feed, row) for row in chance.sample(found, len(found))]
        deliver(replace(built), feed, DAY + timedelta(days=1), later)
    build(built)
    incremental = marts(built)
    build(built, full_refresh=True)
    assert marts(built) == incremental


def _of_the_next_day(feed: Feed, row: Row) -> dict[str, Any]:
    """Keys do not change, so that every row exists twice; the column that dates a row moves on by a day."""
    tomorrow, moved = DAY + timedelta(days=1), {}
    for column in feed.file_columns:
        if column.window and (text := row[column.name]):
            moment = datetime.fromisoformat(text if len(text) > len("2012-04") else f"{text}-01")
            day = moment.astimezone(PARIS).date() if moment.tzinfo else moment.date()
            if feed.dated_by or day < column.window.dates(tomorrow)[0]:
                later = moment + timedelta(days=1)
                moved[column.name] = local(later) if moment.tzinfo else str(later.date())
    if feed.dated_by:
        moved[feed.dated_by] = local(datetime.fromisoformat(row[feed.dated_by]) + timedelta(days=1))
    return moved
