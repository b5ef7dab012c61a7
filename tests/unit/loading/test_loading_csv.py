"""Reading CSV: no row is lost, and each has its line number, whatever the file looks like."""

from __future__ import annotations

import csv
import io
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from parc.loading.blocks import TOO_LONG, WHITE_SPACE
from parc.loading.csvfile import read_blocks, read_header
from parc.loading.limits import LONGEST_ROW_BYTES

Row = tuple[str | None, ...]


def everything(
    data: bytes, names: str = "a,b,c", block_bytes: int = 1 << 20
) -> tuple[dict[int, Row], dict[int, str]]:
    """Rows by line, and reasons by line of those that cannot be split."""
    rows: dict[int, Row] = {}
    unreadable: dict[int, str] = {}
    stream = io.BytesIO(names.encode() + b"\n" + data)
    for block in read_blocks(stream, read_header(stream), block_bytes):
        for line, row in zip(block.lines.tolist(), block.rows.iter_rows(), strict=True):
            assert line not in rows
            rows[line] = row
        unreadable |= dict(block.unreadable)
    return rows, unreadable


BLOCK_SIZES = pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])


@BLOCK_SIZES
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_plain_rows(block_bytes: int, end: bytes, last: bytes) -> None:
    data = end.join([b"1,2,3", b"4,,6", b"", b"7,8,", b"a,b,c"]) + last
    rows, unreadable = everything(data, block_bytes=block_bytes)
    assert rows == {2: ("1", "2", "3"), 3: ("4", None, "6"), 5: ("7", "8", None), 6: ("a", "b", "c")}
    assert not unreadable


@BLOCK_SIZES
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_commas_are_blank(block_bytes: int, end: bytes) -> None:
    good = [b"1,2,3", b",,3", b'"",,""']
    for lines in ([*good, b",,", b",", b",,,,,", b",,"], [good[0], b",,", b",,"]):
        rows, unreadable = everything(end.join(lines) + end, block_bytes=block_bytes)
        assert set(rows) == set(range(2, 2 + sum(line in good for line in lines)))
        assert not unreadable


@BLOCK_SIZES
def test_a_malformed_row_affects_no_other_row(block_bytes: int) -> None:
    data = (
        b"1,2,3\n"
        b"1,2\n"  # line 3
        b"1,2,3,\n"
        b'"two\nlines","say ""so""",""\n'  # lines 5 and 6
        b"\xe9,2,3\n"
        b"\xc3\xa9,2,3\n"
        b"1,\x00,3\n"
        b'1,in"side,3\n'  # line 10
        b'1,"never closed,3\n'
        b"4,5,6\n"
        b'"two\nlines",but too few\n'  # lines 13 and 14
        b"7,8,9\n"
    )
    rows, unreadable = everything(data, block_bytes=block_bytes)
    assert rows == {
        2: ("1", "2", "3"),
        5: ("two\nlines", 'say "so"', None),
        8: ("é", "2", "3"),
        12: ("4", "5", "6"),
        15: ("7", "8", "9"),
    }
    assert unreadable == {
        3: "has fewer fields than the header",
        4: "has more fields than the header",
        7: "is not UTF-8",
        9: "holds a NUL byte",
        10: "has a quote that is not closed, or is inside a field",
        11: "has a quote that is not closed, or is inside a field",
        13: "has a quote that is not closed, or is inside a field",
        14: "has a quote that is not closed, or is inside a field",
    }


def test_an_unclosed_quote_affects_no_later_row() -> None:
    good = b"".join(b"%d,x,y\n" % number for number in range(20_000))
    rows, unreadable = everything(b'1,"2,3\n' + good, block_bytes=1 << 14)
    assert list(unreadable) == [2]
    assert len(rows) == 20_000
    assert rows[20_002] == ("19999", "x", "y")


@pytest.mark.parametrize("block_bytes", [1 << 12, 1 << 16, 100_000, 1 << 22])
@pytest.mark.parametrize("size", [LONGEST_ROW_BYTES - 4, LONGEST_ROW_BYTES + 1, 5 * LONGEST_ROW_BYTES])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_an_overlong_row_affects_no_other_row(block_bytes: int, size: int, quote: bytes) -> None:
    for before in (0, 3_000):
        long = quote + b"x" * (size - 2 * len(quote)) + quote + b",2,3\n"
        rows, unreadable = everything(b"1,2,3\n" * before + long + b"4,5,6\n", block_bytes=block_bytes)
        is_long = len(long) - 1 > LONGEST_ROW_BYTES
        assert list(unreadable.items()) == ([(before + 2, TOO_LONG)] if is_long else [])
        assert len(rows) == before + 1 + (not is_long)
        assert rows[before + 3] == ("4", "5", "6")


def test_an_endless_line_takes_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        left = 300 << 20

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            size = min(self.left, len(buffer))
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    tracemalloc.start()
    [block] = read_blocks(io.BufferedReader(Endless()), ["a"], block_bytes=1 << 14)
    assert tracemalloc.get_traced_memory()[1] < 20 * LONGEST_ROW_BYTES
    tracemalloc.stop()
    assert block.unreadable == [(2, TOO_LONG)]


def test_byte_order_mark_and_quoted_header() -> None:
    stream = io.BytesIO(b'\xef\xbb\xbf"a",b,"c"\r\n1,2,3\r\n')
    assert read_header(stream) == ["a", "b", "c"]
    assert [block.rows.rows() for block in read_blocks(stream, ["a", "b", "c"])] == [[("1", "2", "3")]]


def test_an_empty_file_has_no_header() -> None:
    assert read_header(io.BytesIO(b"")) == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
TABLES = st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=8)


@given(
    table=TABLES,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block_bytes=st.integers(1, 60),
)
@example(table=[["\n", '"', ","], ["\r", "\n\n", "x"]], end="\n", quoting=csv.QUOTE_ALL, block_bytes=3)
def test_reads_whatever_the_csv_module_writes(
    table: list[list[str]], end: str, quoting: int, block_bytes: int
) -> None:
    # The module leaves a carriage return bare: at the end of a value it is taken for half of a line end.
    assume(quoting == csv.QUOTE_ALL or not any(value.endswith("\r") for row in table for value in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    expected: dict[int, Row] = {}
    line = 2
    for row in table:
        before = text.getvalue().count("\n")
        writer.writerow(row)
        if any(row) or quoting == csv.QUOTE_ALL:  # commas alone are no row
            expected[line] = tuple(value.strip(WHITE_SPACE) or None for value in row)
        line += text.getvalue().count("\n") - before
    rows, unreadable = everything(text.getvalue().encode(), block_bytes=block_bytes)
    assert not unreadable
    assert rows == expected


@given(
    data=st.binary(max_size=60) | st.text('ab,"\n\r', max_size=60).map(str.encode), size=st.integers(1, 70)
)
def test_any_bytes_are_accounted_for_line_by_line(data: bytes, size: int) -> None:
    rows, unreadable = everything(data, block_bytes=size)
    whole = everything(data)
    assert (rows, unreadable) == whole, "where blocks are cut makes no difference"
    assert not rows.keys() & unreadable.keys()
    if b'"' not in data:
        lines = data.split(b"\n")
        texts = (line.removesuffix(b"\r").strip(b",") for line in lines)
        filled = {number for number, text in enumerate(texts, start=2) if text}
        assert rows.keys() | unreadable.keys() == filled
