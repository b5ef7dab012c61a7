"""Parquet of any type: read as the text that CSV would hold, or refused by name; never a panic."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parc.loading.blocks import NOT_UTF8, UnreadableFile
from parc.loading.parquetfile import OUT_OF_TIME, read_blocks

BEYOND = [OUT_OF_TIME, OUT_OF_TIME]
EPOCH = "1970-01-01T00:00:00.000000Z"
EXTREMES = [-(2**63), 2**63 - 1, 0, None]


def texts_of(folder: Path, values: pa.Array) -> list[str | None]:
    """What a Parquet file of these values is read as."""
    path = folder / "values.parquet"
    pq.write_table(pa.table({"value": values}), path)
    return [text for block in read_blocks(path, ["value"]) for text in block.rows["value"]]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array(EXTREMES, pa.timestamp("us", "UTC")), [*BEYOND, EPOCH, None]),
        (pa.array(EXTREMES, pa.timestamp("ms", "Europe/Paris")), [*BEYOND, EPOCH, None]),
        (pa.array(EXTREMES, pa.timestamp("ms")), [*BEYOND, "1970-01-01 00:00:00.000000", None]),
        (pa.array([-(2**31), 2**31 - 1, 2_932_896, None], pa.date32()), [*BEYOND, "9999-12-31", None]),
        (
            pa.array([Decimal("3.00"), Decimal("-1"), Decimal("1e40"), None], pa.decimal256(60, 2)),
            ["3.00", "-1.00", "1" + "0" * 40 + ".00", None],
        ),
        (pa.array([Decimal("0E-10"), Decimal(7)], pa.decimal256(70, 10)), ["0.0000000000", "7.0000000000"]),
        (pa.array([Decimal("3.00"), None], pa.decimal128(38, 10)), ["3.0000000000", None]),
        (pa.array([3.0, float("nan"), 1e20, None]), ["3", None, "1e+20", None]),
        (pa.array(EXTREMES), [str(-(2**63)), str(2**63 - 1), "0", None]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array(["a", None, " b "]).dictionary_encode(), ["a", None, "b"]),
        (pa.DictionaryArray.from_arrays(pa.array([0, None]), pa.array([5])), ["5", None]),
        (pa.array(["a", "", " b\u00a0", None], pa.large_string()), ["a", None, "b", None]),
        (pa.array(["a", "", " b ", None], pa.string_view()), ["a", None, "b", None]),
        (pa.array([b"a", b"", "é".encode(), None]), ["a", None, "é", None]),
        (pa.array([b"a", b" "], pa.large_binary()), ["a", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_with_one_text_is_read(tmp_path: Path, values: pa.Array, texts: list[str | None]) -> None:
    assert texts_of(tmp_path, values) == texts


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1], pa.duration("us")),
        pa.array([1], pa.time64("us")),
        pa.array([b"ab"], pa.binary(2)),
        pa.array([{"a": 1}]),
        pa.array([[1]]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda values: str(values.type),
)
def test_other_types_are_refused_by_name(tmp_path: Path, values: pa.Array) -> None:
    with pytest.raises(UnreadableFile, match="its column `value` has type "):
        texts_of(tmp_path, values)


@pytest.mark.parametrize("label", ["-01:30", "Z", "CEST", "UTC+2", "Mars/Phobos"])
def test_instants_are_stored_as_utc_whatever_their_label(tmp_path: Path, label: str) -> None:
    assert texts_of(tmp_path, pa.array([0, None], pa.timestamp("us", label))) == [EPOCH, None]


BAD = pa.array([b"a", b"\xff", None, b"c"])


@pytest.mark.parametrize("values", [BAD, pa.Array.from_buffers(pa.string(), 4, BAD.buffers())])
def test_text_that_is_not_utf8_rejects_only_its_row(tmp_path: Path, values: pa.Array) -> None:
    path = tmp_path / "values.parquet"
    pq.write_table(pa.table({"value": values}), path)
    (block,) = read_blocks(path, ["value"])
    assert block.rows["value"].to_list() == ["a", None, "c"]
    assert block.lines.tolist() == [1, 3, 4] and block.unreadable == [(2, NOT_UTF8)]
