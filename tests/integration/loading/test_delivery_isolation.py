"""Any error inside one delivery refuses only that one: in one line, with a log, and its row is settled."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.exceptions import PanicException

from parc import quality
from parc.loading import ingest, unseen
from parc.loading.incidents import log_file
from parc.quality import QualityError, Verdict
from parc.settings import Settings
from support.deliveries import DAY, as_csv, deliver, ledger, legs, published, raw_tables

STAGES = {
    "looked at": "parc.loading.ingestion.why_incomplete",
    "hashed": "parc.loading.landing._delivered",
    "read": "parc.loading.load.read",
    "checked": "parc.loading.rows.RowRules.check_block",
    "sent": "parc.loading.binarycopy.encode",
    "judged": "parc.quality.check_delivery",
    "published": "parc.ledger.write_deliveries.publish",
}
ERRORS = [
    PanicException("called `Option::unwrap()` on a `None` value, of +33 2 99 00 00 01"),
    MemoryError(),
    RecursionError("maximum recursion depth exceeded"),
    psycopg.errors.NumericValueOutOfRange("integer out of range"),
    QualityError("the suite is broken"),
    ValueError("one line\nand another \0 with a NUL, and \udce9"),
]


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


@pytest.fixture
def restated(warehouse: Settings) -> Settings:
    """A published day whose files have changed."""
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(30)))
    assert ingest(warehouse, "calls", DAY).status == "published"
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(31)), control={"rows": 31})
    return warehouse


def raises(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("stage", "error"),
    [*((stage, ERRORS[0]) for stage in STAGES), *(("checked", error) for error in ERRORS[1:])],
    ids=str,
)
def test_unexpected_errors_refuse_the_delivery(
    restated: Settings, monkeypatch: pytest.MonkeyPatch, stage: str, error: BaseException
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(STAGES[stage], raises(error))
        outcome = ingest(restated, "calls", DAY, complete_only=True)
    log = log_file(restated, "calls", DAY)
    assert outcome.status == "refused"
    assert f"refused as a whole (delivery 2): {type(error).__name__}" in outcome.message
    assert outcome.message.endswith(f"(log: {log})") and len(outcome.message.splitlines()) == 1
    assert type(error).__name__ in log.read_text() and "99 00 00" not in log.read_text() + outcome.message
    assert [status for _, status, *_ in ledger(restated)] == ["published", "refused"]
    assert len(published(restated)) == 30 and raw_tables(restated) == ["calls__20120425_1"]
    assert ("calls", DAY) not in unseen(restated, DAY, DAY), "it is not tried again by itself"

    assert ingest(restated, "calls", DAY).status == "published"
    assert len(published(restated)) == 31


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("stage", ["hashed", "checked"])
def test_an_interrupt_is_raised_and_the_delivery_tried_again(
    restated: Settings, monkeypatch: pytest.MonkeyPatch, stage: str, error: BaseException
) -> None:
    with monkeypatch.context() as ended, pytest.raises(type(error)):
        ended.setattr(STAGES[stage], raises(error))
        ingest(restated, "calls", DAY)
    assert ("calls", DAY) in unseen(restated, DAY, DAY)
    assert ingest(restated, "calls", DAY).status == "published"


def test_the_next_look_settles_a_dead_load(restated: Settings, tmp_path: Path) -> None:
    """Of whatever date, and where nothing is there any more."""
    other = date(2011, 1, 1)
    folder = deliver(restated, "calls", other, calls__csv=as_csv(legs(31, other)))
    for path in folder.iterdir():
        path.rename(tmp_path / path.name)
    with psycopg.connect(str(restated.warehouse_dsn)) as connection:
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256) "
            "values ('calls', %s, 'landed', '[]', '')",
            [other],
        )
    assert ("calls", other) in unseen(restated, DAY, DAY)
    assert ingest(restated, "calls", other).status == "missing"
    assert [status for _, status, *_ in ledger(restated)] == ["published", "refused"]
    assert ("calls", other) not in unseen(restated, DAY, DAY)


LEAST, MOST = -(2**63), 2**63 - 1
ODD_COLUMNS = {
    "instants": [pa.array([each] * 9, pa.timestamp("us", "UTC")) for each in (LEAST, MOST)],
    "instants in seconds": [pa.array([each] * 9, pa.timestamp("s", "UTC")) for each in (-(2**40), 2**40)],
    "dates": [pa.array([each] * 9, pa.date32()) for each in (-(2**31), 2**31 - 1)],
    "dates in milliseconds": [pa.array([2**45] * 9, pa.date64())],
    "durations": [pa.array([MOST] * 9, pa.duration("us"))],
    "wide decimals": [pa.array([Decimal(7) * 10**60] * 9, pa.decimal256(76, 3))],
    "whole numbers": [pa.array([each] * 9, pa.int64()) for each in (LEAST, MOST)],
    "fractions": [pa.array([each] * 9, pa.float64()) for each in (float("nan"), float("inf"), 1e300)],
    "structures": [pa.array([{"a": [1]}] * 9)],
    "nothing": [pa.nulls(9)],
    "zones that no one knows": [pa.array([0] * 9, pa.timestamp("us", "Nowhere/Land"))],
    "half floats": [pa.array([1.5] * 9, pa.float32()).cast(pa.float16())],
}


@pytest.mark.parametrize("kind", ODD_COLUMNS)
def test_a_bad_parquet_column_refuses_only_its_delivery(warehouse: Settings, kind: str) -> None:
    for column in ("ended_at", "talk_s", "call_id"):
        for values in ODD_COLUMNS[kind]:
            rows = pa.Table.from_pylist(legs(9))
            odd = rows.set_column(rows.schema.get_field_index(column), column, values)
            folder = deliver(warehouse, "calls", DAY)
            pq.write_table(odd, folder / "calls.parquet")
            outcome = ingest(warehouse, "calls", DAY)
            assert outcome.status in ("refused", "published"), outcome.message
            assert len(outcome.message.splitlines()) == 1 and len(outcome.message) < 1000
    assert {status for _, status, *_ in ledger(warehouse)} <= {"refused", "published", "superseded"}


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00", b"1" * 10_000, b"\x80\x04K\x01.", b"", b"null"],
    ids=lambda content: repr(content[:8]),
)
def test_a_bad_control_file_refuses_only_its_delivery(warehouse: Settings, content: bytes) -> None:
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(9)), control=content)
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "refused" and "_CONTROL.json cannot be read" in outcome.message
    assert len(outcome.message.splitlines()) == 1
    deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(9)), control=json.dumps({"rows": 9}).encode())
    assert ingest(warehouse, "calls", DAY).status == "published"
