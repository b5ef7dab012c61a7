"""The cost of a delivery is limited: one that exceeds a limit is refused alone, in one line that says why."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parc import quality
from parc.loading import ingest, limits, loads, unseen
from parc.quality import Verdict
from parc.settings import PROJECT, Settings
from support.deliveries import DAY, Row, as_csv, deliver, ledger, legs, published
from support.workers import worker_of

Write = Callable[[Path], object]


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "check_delivery", lambda *_: Verdict(passed=True))


def refused(settings: Settings, write: Write) -> str:
    """Why the files written by `write` are refused; the published day is not affected."""
    yesterday = DAY - timedelta(days=1)
    deliver(settings, "calls", yesterday, calls__csv=as_csv(legs(9, yesterday)))
    ingest(settings, "calls", yesterday)
    write(deliver(settings, "calls", DAY))
    outcome = ingest(settings, "calls", DAY)
    assert outcome.status == "refused", outcome.message
    assert len(outcome.message.splitlines()) == 1 and len(outcome.message) < 1_500
    assert [status for _, status, *_ in ledger(settings)] == ["published", "refused"]
    assert len(published(settings, yesterday)) == 9 and not published(settings)
    return outcome.message


def gzipped(part: bytes, times: int, head: bytes = b"") -> bytes:
    """The gzip of a head and many equal parts."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(head) + b"".join(packer.compress(part) for _ in range(times)) + packer.flush()


def head() -> bytes:
    return as_csv(legs(1)).splitlines(keepends=True)[0]


def row() -> bytes:
    return as_csv(legs(1)).splitlines(keepends=True)[1]


def test_a_gzip_bomb_of_newlines(warehouse: Settings) -> None:
    bomb = gzipped(b"\n" * (1 << 20), 200, head())
    assert len(bomb) < 300_000
    message = refused(warehouse, lambda folder: (folder / "calls.csv.gz").write_bytes(bomb))
    assert "calls.csv.gz: its gzip stream of " in message and "the limit for a stream of that size" in message


def test_a_gzip_bomb_of_equal_rows(warehouse: Settings) -> None:
    bomb = gzipped(row() * 1_000, 300, head())
    message = refused(warehouse, lambda folder: (folder / "calls.csv.gz").write_bytes(bomb))
    assert "its gzip stream of " in message or "of the first " in message
    [_, (_, _, rows_read, *_)] = ledger(warehouse)
    assert rows_read < 250_000, "the rest is not read"


def test_ordinary_compressed_files_are_accepted(warehouse: Settings) -> None:
    rows = legs(60_000)
    packed = gzip.compress(as_csv(rows))
    deliver(warehouse, "calls", DAY, calls__csv__gz=packed)
    assert ingest(warehouse, "calls", DAY).rows_published == len(rows)


@pytest.mark.parametrize("bad", ["equal", "broken"])
def test_endless_invalid_rows_are_not_read_to_the_end(warehouse: Settings, bad: str) -> None:
    one = row() if bad == "equal" else row().replace(b"fixe", b"fax")
    message = refused(
        warehouse, lambda folder: (folder / "calls.csv").write_bytes(head() + row() + one * 250_000)
    )
    assert re.search(r"[\d,]+ of the first [\d,]+ rows \([\d.]+ %\) break rules", message), message
    [_, (_, _, rows_read, *_)] = ledger(warehouse)
    assert 100_000 < rows_read < 200_000


def test_duplicates_beyond_the_limit_are_only_counted(warehouse: Settings) -> None:
    """Each block only repeats the others' content, so nothing shows until the end."""
    rows = [f"call-{number},".encode() + row().partition(b",")[2] for number in range(60_000)]
    content = head() + b"".join(rows * 3)
    message = refused(warehouse, lambda folder: (folder / "calls.csv").write_bytes(content))
    assert "120,000 of 180,000 rows" in message and "first: calls.csv line 2, " not in message


@pytest.mark.usefixtures("as_deployed")
def test_a_parquet_dictionary_bomb_is_never_unpacked(warehouse: Settings) -> None:
    """A value of a megabyte, forty thousand times: 40 GB of text in a file of a megabyte and a bit."""
    rows = pa.Table.from_pylist(legs(1)).take(pa.array([0] * 40_000))
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows.num_rows), pa.array(["a" * (1 << 20)]))
    folder = deliver(warehouse, "calls", DAY)
    pq.write_table(rows.set_column(0, "call_id", texts), folder / "calls.parquet")
    assert (folder / "calls.parquet").stat().st_size < 2 << 20
    with loads(warehouse) as load:
        load.ingest("boutiques", DAY)
        worker = worker_of(psutil.Process())
        outcome = load.ingest("calls", DAY)
        status = Path(f"/proc/{worker.pid}/status").read_text()
    assert outcome.status == "refused"
    assert "the row is longer than 65,536 bytes in 40,000" in outcome.message, outcome.message
    [peak_kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak_kilobytes) < 1 << 20


