"""Reads CSV in blocks of bounded size, without losing rows.

A block is cut at the end of a row and laid out here (row ends, fields of each row); then Polars parses only
the bytes of the sound rows. So a row that cannot be split (ragged, badly quoted, not UTF-8) is reported with
its line and affects no other row, whereas Polars alone would silently pad it or fail on the whole file.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

from parc.loading.blocks import NOT_UTF8, NUL, TOO_LONG, WHITE_SPACE, Block, UnreadableFile
from parc.loading.limits import LONGEST_ROW_BYTES, MOST_ROWS

BLOCK_BYTES = 4 << 20

TOO_FEW = "has fewer fields than the header"
TOO_MANY = "has more fields than the header"
BADLY_QUOTED = "has a quote that is not closed, or is inside a field"
_REASONS = (TOO_FEW, TOO_MANY, BADLY_QUOTED, NUL, NOT_UTF8, TOO_LONG)
_SOUND, _BLANK = 0, len(_REASONS) + 1

_FIELD = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\n]*+)'
_ROW = re.compile(rb"%b(?:,%b)*+\r?\n" % (_FIELD, _FIELD))
_QUOTED = re.compile(rb'"[^"]*+"')


def read_header(stream: BinaryIO) -> list[str]:
    """Read the column names from the first line, leaving the stream at the second. An empty file has none.

    Raises UnreadableFile if the line is blank, is not UTF-8 or is too long.
    """
    line = stream.readline(LONGEST_ROW_BYTES).removeprefix(codecs.BOM_UTF8)
    if len(line) >= LONGEST_ROW_BYTES - len(codecs.BOM_UTF8) and not line.endswith(b"\n"):
        raise UnreadableFile(f"its first line is longer than {LONGEST_ROW_BYTES:,} bytes")
    if b"\r" in line.rstrip(b"\r\n"):
        raise UnreadableFile("its lines end with only a carriage return; end them with a line feed")
    if not line.strip() and stream.read(1):
        raise UnreadableFile("its first line is blank, but must be the header")
    try:
        return next(csv.reader([line.decode().rstrip("\r\n")]), [])
    except (UnicodeDecodeError, csv.Error):
        raise UnreadableFile("its first line is not a CSV header in UTF-8") from None


def read_blocks(stream: BinaryIO, names: Sequence[str], block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Read the rows below the header; the stream must be at the second line. Skips blank lines and, as
    spreadsheets leave them, lines of only commas.

    Raises UnreadableFile if there are too many lines.
    """
    line = 2
    rest = b""
    at_end = False
    while not at_end:
        read = stream.read(block_bytes)
        at_end = not read
        if line > MOST_ROWS:
            raise UnreadableFile(f"it has more than {MOST_ROWS:,} lines, blank ones included")
        if not read.endswith(b"\n"):  # complete the last line, so that usually nothing is carried over
            read += stream.readline(LONGEST_ROW_BYTES)
        data = rest + read
        if at_end and data and not data.endswith(b"\n"):
            data += b"\n"
        if plain := _plain_block(data, names, line):
            yield plain
            rest = data[data.rindex(b"\n") + 1 :]
            line += plain.lines.size
            continue
        layout = _scan(data, len(names), at_end) if b'"' in data else _lay_out(data)
        size = int(layout.ends[-1]) + 1 if layout.ends.size else 0
        rest = data[size:]
        if b"\n" not in rest:  # a row that is already too long need not be kept whole
            rest = rest[: LONGEST_ROW_BYTES + 1]
        if size:
            newlines = np.flatnonzero(np.frombuffer(data, np.uint8, size) == ord("\n"))
            yield _block(data[:size], layout, names, line + np.searchsorted(newlines, layout.starts))
            line += newlines.size


def _plain_block(data: bytes, names: Sequence[str], first_line: int) -> Block | None:
    """The complete lines of the data as a block, if all are sound and without quotes, as is nearly always so.

    Polars fails on a row with too many fields. If it does not fail, and the number of commas is right in
    total, no row has too few.
    """
    if b'"' in data or b"\0" in data or not data.isascii() or len(names) < 2:
        return None
    characters = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(characters == ord("\n"))
    if not newlines.size or np.diff(newlines, prepend=-1).max() > LONGEST_ROW_BYTES:
        return None
    size = int(newlines[-1]) + 1
    if np.count_nonzero(characters[:size] == ord(",")) != newlines.size * (len(names) - 1):
        return None
    try:
        rows = _parse(data[:size], names)
    except pl.exceptions.PolarsError:
        return None
    if rows.height != newlines.size:
        return None
    if rows.to_series(0).null_count() and rows.select(pl.all_horizontal(pl.all().is_null()).any()).item():
        return None
    lines = np.arange(first_line, first_line + newlines.size, dtype=np.int32)
    return Block(rows, lines, [])


