"""Deliveries of the boutiques and the field units: how their declarations treat realistic files."""

from __future__ import annotations

import gzip
import hmac
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import polars as pl
import pytest

from parc import feeds, quality
from parc.feeds import Keeping, Type
from parc.loading import ingest
from parc.quality import Verdict
from parc.settings import Settings
from support.deliveries import DAY as WEDNESDAY
from support.deliveries import Row, as_csv, counts, deliver, ledger, query

CITIES = ("Rennes", "Brest", "Saint-Brieuc", 'Vannes "Les Halles", centre', "Nîmes")


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the suites, which are slow and tested elsewhere."""
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def at(day: date, hour: int, minute: float = 0) -> str:
    """An instant of the day in the spelling of a French summer, UTC + 2 h."""
    moment = datetime(day.year, day.month, day.day) + timedelta(hours=hour, minutes=minute)
    return f"{moment.isoformat()}+02:00"


def visits(count: int, day: date = WEDNESDAY) -> list[Row]:
    """A day's tickets from 9 h on; every fourth visitor leaves unserved, every second is known."""
    return [visit(number, 480 * number / count, day) for number in range(count)]


def visit(number: int, minute: float, day: date) -> Row:
    outcome = ("served", "sale", "served", "left_unserved")[number % 4]
    return {
        "visit_id": f"visit-{number}",
        "boutique_code": f"B{number % 7:03d}",
        "arrived_at": at(day, 9, minute // 1),
        "served_at": "" if outcome == "left_unserved" else at(day, 9, minute // 1 + 6),
        "left_at": at(day, 9, minute // 1 + 20),
        "customer_ref": f"CUST{number:07d}" if number % 2 else "",
        "reason_code": "bill",
        "outcome": outcome,
        "satisfaction": str(1 + number % 5) if number % 3 == 1 else "",
    }


def jobs(count: int, day: date = WEDNESDAY) -> list[Row]:
    """The states of a day: each job is requested, given a slot, and every third is done the same day."""
    return [state for number in range(count) for state in states(number, day)]


def states(number: int, day: date) -> list[Row]:
    requested: Row = {
        "job_id": f"job-{number}",
        "updated_at": at(day, 8, number % 60),
        "unit_code": "UI_RENNES",
        "kind": ("repair", "installation")[number % 2],
        "market": ("fixe", "internet", "open")[number % 3],
        "customer_ref": f"CUST{number:07d}",
        "line_ref": f"LINE{number:07d}",
        "department_code": ("35", "2A", "971")[number % 3],
        "requested_at": at(day, 8, number % 60),
        "first_slot_offered_at": "",
        "slot_start": "",
        "slot_end": "",
        "rescheduled_by": "",
        "arrived_at": "",
        "closed_at": "",
        "result": "",
        "cause_code": "",
    }
    slot = {
        "updated_at": at(day, 9, number % 60),
        "first_slot_offered_at": at(day, 14),
        "slot_start": at(day, 14),
        "slot_end": at(day, 16),
    }
    done = {
        "updated_at": at(day, 15, number % 60),
        "arrived_at": at(day, 14, number % 20),
        "closed_at": at(day, 15, number % 60),
        "result": "done",
        "cause_code": "C07",
    }
    return [requested, requested | slot, *([requested | slot | done] if number % 3 == 0 else [])]


def boutiques(count: int, _: date = WEDNESDAY) -> list[Row]:
    """Boutiques in five towns; every tenth has closed."""
    return [
        {
            "boutique_code": f"B{number:03d}",
            "name": CITIES[number % 5],
            "department_code": ("35", "29", "2B", "56", "30")[number % 5],
            "opened_on": f"20{number % 10:02d}-03-01",
            "closed_on": "2012-04-01" if number % 10 == 0 else "",
        }
        for number in range(count)
    ]


MADE: dict[str, Callable[[int, date], list[Row]]] = {
    "boutique_visits": visits,
    "interventions": jobs,
    "boutiques": boutiques,
}


def typed(feed: str, rows: list[Row]) -> bytes:
    """The rows as Parquet, with the types that a warehouse writes."""
    frame = pl.DataFrame(rows).select(pl.when(pl.all() != "").then(pl.all()))
    casts: dict[Type, Callable[[str], pl.Expr]] = {
        Type.INSTANT: lambda name: pl.col(name).str.to_datetime(time_zone="UTC"),
        Type.DATE: lambda name: pl.col(name).str.to_date(),
        Type.SMALLINT: lambda name: pl.col(name).cast(pl.Int64),
    }
    columns = feeds.get(feed).file_columns
    parquet = io.BytesIO()
    frame.with_columns(
        casts[column.type](column.name) for column in columns if column.type in casts
    ).write_parquet(parquet)
    return parquet.getvalue()


@pytest.mark.parametrize("feed", MADE)
def test_csv_gzip_and_parquet_give_the_same_rows(warehouse: Settings, feed: str) -> None:
    rows = MADE[feed](120, WEDNESDAY)
    everything = (
        f"select (to_jsonb({feed}) - 'line_number' - 'file_number')::text as row from raw.{feed} order by 1"
    )
    deliver(warehouse, feed, WEDNESDAY, whole__csv=as_csv(rows), control={"rows": len(rows)})
    assert counts(ingest(warehouse, feed, WEDNESDAY)) == ("published", len(rows), len(rows), 0)
    expected = query(warehouse, everything)
    assert len(set(expected)) == len(rows)

    halves = {"a__csv__gz": gzip.compress(as_csv(rows[:50])), "b__csv": as_csv(rows[50:])}
    for files in ({"whole__parquet": typed(feed, rows)}, halves):
        deliver(warehouse, feed, WEDNESDAY, **files)
        outcome = ingest(warehouse, feed, WEDNESDAY)
        assert outcome.message.endswith(": 0 rows added, 0 removed, 0 altered"), outcome.message
        assert query(warehouse, everything) == expected


def test_a_visit_a_job_and_a_boutique_are_stored_unchanged(warehouse: Settings) -> None:
    for feed, make in MADE.items():
        deliver(warehouse, feed, WEDNESDAY, rows__csv=as_csv(make(10, WEDNESDAY)))
        assert ingest(warehouse, feed, WEDNESDAY).status == "published"

    def digest(text: str) -> bytes:
        return hmac.digest(warehouse.pseudonym_secret, text.encode(), "sha256")

    def key(text: str) -> UUID:
        return UUID(bytes=digest(text)[:16])

    def identity(text: str) -> int:
        return int.from_bytes(digest(text)[:8], "big", signed=True)

    def utc(hour: int, minute: int = 0) -> datetime:
        return datetime(2012, 4, 25, hour, minute, tzinfo=UTC)

    assert query(
        warehouse,
        "select visit_id, boutique_code, arrived_at, served_at, left_at, customer_key, reason_code, outcome, "
        "satisfaction, customer_identity, row_identity from raw.boutique_visits "
        "where visit_id in ('visit-1', 'visit-8') order by 1",
    ) == [
        (
            "visit-1",
            "B001",
            utc(7, 48),
            utc(7, 54),
            utc(8, 8),
            key("CUST0000001"),
            "bill",
            "sale",
            2,
            identity("CUST0000001"),
            None,
        ),
        (
            "visit-8",
            "B001",
            utc(13, 24),
            utc(13, 30),
            utc(13, 44),
            None,
            "bill",
            "served",
            None,
            None,
            identity("row:visit-8"),
        ),
    ]
    assert query(
        warehouse,
        "select updated_at, unit_code, kind, market, customer_key, line_key, department_code, requested_at, "
        "first_slot_offered_at, slot_start, slot_end, rescheduled_by, arrived_at, closed_at, result, "
        "cause_code, customer_identity, row_identity from raw.interventions "
        "where job_id = 'job-9' order by updated_at desc limit 1",
    ) == [
        (
            utc(13, 9),
            "UI_RENNES",
            "installation",
            "fixe",
            key("CUST0000009"),
            key("LINE0000009"),
            "35",
            utc(6, 9),
            utc(12),
            utc(12),
            utc(14),
            None,
            utc(12, 9),
            utc(13, 9),
            "done",
            "C07",
            identity("CUST0000009"),
            None,
        )
    ]
    assert query(
        warehouse,
        "select name, department_code, opened_on, closed_on from raw.boutiques "
        "where boutique_code in ('B000', 'B003') order by boutique_code",
    ) == [
        ("Rennes", "35", date(2000, 3, 1), date(2012, 4, 1)),
        ('Vannes "Les Halles", centre', "56", date(2003, 3, 1), None),
    ]


INSTANT = "an ISO 8601 instant with an offset"
DEPARTMENT = "a department code (35, 2A, 971)"
ANOTHER_DAY = "`arrived_at` is not on 2012-04-25 (Europe/Paris)"
RESULTS = "done|incomplete|customer_absent|technician_absent|cancelled"
MORNING, NOON, EVENING = at(WEDNESDAY, 7), at(WEDNESDAY, 12), at(WEDNESDAY, 23)

# What is wrong with a row, and what quarantine says of it; the reason begins with the column.
BAD: dict[str, list[tuple[Row, str]]] = {
    "boutique_visits": [
        ({"visit_id": ""}, "`visit_id` is empty"),
        ({"boutique_code": ""}, "`boutique_code` is empty"),
        ({"reason_code": ""}, "`reason_code` is empty"),
        ({"arrived_at": "2012-04-25T10:00:00"}, f"`arrived_at` is not {INSTANT}"),
        ({"outcome": "sold"}, "`outcome` is outside served|left_unserved|sale"),
        ({"satisfaction": "0"}, "`satisfaction` is outside 1..5"),
        ({"satisfaction": "6"}, "`satisfaction` is outside 1..5"),
        ({"satisfaction": "good"}, "`satisfaction` is not a whole number"),
        ({"served_at": MORNING}, "`served_at` is before `arrived_at`"),
        ({"served_at": EVENING}, "`left_at` is before `served_at`"),
        ({"served_at": "", "left_at": MORNING}, "`left_at` is before `arrived_at`"),
        ({"arrived_at": at(WEDNESDAY, -1), "served_at": ""}, ANOTHER_DAY),
        ({"arrived_at": at(WEDNESDAY, 24), "served_at": "", "left_at": at(WEDNESDAY, 25)}, ANOTHER_DAY),
    ],
    "interventions": [
        ({"job_id": ""}, "`job_id` is empty"),
        ({"updated_at": ""}, "`updated_at` is empty"),
        ({"unit_code": ""}, "`unit_code` is empty"),
        ({"requested_at": "yesterday"}, f"`requested_at` is not {INSTANT}"),
        ({"kind": "removal"}, "`kind` is outside installation|repair"),
        ({"market": "Fixe"}, "`market` is outside fixe|internet|open"),
        ({"rescheduled_by": "unit"}, "`rescheduled_by` is outside customer|operator"),
        ({"result": "absent"}, f"`result` is outside {RESULTS}"),
        ({"department_code": "35000"}, f"`department_code` is not {DEPARTMENT}"),
        ({"department_code": "2C"}, f"`department_code` is not {DEPARTMENT}"),
        ({"department_code": ""}, "`department_code` is empty"),
        ({"arrived_at": MORNING}, "`arrived_at` is before `requested_at`"),
        ({"arrived_at": NOON, "closed_at": at(WEDNESDAY, 11)}, "`closed_at` is before `arrived_at`"),
        ({"arrived_at": "", "closed_at": MORNING}, "`closed_at` is before `requested_at`"),
        ({"slot_start": NOON, "slot_end": MORNING}, "`slot_end` is before `slot_start`"),
    ],
    "boutiques": [
        ({"boutique_code": ""}, "`boutique_code` is empty"),
        ({"name": ""}, "`name` is empty"),
        ({"department_code": "2c"}, f"`department_code` is not {DEPARTMENT}"),
        ({"opened_on": "01/03/2001"}, "`opened_on` is not a date YYYY-MM-DD"),
        ({"opened_on": ""}, "`opened_on` is empty"),
        ({"closed_on": "1999-12-31"}, "`closed_on` is before `opened_on`"),
    ],
}


@pytest.mark.parametrize("feed", BAD)
def test_every_kind_of_bad_row_is_quarantined_with_its_reason(warehouse: Settings, feed: str) -> None:
    rows = MADE[feed](2_000, WEDNESDAY)
    expected = []
    for number, (changes, reason) in enumerate(BAD[feed]):
        row = 20 * number + 1
        rows[row] |= changes
        expected.append((row + 2, reason.split("`")[1], reason))
    deliver(warehouse, feed, WEDNESDAY, rows__csv=as_csv(rows))

    outcome = ingest(warehouse, feed, WEDNESDAY)

    bad, good = len(expected), len(rows) - len(expected)
    assert counts(outcome) == ("published", len(rows), good, bad)
    assert ledger(warehouse, feed) == [(1, "published", len(rows), good, bad, bad)]
    assert (
        query(warehouse, "select line_number, column_name, reason from ops.quarantine order by line_number")
        == expected
    )
    assert query(warehouse, f"select count(*) from raw.{feed}") == [(good,)]


def test_a_visit_around_midnight_belongs_to_its_local_day(warehouse: Settings) -> None:
    moments = {"first": "2012-04-24T22:00:00Z", "last": "2012-04-25T23:59:59.999999+02:00"}
    one = visit(0, 0, WEDNESDAY) | {"served_at": "", "left_at": at(WEDNESDAY, 25)}
    rows = [one | {"visit_id": name, "arrived_at": moment} for name, moment in moments.items()]
    deliver(warehouse, "boutique_visits", WEDNESDAY, rows__csv=as_csv(rows))
    assert counts(ingest(warehouse, "boutique_visits", WEDNESDAY)) == ("published", 2, 2, 0)


def test_all_states_of_a_job_are_kept(warehouse: Settings) -> None:
    """A delivery holds what changed since the last one: several states of a job, some of days before."""
    rows = jobs(1)
    earlier = at(WEDNESDAY - timedelta(days=3), 8)
    rows.append(rows[0] | {"updated_at": earlier, "requested_at": earlier})
    deliver(warehouse, "interventions", WEDNESDAY, rows__csv=as_csv(rows))
    assert counts(ingest(warehouse, "interventions", WEDNESDAY)) == ("published", 4, 4, 0)
    assert query(
        warehouse,
        "select business_date, updated_at at time zone 'Europe/Paris', result "
        "from raw.interventions order by 2",
    ) == [
        (WEDNESDAY, datetime(2012, 4, 22, 8), None),
        (WEDNESDAY, datetime(2012, 4, 25, 8), None),
        (WEDNESDAY, datetime(2012, 4, 25, 9), None),
        (WEDNESDAY, datetime(2012, 4, 25, 15), "done"),
    ]
    # The next day's delivery repeats a state and brings another: dates do not replace each other.
    tomorrow = WEDNESDAY + timedelta(days=1)
    later = rows[2] | {"updated_at": at(tomorrow, 9), "result": "incomplete"}
    deliver(warehouse, "interventions", tomorrow, rows__csv=as_csv([rows[2], later]))
    assert counts(ingest(warehouse, "interventions", tomorrow)) == ("published", 2, 2, 0)
    assert query(warehouse, "select count(*) from raw.interventions where job_id = 'job-0'") == [(6,)]


def test_repeated_keys_are_quarantined_in_any_spelling(warehouse: Settings) -> None:
    rows = visits(300)
    rows.append(rows[4] | {"outcome": "sale"})
    deliver(warehouse, "boutique_visits", WEDNESDAY, rows__csv=as_csv(rows))
    assert counts(ingest(warehouse, "boutique_visits", WEDNESDAY)) == ("published", 301, 300, 1)

    states_of_day = jobs(300)
    same_instant = states_of_day[0] | {"updated_at": "2012-04-25T06:00:00Z", "unit_code": "UI_BREST"}
    deliver(
        warehouse, "interventions", WEDNESDAY, a__csv=as_csv(states_of_day), b__csv=as_csv([same_instant])
    )
    count = len(states_of_day)
    assert counts(ingest(warehouse, "interventions", WEDNESDAY)) == ("published", count + 1, count, 1)

    shops = boutiques(200)
    shops.insert(0, shops[100] | {"name": "the first by line wins"})
    deliver(warehouse, "boutiques", WEDNESDAY, rows__csv=as_csv(shops))
    assert counts(ingest(warehouse, "boutiques", WEDNESDAY)) == ("published", 201, 200, 1)

    assert query(
        warehouse, "select file_name, line_number, reason from ops.quarantine order by delivery_id"
    ) == [
        ("rows.csv", 302, "duplicate of rows.csv line 6"),
        ("b.csv", 2, "duplicate of a.csv line 2"),
        ("rows.csv", 103, "duplicate of rows.csv line 2"),
    ]
    assert query(warehouse, "select name from raw.boutiques where boutique_code = 'B100'") == [
        ("the first by line wins",)
    ]


@pytest.mark.parametrize("feed", ["boutique_visits", "interventions"])
def test_no_reference_to_a_person_is_stored_in_raw_or_ops(warehouse: Settings, feed: str) -> None:
    rows = MADE[feed](500, WEDNESDAY)
    rows[1]["outcome" if feed == "boutique_visits" else "kind"] = "fax"
    rows[3]["customer_ref"], rows[3]["market"] = "CUST-BROKEN,1", rows[3].get("market", "")
    rows.append(rows[5])
    names = feeds.get(feed)
    text = as_csv([{name.name: row[name.name] for name in names.file_columns} for row in rows])
    deliver(warehouse, feed, WEDNESDAY, rows__csv=text.replace(b'"CUST-BROKEN,1"', b"CUST-BROKEN,1"))
    assert counts(ingest(warehouse, feed, WEDNESDAY))[2:] == (len(rows) - 3, 3)

    stored = []
    for schema, name in query(
        warehouse,
        "select relnamespace::regnamespace::text, relname from pg_class "
        "where relkind = 'r' and relnamespace in ('raw'::regnamespace, 'ops'::regnamespace)",
    ):
        stored += [
            row for (row,) in query(warehouse, f'select entry::text from "{schema}"."{name}" as entry')
        ]
    assert sum("visit-" in row or "job-" in row for row in stored) > 450, "the search sees the rows"
    personal = [column.name for column in names.file_columns if column.personal]
    persons = {part for row in rows for name in personal for part in row[name].split(",") if len(part) > 1}
    assert len(persons) > 100
    for needle in persons:
        assert not any(needle in row for row in stored), needle


def test_too_many_bad_rows_refuse_the_delivery_and_leave_the_day(warehouse: Settings) -> None:
    deliver(warehouse, "boutique_visits", WEDNESDAY, rows__csv=as_csv(visits(200)))
    assert ingest(warehouse, "boutique_visits", WEDNESDAY).status == "published"
    rows = visits(200)
    for row in rows[:3]:
        row["outcome"] = "gone"
    deliver(warehouse, "boutique_visits", WEDNESDAY, rows__csv=as_csv(rows))
    outcome = ingest(warehouse, "boutique_visits", WEDNESDAY)
    assert counts(outcome) == ("refused", 200, 0, 200)
    assert "3 of 200 rows (1.5 %) break rules, limit 1 %: `outcome` is outside" in outcome.message
    assert query(warehouse, "select count(*) from raw.boutique_visits") == [(200,)]


def test_only_daily_feeds_fail_when_missing(warehouse: Settings) -> None:
    for feed in MADE:
        outcome = ingest(warehouse, feed, WEDNESDAY)
        assert outcome.status == "missing"
        assert outcome.is_failure == (feeds.get(feed).keeping is Keeping.DAYS)
