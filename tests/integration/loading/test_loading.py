"""Deliveries on real PostgreSQL: what is published, quarantined, refused or replaced, and what is
reported."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import io
import json
import threading
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from parc import feeds, quality
from parc.errors import ConfigurationError
from parc.feeds import Column, Derivation, Derived, Feed, Keeping, Personal, Retention, Type
from parc.loading import Outcome, ingest
from parc.quality import Verdict
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.partitions import ensure_table
from support.deliveries import DAY, as_csv, counts, deliver, ledger, legs, published, query, raw_tables


def test_a_few_bad_rows_are_quarantined_and_the_day_published(warehouse: Settings) -> None:
    rows = legs(10_000)
    bad = {2 + number for number in range(0, 10_000, 125)}
    for line in bad:
        rows[line - 2]["market"] = "Internet"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))

    outcome = ingest(warehouse, "calls", DAY)

    assert counts(outcome) == ("published", 10_000, 9_920, 80)
    assert outcome.message == (
        "calls 2012-04-25: 9,920 of 10,000 rows published as delivery 1, 80 quarantined: "
        "`market` is outside fixe|internet|open in 80 (first: calls.csv line 2, 'Internet')"
    )
    assert ledger(warehouse) == [(1, "published", 10_000, 9_920, 80, 80)]
    assert len(published(warehouse)) == 9_920
    quarantined = query(warehouse, "select file_name, line_number, column_name, reason from ops.quarantine")
    assert {line for _, line, _, _ in quarantined} == bad
    assert {(file, column, reason) for file, _, column, reason in quarantined} == {
        ("calls.csv", "market", "`market` is outside fixe|internet|open")
    }


def test_too_many_bad_rows_refuse_the_delivery_and_touch_nothing(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(1_000)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    before = published(warehouse), raw_tables(warehouse)
    rows = legs(10_000)
    for row in rows[2:302]:
        row["market"] = "Internet"
    rows[400]["leg_no"] = "0"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))

    outcome = ingest(warehouse, "calls", DAY)

    assert counts(outcome) == ("refused", 10_000, 0, 10_000)
    assert outcome.message == (
        "calls 2012-04-25: refused as a whole (delivery 2): "
        "301 of 10,000 rows (3.0 %) break rules, limit 1 %: "
        "`market` is outside fixe|internet|open in 300 (first: calls.csv line 4, 'Internet'); "
        "`leg_no` is below 1 in 1 (first: calls.csv line 402, '0')"
    )
    assert ledger(warehouse) == [
        (1, "published", 1_000, 1_000, 0, 0),
        (2, "refused", 10_000, 0, 10_000, 301),
    ]
    assert (published(warehouse), raw_tables(warehouse)) == before
    assert query(warehouse, "select count(*) from ops.quarantine where delivery_id = 2") == [(301,)]


def test_a_sample_of_a_refused_delivery_is_listed(warehouse: Settings) -> None:
    rows = legs(1_500)
    for row in rows:
        row["market"] = "fax"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", DAY)) == ("refused", 1_500, 0, 1_500)
    assert query(warehouse, "select count(*), min(line_number), max(line_number) from ops.quarantine") == [
        (1_000, 2, 1_001)
    ]
    assert ledger(warehouse) == [(1, "refused", 1_500, 0, 1_500, 1_500)]


def test_a_missing_column_refuses_the_delivery_by_name(warehouse: Settings) -> None:
    rows = legs(10)
    for row in rows:
        del row["market"]
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("refused", 0, 0, 0)
    assert outcome.message.endswith("calls.csv: lacks column `market`")
    assert query(warehouse, "select reason from ops.delivery") == [("calls.csv: lacks column `market`",)]


def test_the_same_bytes_again_are_a_no_op(warehouse: Settings) -> None:
    folder = deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(100)))
    first = ingest(warehouse, "calls", DAY)
    # Where the files are and when they were seen is kept up to date; of the delivery nothing else changes.
    ledger = "select to_jsonb(delivery) - 'seen_at' - 'files' - 'listing' from ops.delivery"
    before = query(warehouse, ledger), raw_tables(warehouse)
    (folder / "calls.csv").rename(folder / "renamed.csv")
    again = ingest(warehouse, "calls", DAY)
    assert counts(again) == ("unchanged", 100, 100, 0)
    assert query(warehouse, "select files->0->>'name' from ops.delivery") == [("renamed.csv",)]
    assert again.delivery_id == first.delivery_id
    assert "the same bytes are published as delivery 1" in again.message
    assert (query(warehouse, ledger), raw_tables(warehouse)) == before


def test_other_bytes_restate_the_day_and_say_what_changed(warehouse: Settings) -> None:
    rows = legs(200)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    ingest(warehouse, "calls", DAY)
    rows = rows[3:]  # three go
    rows += legs(5, first=1_000)  # five arrive
    rows[10]["reason_code"], rows[11]["customer_ref"] = "move", "CUST-OTHER"  # two differ
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(reversed(rows)))

    outcome = ingest(warehouse, "calls", DAY)

    assert counts(outcome) == ("published", 202, 202, 0)
    assert outcome.message.endswith("replaces delivery 1: 5 rows added, 3 removed, 2 altered")
    assert ledger(warehouse) == [(1, "superseded", 200, 200, 0, 0), (2, "published", 202, 202, 0, 0)]
    assert query(
        warehouse, "select changes, supersedes_delivery_id from ops.delivery order by 1 nulls first"
    ) == [
        (None, None),
        ({"rows_added": 5, "rows_removed": 3, "rows_altered": 2}, 1),
    ]
    assert published(warehouse) == sorted(row["call_id"] for row in rows)
    assert raw_tables(warehouse) == ["calls__20120425_2"]


def test_the_first_of_duplicate_keys_is_kept_and_the_others_quarantined(warehouse: Settings) -> None:
    rows = legs(600)
    copy_in_file = rows[5] | {"market": "open", "customer_ref": "CUST-SECRET"}
    broken_first = rows[7] | {"call_id": "call-twice", "market": "fax"}
    sound_second = rows[8] | {"call_id": "call-twice"}
    first_file, second_file = (
        [*rows[:300], copy_in_file, broken_first],
        [*rows[300:], sound_second, rows[5], rows[310]],
    )
    deliver(warehouse, "calls", DAY, a__csv=as_csv(first_file), b__csv=as_csv(second_file))

    outcome = ingest(warehouse, "calls", DAY)

    assert counts(outcome) == ("published", 605, 601, 4)
    assert query(
        warehouse,
        "select file_name, line_number, column_name, reason from ops.quarantine order by 1, 2",
    ) == [
        ("a.csv", 302, None, "duplicate of a.csv line 7"),
        ("a.csv", 303, "market", "`market` is outside fixe|internet|open"),
        ("b.csv", 303, None, "duplicate of a.csv line 7"),
        ("b.csv", 304, None, "duplicate of b.csv line 12"),
    ]
    assert "the row repeats the key of an earlier one in 3 (first: a.csv line 302)" in outcome.message
    assert query(
        warehouse,
        "select call_id, file_number, line_number from raw.calls "
        "where call_id in ('call-5', 'call-twice') order by 1",
    ) == [("call-5", 1, 7), ("call-twice", 2, 302)]
    texts = query(warehouse, "select row_text from ops.quarantine where line_number = 302")
    assert texts[0][0].startswith("call-5,1,2012-04-25T06:06:00+00:00,")
    assert "SECRET" not in texts[0][0]


def test_more_duplicates_than_the_limit_refuse_the_delivery(warehouse: Settings) -> None:
    rows = legs(300)
    deliver(warehouse, "calls", DAY, a__csv=as_csv(rows), b__csv=as_csv(rows))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("refused", 600, 0, 600)
    assert "300 of 600 rows (50.0 %) break rules" in outcome.message
    assert ledger(warehouse) == [(1, "refused", 600, 0, 600, 300)]


def test_the_control_file_must_match_the_row_count(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(100)), control={"rows": 100})
    assert ingest(warehouse, "calls", DAY).status == "published"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(99)), control={"rows": 100})
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("refused", 99, 0, 99)
    assert "_CONTROL.json says 100 rows, the files hold 99" in outcome.message
    assert len(published(warehouse)) == 100


def test_a_control_file_that_contradicts_the_published_day_is_reported(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(99)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(99)), control={"rows": 100})
    assert ingest(warehouse, "calls", DAY).status == "refused"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(99)), control={"sha256": {"calls.csv": "00"}})
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "refused"
    assert "gives calls.csv the sha256 00, but it is" in outcome.message
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(99)), control={"rows": 99})
    assert ingest(warehouse, "calls", DAY).status == "unchanged"


def test_a_cut_off_file_refuses_the_delivery_by_name(warehouse: Settings) -> None:
    whole = gzip.compress(as_csv(legs(5_000)))
    deliver(warehouse, "calls", DAY, a__csv=as_csv(legs(10, first=9_000)), b__csv__gz=whole[:-1_000])
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "refused"
    assert "b.csv.gz: its gzip stream is cut off" in outcome.message
    assert outcome.rows_read == outcome.rows_quarantined == 10
    assert raw_tables(warehouse) == []


def test_an_empty_file_refuses_the_delivery_by_name(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=b"")
    assert "calls.csv: it is empty, without even a header" in ingest(warehouse, "calls", DAY).message


def test_a_header_without_rows_is_refused(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(1)).splitlines(keepends=True)[0])
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("refused", 0, 0, 0)
    assert "no legs at all" in outcome.message


def test_malformed_rows_are_masked_entirely(warehouse: Settings) -> None:
    lines = as_csv(legs(500)).split(b"\n")
    lines[3] = lines[3].replace(b"RENNES", b"REN\xe9S")
    lines[5] += b",more"
    lines[7] = lines[7].rpartition(b",")[0]
    deliver(warehouse, "calls", DAY, calls__csv=b"\n".join(lines))
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 500, 497, 3)
    assert query(warehouse, "select line_number, reason, row_text from ops.quarantine order by 1") == [
        (4, "the row is not UTF-8", "***"),
        (6, "the row has more fields than the header", "***"),
        (8, "the row has fewer fields than the header", "***"),
    ]


def test_a_row_is_located_at_its_first_line(warehouse: Settings) -> None:
    rows = legs(300)
    rows[0]["call_id"] = "two\nlines"
    rows[2]["call_id"] = 'with "quotes", a comma\nand\n\nfour lines'
    rows[4]["market"] = "fax"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 300, 299, 1)
    found = query(warehouse, "select line_number, call_id from raw.calls where line_number < 12 order by 1")
    assert found == [
        (line, rows[number]["call_id"]) for line, number in ((2, 0), (4, 1), (5, 2), (9, 3), (11, 5))
    ]
    assert query(warehouse, "select line_number from ops.quarantine") == [(10,)]


ROWS_WITHOUT_PLACE = (
    "select to_jsonb(calls) - 'line_number' - 'file_number' from raw.calls order by call_id, leg_no"
)


def test_csv_gzip_parquet_and_several_files_give_the_same_rows(warehouse: Settings) -> None:
    rows = legs(400)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 400, 400, 0)
    expected = query(warehouse, ROWS_WITHOUT_PLACE)
    assert len(expected) == 400

    parquet = io.BytesIO()
    typed = pl.DataFrame(rows).with_columns(
        pl.col("offered_at", "queued_at", "answered_at", "ended_at")
        .replace("", None)
        .str.to_datetime(time_zone="UTC"),
        pl.col("leg_no", "hold_s", "talk_s", "wrap_up_s").replace("", None).cast(pl.Int64),
    )
    typed.write_parquet(parquet)
    deliver(warehouse, "calls", DAY, calls__parquet=parquet.getvalue())
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.message.endswith("replaces delivery 1: 0 rows added, 0 removed, 0 altered")
    assert query(warehouse, ROWS_WITHOUT_PLACE) == expected

    deliver(
        warehouse,
        "calls",
        DAY,
        a__csv__gz=gzip.compress(as_csv(rows[:150])),
        b__csv=as_csv(rows[150:]),
    )
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.message.endswith("replaces delivery 2: 0 rows added, 0 removed, 0 altered")
    assert query(warehouse, ROWS_WITHOUT_PLACE) == expected
    assert query(warehouse, "select file_number, count(*) from raw.calls group by 1 order by 1") == [
        (1, 150),
        (2, 250),
    ]


def test_keys_and_identities_are_those_of_pythons_hmac(warehouse: Settings) -> None:
    identified = legs(4)[1]
    called = identified | {"call_id": "call-2", "customer_ref": ""}
    withheld = called | {"call_id": "call-3", "caller_number": ""}
    deliver(warehouse, "calls", DAY, calls__csv=as_csv([identified, called, withheld]))
    ingest(warehouse, "calls", DAY)

    def digest(text: str) -> bytes:
        return hmac.new(warehouse.pseudonym_secret, text.encode(), hashlib.sha256).digest()

    def key(text: str) -> UUID:
        return UUID(bytes=digest(text)[:16])

    def identity(text: str) -> int:
        return int.from_bytes(digest(text)[:8], "big", signed=True)

    assert query(
        warehouse,
        "select caller_key, customer_key, agent_key, caller_identity, customer_identity, row_identity "
        "from raw.calls order by call_id",
    ) == [
        (
            key("+33299000001"),
            key("CUST0000001"),
            key("AGENT001"),
            None,
            identity("CUST0000001"),
            None,
        ),
        (key("+33299000001"), None, key("AGENT001"), identity("+33299000001"), None, None),
        (None, None, key("AGENT001"), None, None, identity("row:call-3")),
    ]


def test_no_number_and_no_reference_is_stored_in_raw_or_ops(warehouse: Settings) -> None:
    rows = legs(500)
    rows[1]["market"] = "fax"
    rows[3]["market"] = rows[3]["caller_number"]  # shifted into another column
    rows.append(rows[1] | {"market": "open"})
    rows.append(rows[5])
    folder = deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 502, 499, 3)
    text = (folder / "calls.csv").read_text()
    header_is_data = text.split("\n", 2)[2].encode()
    deliver(warehouse, "calls", DAY, calls__csv=header_is_data)
    refused = ingest(warehouse, "calls", DAY)
    assert refused.status == "refused"
    assignments = "number,department_code,reason\n+33299000001,22,moved\n"
    deliver(warehouse, "line_assignments", DAY, lines__csv=assignments.encode())
    assert ingest(warehouse, "line_assignments", DAY).status == "published"

    stored = [refused.message]
    for schema, name in query(
        warehouse,
        "select relnamespace::regnamespace::text, relname from pg_class "
        "where relkind = 'r' and relnamespace in ('raw'::regnamespace, 'ops'::regnamespace)",
    ):
        stored += [
            row for (row,) in query(warehouse, f'select entry::text from "{schema}"."{name}" as entry')
        ]
    assert sum("call-" in row for row in stored) > 500, "the search sees the rows"
    persons = {row[column] for row in rows for column in ("caller_number", "customer_ref", "agent_ref")} - {
        ""
    }
    nationals = {"0" + number[3:] for number in persons if number.startswith("+33")}
    for needle in persons | nationals:
        assert not any(needle in row for row in stored), needle


def test_nothing_delivered_is_missing_and_leaves_no_trace(warehouse: Settings) -> None:
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("missing", 0, 0, 0)
    assert outcome.delivery_id is None
    assert outcome.message.startswith("calls 2012-04-25: nothing was delivered: there is no .csv, .csv.gz")
    deliver(warehouse, "calls", DAY, control={"rows": 3})
    assert ingest(warehouse, "calls", DAY).status == "missing"
    assert ledger(warehouse) == []


def test_a_day_far_below_its_like_days_is_refused(warehouse: Settings) -> None:
    for weeks in (4, 3, 2, 1):
        day = DAY - timedelta(weeks=weeks)
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(1_000, day)))
        assert ingest(warehouse, "calls", day).status == "published"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(400)))
    outcome = ingest(warehouse, "calls", DAY)
    assert counts(outcome) == ("refused", 400, 0, 400)
    assert "400 legs, 40 % of the usual 1,000" in outcome.message
    assert published(warehouse) == []
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(600)))
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "published"
    assert any("60 % of the usual 1,000" in warning for warning in outcome.warnings)
    assert (
        query(
            warehouse,
            "select warnings from ops.delivery where status = 'published' and business_date = %s",
            DAY,
        )[0][0]
        == outcome.warnings
    )


def test_a_holiday_is_compared_only_with_holidays(warehouse: Settings) -> None:
    ascension, monday, whit_monday = date(2012, 5, 17), date(2012, 5, 21), date(2012, 5, 28)
    following = whit_monday + timedelta(weeks=1)
    reported = {}
    for day, count in ((ascension, 300), (monday, 1_000), (whit_monday, 300), (following, 300)):
        deliver(warehouse, "calls", day, calls__csv=as_csv(legs(count, day)))
        outcome = ingest(warehouse, "calls", day)
        assert outcome.status == "published"
        reported[day] = [warning for warning in outcome.warnings if "usual" in warning]
    assert reported[whit_monday] == []
    [warning] = reported[following]
    assert "300 legs, 30 % of the usual 1,000 for a day like this Monday" in warning


def test_the_hours_of_a_clock_change_are_distinguished(warehouse: Settings) -> None:
    """On 28 October 2012 the hour from two to three comes twice, on 25 March it does not come at all."""
    october, march = date(2012, 10, 28), date(2012, 3, 25)
    rows = [row | {"outcome": "blocked", "queued_at": "", "answered_at": ""} for row in legs(4, october)]
    for row, offered, ended in zip(
        rows,
        ("00:00:00+02:00", "02:50:00+02:00", "02:50:00+01:00", "23:59:59+01:00"),
        ("00:01:00+02:00", "02:10:00+01:00", "02:55:00+01:00", "23:59:59+01:00"),
        strict=True,
    ):
        row |= {"offered_at": f"{october}T{offered}", "ended_at": f"{october}T{ended}"}
    backwards = rows[2] | {"call_id": "call-9", "ended_at": f"{october}T02:55:00+02:00"}
    sound = legs(200, october, first=10)
    deliver(warehouse, "calls", october, calls__csv=as_csv([*rows, backwards, *sound]))
    assert counts(ingest(warehouse, "calls", october)) == ("published", 205, 204, 1)
    assert query(warehouse, "select line_number, reason from ops.quarantine") == [
        (6, "`ended_at` is before `offered_at`")
    ]
    assert query(
        warehouse, "select extract(epoch from max(offered_at) - min(offered_at))::int from raw.calls"
    ) == [(25 * 3600 - 1,)]

    rows = rows[:2]
    rows[0] |= {"offered_at": f"{march}T01:59:59+01:00", "ended_at": f"{march}T03:00:00+02:00"}
    rows[1] |= {"offered_at": f"{march}T23:59:59+02:00", "ended_at": f"{march}T23:59:59+02:00"}
    deliver(warehouse, "calls", march, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", march)) == ("published", 2, 2, 0)
    seconds = "select extract(epoch from ended_at - offered_at)::int from raw.calls where business_date = %s"
    assert query(warehouse, f"{seconds} order by 1 desc", march) == [(1,), (0,)]


def test_withheld_numbers_are_never_one_customer(warehouse: Settings) -> None:
    forms = (
        "",
        "anonymous",
        "RESTRICTED",
        "unavailable",
        "+266696687",
        "0299123456",
        "+33 2 99 12 34 56",
        "0033299123456",
    )
    rows = [
        row | {"caller_number": form, "customer_ref": ""} for row, form in zip(legs(8), forms, strict=True)
    ]
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(rows))
    assert counts(ingest(warehouse, "calls", DAY)) == ("published", 8, 8, 0)
    assert query(
        warehouse,
        "select count(*) filter (where caller_key is null and caller_prefix is null "
        "and caller_identity is null), count(distinct caller_key), count(distinct caller_prefix), "
        "count(distinct row_identity) from raw.calls",
    ) == [(5, 1, 1, 5)]


def test_files_that_are_not_data_are_named(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(10)), rest__csv__part=b"call_id")
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.warnings[0] == "rest.csv.part is not a data file and was ignored"


def test_table_comments_match_the_declaration(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        for feed in feeds.FEEDS.values():
            ensure_table(connection, feed)
    uncommented = query(
        warehouse,
        "select attrelid::regclass::text, attname from pg_attribute join pg_class on pg_class.oid = attrelid "
        "where (relname = any (%s) or relname = 'line_assignment') and relkind in ('r', 'p') "
        "and attnum > 0 and col_description(attrelid, attnum) is null",
        list(feeds.FEEDS),
    )
    assert uncommented == []
    assert query(warehouse, "select obj_description('raw.calls'::regclass)") == [
        (f"{feeds.get('calls').grain} Kept as one partition per business date.",)
    ]


def test_a_reader_does_not_block_the_first_publication(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(10)))
    ingest(warehouse, "calls", DAY)
    day = DAY + timedelta(days=1)
    deliver(warehouse, "calls", day, calls__csv=as_csv(legs(10, day)))
    with connect(warehouse, "reader") as reader:
        assert reader.execute("select count(*) from raw.calls").fetchone() == (10,)
        assert ingest(warehouse, "calls", day).status == "published"
        assert reader.execute("select count(*) from raw.calls").fetchone() == (20,)


def test_a_restatement_that_lacks_many_rows_warns(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(300)))
    assert not [reported for reported in ingest(warehouse, "calls", DAY).warnings if "replace" in reported]
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(209)))
    assert "209 rows replace the 300 of delivery 1" in ingest(warehouse, "calls", DAY).warnings[0]


def test_ignored_files_are_named_if_there_is_no_data(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__txt=as_csv(legs(3)))
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "missing"
    assert outcome.message.endswith("; calls.txt is not a data file and was ignored")


def test_a_restatement_waits_for_readers_without_blocking_others(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(10)))
    ingest(warehouse, "calls", DAY)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(11)))
    outcomes: list[Outcome] = []
    run = threading.Thread(target=lambda: outcomes.append(ingest(warehouse, "calls", DAY)))
    with connect(warehouse, "reader") as first_reader:
        first_reader.execute("select 1 from raw.calls limit 1")
        run.start()
        waiting = "select count(*) from pg_locks where not granted and relation = 'raw.calls'::regclass"
        give_up = time.monotonic() + 60
        while query(warehouse, waiting) == [(0,)] and time.monotonic() < give_up:
            time.sleep(0.05)
        with connect(warehouse, "reader") as second_reader:
            second_reader.execute("set statement_timeout = '30s'")
            assert second_reader.execute("select count(*) from raw.calls").fetchone() == (10,)
        assert run.is_alive()
    run.join(timeout=60)
    assert [outcome.status for outcome in outcomes] == ["published"]
    assert len(published(warehouse)) == 11


def test_a_transaction_older_than_a_restatement_sees_the_whole_new_day(warehouse: Settings) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(10)))
    ingest(warehouse, "calls", DAY)
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(11)))
    with connect(warehouse, "reader") as older:
        older.execute("set transaction isolation level repeatable read")
        older.execute("select 1 from ops.delivery")
        assert ingest(warehouse, "calls", DAY).status == "published"
        assert older.execute("select count(*) from raw.calls").fetchone() == (11,), "rows are frozen"


FIELD_TESTS = Feed(
    name="field_tests",
    grain="One row per line and test.",
    keeping=Keeping.DAYS,
    columns=(
        Column("line_ref", Type.TEXT, "The line.", personal=Personal.REFERENCE),
        Derived("line_key", "line_ref", Derivation.KEY, "HMAC of the line."),
        Column("began_at", Type.INSTANT, "When the test began."),
        Column("ended_at", Type.INSTANT, "When it ended.", nullable=True),
        Column("installed_on", Type.DATE, "When the line was installed."),
        Column("verdict", Type.TEXT, "What it showed.", one_of=("sound", "faulty")),
    ),
    key=("line_ref", "began_at"),
    retention=Retention(30, "Nobody asks for older ones."),
    in_order=(("began_at", "ended_at"),),
    dated_by="began_at",
    reject_limit=0.5,
)


def test_a_new_feed_is_a_declaration_and_nothing_else(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FEEDS", {**feeds.FEEDS, FIELD_TESTS.name: FIELD_TESTS})
    tests = (
        "line_ref,began_at,ended_at,installed_on,verdict\n"
        "L1,2012-04-25T10:00:00+02:00,,2012-04-02,sound\n"
        "L1,2012-04-25T11:00:00+02:00,2012-04-25T11:01:00+02:00,2012-04-02,faulty\n"
        "L1,2012-04-25T12:00:00+02:00,2012-04-25T11:59:00+02:00,2012-04-02,faulty\n"
    )
    deliver(warehouse, "field_tests", DAY, tests__csv=tests.encode())
    assert counts(ingest(warehouse, "field_tests", DAY)) == ("published", 3, 2, 1)
    assert query(
        warehouse,
        "select pg_typeof(line_key)::text, installed_on, verdict from raw.field_tests order by began_at",
    ) == [("uuid", date(2012, 4, 2), "sound"), ("uuid", date(2012, 4, 2), "faulty")]


def test_a_table_that_differs_from_the_declaration_is_reported(warehouse: Settings) -> None:
    with connect(warehouse, "loader") as connection:
        connection.execute("drop table if exists raw.active_lines")
        connection.execute("create table raw.active_lines (month text, lines integer, colour text)")
    with pytest.raises(ConfigurationError, match=r"raw.active_lines differs .* colour, .*month"):
        ingest(warehouse, "active_lines", DAY)


def test_a_real_month_of_calls(
    warehouse: Settings, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))
    settings = replace(warehouse, landing=str(shared_data / "bank_1999_02"))
    for day in range(1, 29):
        folder = shared_data / "bank_1999_02" / "calls" / f"date=1999-02-{day:02d}"
        expected = json.loads((folder / "_CONTROL.json").read_text())["rows"]
        outcome = ingest(settings, "calls", date(1999, 2, day))
        assert counts(outcome) == ("published", expected, expected, 0)
    assert query(settings, "select count(*), count(distinct business_date) from raw.calls") == [(33_344, 28)]


def test_the_real_numbering_plan(warehouse: Settings, shared_data: Path) -> None:
    day = date(2013, 3, 1)
    plan = (shared_data / "numbering_2013" / "prefixes.csv").read_bytes()
    deliver(warehouse, "numbering_plan", day, prefixes__csv=plan)
    assert counts(ingest(warehouse, "numbering_plan", day)) == ("published", 17_874, 17_874, 0)
    assert query(
        warehouse,
        "select prefix, department_code, region_2012 from raw.numbering_plan "
        "where prefix in ('029912', '050841', '013003') order by 1",
    ) == [
        ("013003", "78", "Île-de-France"),
        ("029912", "35", "Bretagne"),
        ("050841", "975", "Saint-Pierre-et-Miquelon"),
    ]