class _Layout:
    """The layout of consecutive rows: the position of each row's last newline, and its number of fields.

    A badly quoted row has -1 fields.
    """

    def __init__(self, ends: npt.ArrayLike, field_counts: npt.ArrayLike) -> None:
        self.ends = np.asarray(ends, dtype=np.int64)
        self.starts = np.concatenate(([0], self.ends[:-1] + 1))
        self.field_counts = np.asarray(field_counts, dtype=np.int64)


def _lay_out(data: bytes) -> _Layout:
    """The layout of bytes without quotes, up to the last newline."""
    characters = np.frombuffer(data, np.uint8)
    marks = np.flatnonzero((characters == ord(",")) | (characters == ord("\n")))
    last_marks = np.flatnonzero(characters[marks] == ord("\n"))
    return _Layout(marks[last_marks], np.diff(last_marks, prepend=-1))


def _scan(data: bytes, width: int, at_end: bool) -> _Layout:
    """The layout of bytes with quotes, up to the last row that is certainly complete.

    A badly quoted row ends at its first newline, so that it does not swallow the rows below it. For the same
    reason, so does a row over several lines whose number of fields differs from the header's.
    """
    ends, field_counts = [], []
    start = 0
    while (newline := data.find(b"\n", start)) >= 0:
        if data.find(b'"', start, newline) < 0:
            end, fields = newline, data.count(b",", start, newline) + 1
        else:
            found = _ROW.match(data, start, start + LONGEST_ROW_BYTES + 1)
            if not found and not at_end and len(data) - start <= LONGEST_ROW_BYTES:
                break
            end, fields = newline, -1
            if found:
                found_fields = _QUOTED.sub(b"", found[0]).count(b",") + 1
                if found_fields == width or found.end() == newline + 1:
                    end, fields = found.end() - 1, found_fields
        ends.append(end)
        field_counts.append(fields)
        start = end + 1
    return _Layout(ends, field_counts)


def _block(data: bytes, layout: _Layout, names: Sequence[str], lines: npt.NDArray[np.int64]) -> Block:
    characters = np.frombuffer(data, np.uint8)
    starts, ends, field_counts = layout.starts, layout.ends, layout.field_counts
    states = np.full(ends.size, _SOUND, dtype=np.uint8)
    if not data.isascii():
        states[_rows_not_utf8(data, starts, ends)] = _state(NOT_UTF8)
    if b"\0" in data:
        states[np.searchsorted(ends, np.flatnonzero(characters == 0))] = _state(NUL)
    states[field_counts < len(names)] = _state(TOO_FEW)
    states[field_counts > len(names)] = _state(TOO_MANY)
    states[field_counts < 0] = _state(BADLY_QUOTED)
    lengths = ends - starts
    states[lengths > LONGEST_ROW_BYTES] = _state(TOO_LONG)
    filled = lengths - (
        characters[ends - 1] == ord("\r")
    )  # for an empty first line this looks at the last newline
    states[(field_counts - 1 == filled) & (lengths <= LONGEST_ROW_BYTES)] = _BLANK

    sound = states == _SOUND
    if not sound.all():
        data = characters[np.repeat(sound, lengths + 1)].tobytes()
    rows = _parse(data, names)
    if rows.height != sound.sum():
        raise UnreadableFile(f"its rows from line {lines[0]} on cannot be parsed")
    broken = np.flatnonzero((states != _SOUND) & (states != _BLANK))
    return Block(
        rows, lines[sound].astype(np.int32), [(int(lines[row]), _REASONS[states[row] - 1]) for row in broken]
    )


def _parse(data: bytes, names: Sequence[str]) -> pl.DataFrame:
    """Parse rows as text, stripped of white space, empty texts as null."""
    rows = pl.read_csv(
        data,
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        quote_char='"' if b'"' in data else None,
        raise_if_empty=False,
    ).rechunk()
    is_padded = any(sign in data for sign in (b'"', b" ", b"\t", b"\v", b"\f")) or not data.isascii()
    if is_padded or (b"\r" in data and (data.count(b"\r") != data.count(b"\r\n") or b"\r\r" in data)):
        text = pl.all().str.strip_chars(WHITE_SPACE)
        rows = rows.with_columns(pl.when(text != "").then(text))  # a quoted empty text is empty too
    return rows


def _state(reason: str) -> int:
    return _REASONS.index(reason) + 1


def _rows_not_utf8(data: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[int]:
    if is_utf8(data):
        return []
    extents = zip(starts.tolist(), ends.tolist(), strict=True)
    return [row for row, (start, end) in enumerate(extents) if not is_utf8(data[start:end])]


def is_utf8(data: bytes) -> bool:
    """Whether bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