@pytest.mark.parametrize("column", ["reason_code", "call_id"])
def test_rejected_long_texts_cost_little(warehouse: Settings, column: str) -> None:
    """No telephone number is looked for in what nobody will be shown."""
    rows: list[Row] = legs(3_000)
    for each in rows:
        each[column] = "0299 00 00 01 " * 4_500
    table = pa.Table.from_pylist(rows)
    message = refused(warehouse, lambda folder: pq.write_table(table, folder / "calls.parquet"))
    assert "3,000 of 3,000 rows" in message and "299 00" not in message


def table_of_many_columns(folder: Path) -> None:
    names = [f"column_{number}" for number in range(limits.MOST_COLUMNS + 1)]
    pq.write_table(pa.table({name: [1] for name in names}), folder / "calls.parquet")


def long_header(count: int) -> Write:
    names = ",".join(f"c{number}" for number in range(count))
    return lambda folder: (folder / "calls.csv").write_bytes(f"call_id,{names}\n".encode())


def many_rows(folder: Path) -> None:
    pq.write_table(pa.table({"call_id": pa.nulls(limits.MOST_ROWS + 1)}), folder / "calls.parquet")


def well_packed(folder: Path) -> None:
    texts = pa.table({"call_id": [f"{number:>100000}" for number in range(400)]})
    pq.write_table(texts, folder / "calls.parquet", compression="zstd", use_dictionary=False)


def many_files(folder: Path) -> None:
    for number in range(limits.MOST_FILES + 1):
        (folder / f"{number}.csv").touch()


def many_bytes(folder: Path) -> None:
    (folder / "calls.csv").touch()
    os.truncate(folder / "calls.csv", limits.MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (long_header(11_000), "calls.csv: its first line is longer than 65,536 bytes"),
        (long_header(1_000), "it has 1,001 columns, at most 1,000 are read"),
        (long_header(900), "has the unknown columns `c0`, `c1`, .*`c9` and 890 more"),
        (table_of_many_columns, "it has 1,001 columns, at most 1,000 are read"),
        (many_rows, "it has 50,000,001 rows, at most 50,000,000 are read"),
        (well_packed, "its [0-9,]+ bytes hold [0-9,]+, at most 16,777,216 are read from a file of that size"),
        (many_files, "it has 1,001 files, at most 1,000 are read"),
        (many_bytes, "its files have 17,179,869,185 bytes, at most 17,179,869,184 are read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_oversized_deliveries_are_refused_unread(warehouse: Settings, write: Write, reason: str) -> None:
    assert re.search(reason, refused(warehouse, write))


CONTROLS = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"sha256":' * 100_000,
    "a NUL in a name": rb'{"sha256": {"calls\u0000.csv": "00"}}',
    "half a character in a name": rb'{"sha256": {"\ud800calls.csv": "00"}}',
    "half a character in a digest": rb'{"sha256": {"calls.csv": "\udfff\ud800"}}',
    "a mark in a name": '{"sha256": {"\u202evsc.sllac": "00"}}'.encode(),
    "a number without end": b'{"rows": ' + b"9" * 4_000 + b"}",
    "fewer than none": b'{"rows": -1}',
    "ten thousand names": b'{"sha256": {%s}}' % b",".join(b'"%d.csv": "0"' % n for n in range(10_000)),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_huge_control_file_refuses_only_its_delivery(warehouse: Settings, name: str) -> None:
    """Neither the load nor the look for late deliveries."""
    folder = deliver(warehouse, "calls", DAY, calls__csv=as_csv(legs(9)), control=CONTROLS[name])
    other = deliver(warehouse, "calls", DAY - timedelta(days=1), calls__csv=b"some")
    long_ago = (datetime.now(UTC) - timedelta(hours=3)).timestamp()
    for path in (*folder.iterdir(), *other.iterdir()):
        os.utime(path, (long_ago, long_ago))
    assert ("calls", DAY - timedelta(days=1)) in unseen(warehouse, DAY - timedelta(days=1), DAY)
    outcome = ingest(warehouse, "calls", DAY)
    assert outcome.status == "refused" and "_CONTROL.json" in outcome.message
    assert "Error" not in outcome.message, "it was foreseen"
    assert outcome.message.isprintable() and len(outcome.message) < 1_000


def test_the_reference_page_lists_every_limit() -> None:
    text = (PROJECT / "docs" / "reference" / "limits.md").read_text()
    counts = {value for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)}
    for count in counts - {limits.MOST_NAMED, limits.MOST_EXPANSION}:
        assert f"{count:,}" in text, count
    assert f"{limits.MOST_EXPANSION} times the file's own" in text
    assert f"{limits.LONGEST_LOAD.total_seconds() / 3600:g} hour" in text
