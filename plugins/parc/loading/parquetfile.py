"""Reads Parquet in batches of rows, in the same form as CSV: every column as text.

A few bytes may encode any number of equal values. So a file's metadata is checked before it is read, texts
stay dictionary-encoded until their lengths are known, and are then decoded a limited number of bytes at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from parc.loading.blocks import NOT_UTF8, NUL, TOO_LONG, WHITE_SPACE, Block, UnreadableFile
from parc.loading.csvfile import is_utf8
from parc.loading.limits import (
    LONGEST_ROW_BYTES,
    MOST_COLUMNS,
    MOST_ROW_GROUP_BYTES,
    MOST_ROWS,
    unpacked_bytes_allowed,
)
from parc.numbers import masked_with_serials

BATCH_ROWS = 40_000
REPEATING_ROWS = 1_000
"""Rows per batch if texts may repeat the previous one (`DELTA_BYTE_ARRAY`), which no dictionary limits."""

TEXT_BYTES = 64 << 20
"""Bytes of text that are decoded at a time."""

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SECONDS = tuple(int(moment.timestamp()) for moment in (_FIRST, _LAST))
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
OUT_OF_TIME = "outside the years 1 to 9999"
"""The text for a date or instant outside the calendar."""


def read_names(path: Path) -> list[str]:
    """Read the names of the columns.

    Raises UnreadableFile if the file is not a Parquet file, or exceeds a limit according to its metadata.
    """
    try:
        with pq.ParquetFile(path) as file:
            if problem := _excess(file.metadata, path.stat().st_size):
                raise UnreadableFile(problem)
            return list(file.schema_arrow.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"it is not a Parquet file: {_first_line(error)}") from None


def _excess(footer: pq.FileMetaData, size: int) -> str | None:
    """Which limit a file of this size exceeds according to its metadata, or None."""
    if footer.num_rows > MOST_ROWS:
        return f"it has {footer.num_rows:,} rows, at most {MOST_ROWS:,} are read; deliver each day separately"
    if footer.num_columns > MOST_COLUMNS:
        return f"it has {footer.num_columns:,} columns, at most {MOST_COLUMNS:,} are read"
    groups = [footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)]
    if max(groups, default=0) > MOST_ROW_GROUP_BYTES:
        return (
            f"a row group holds {max(groups):,} bytes, at most {MOST_ROW_GROUP_BYTES:,} are read; "
            "write smaller ones"
        )
    if sum(groups) > unpacked_bytes_allowed(size):
        return (
            f"its {size:,} bytes hold {sum(groups):,}, at most {unpacked_bytes_allowed(size):,} are read "
            "from a file of that size"
        )
    return None


def read_blocks(path: Path, names: Sequence[str]) -> Iterator[Block]:
    """Read the rows; the line of each is its row number in the file, from 1.

    Raises UnreadableFile if the file is damaged, or has a column whose type CSV could not hold.
    """
    line = 1
    try:
        with pq.ParquetFile(path) as file:
            for name in names:
                held = file.schema_arrow.field(name).type
                if not _is_like_csv(held):
                    raise UnreadableFile(f"its column `{name}` has type {held}, which is not a single value")
            repeating, dictionaries = _encoded(file.metadata)
        batch_rows = REPEATING_ROWS if repeating else BATCH_ROWS
        with pq.ParquetFile(path, read_dictionary=dictionaries) as file:
            for batch in file.iter_batches(batch_rows, columns=list(names)):
                yield from _blocks(batch, names, line)
                line += batch.num_rows
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableFile(f"it cannot be read as Parquet: {_first_line(error)}") from None


def _encoded(footer: pq.FileMetaData) -> tuple[bool, list[str]]:
    """Whether texts may repeat the previous one in some column, and which columns have dictionaries of
    texts."""
    repeating, dictionaries = False, set()
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for column in (group.column(place) for place in range(footer.num_columns)):
            repeating |= "DELTA_BYTE_ARRAY" in column.encodings
            if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page:
                dictionaries.add(column.path_in_schema)
    return repeating, sorted(dictionaries)


def _blocks(batch: pa.RecordBatch, names: Sequence[str], line: int) -> Iterator[Block]:
    """The rows of a batch that starts at this line, with at most TEXT_BYTES in each block."""
    lines = np.arange(line, line + batch.num_rows, dtype=np.int32)
    batch, readable = _readable(batch)
    unreadable = [(int(at), NOT_UTF8) for at in lines[~readable]]
    if unreadable:
        batch, lines = batch.filter(pa.array(readable)), lines[readable]
    batch.validate(full=True)
    sizes = np.zeros(batch.num_rows, np.int64)
    for name in names:
        sizes += _text_bytes(batch[name])
    is_long = sizes > LONGEST_ROW_BYTES
    part_of = np.cumsum(np.where(is_long, 0, sizes)) // TEXT_BYTES
    for part in np.unique(part_of):
        within = part_of == part
        kept = within & ~is_long
        broken = [(int(at), TOO_LONG) for at in lines[within & is_long]]
        broken = sorted(broken + unreadable)
        unreadable = []
        yield _block(batch if kept.all() else batch.filter(pa.array(kept)), names, lines[kept], broken)
    if unreadable:
        yield _block(batch, names, lines, unreadable)


def _text_bytes(values: pa.Array) -> npt.NDArray[np.int64] | int:
    """The length of each row's text, found without decoding it; 0 for other types."""
    if pa.types.is_dictionary(values.type):
        if not _is_text(values.type.value_type):
            return 0
        lengths = pc.binary_length(values.dictionary).take(values.indices)
    elif _is_text(values.type):
        lengths = pc.binary_length(values)
    else:
        return 0
    return np.asarray(lengths.fill_null(0), np.int64)


def _block(
    batch: pa.RecordBatch, names: Sequence[str], lines: npt.NDArray[np.int32], broken: list[tuple[int, str]]
) -> Block:
    table = _for_polars(batch)
    typed = pl.DataFrame(pl.from_arrow(table))
    padded = {name for name in names if _may_be_padded(table[name])}
    rows = typed.select(_text(name, typed.schema[name], name in padded) for name in names)
    whole = ~rows.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True))).to_series()
    whole = whole.fill_null(True)
    if whole.all():
        return Block(rows, lines, broken)
    broken += [(int(at), NUL) for at in lines[~whole.to_numpy()]]
    return Block(rows.filter(whole), lines[whole.to_numpy()], sorted(broken))


def _is_like_csv(held: pa.DataType) -> bool:
    """Whether each value of this type has exactly one text."""
    if pa.types.is_dictionary(held):
        held = held.value_type
    return (
        _is_text(held)
        or pa.types.is_decimal(held)
        or pa.types.is_floating(held)
        or pa.types.is_integer(held)
        or pa.types.is_boolean(held)
        or pa.types.is_date(held)
        or pa.types.is_timestamp(held)
        or pa.types.is_null(held)
    )


def _is_text(held: pa.DataType) -> bool:
    """Whether the type is text, or bytes, which some writers use for text."""
    return any(
        is_one(held)
        for is_one in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
        )
    )


def _for_polars(batch: pa.RecordBatch) -> pa.Table:
    """The batch with dictionaries decoded, all time zones converted to UTC, and types that Polars cannot read
    converted to text."""
    table = pa.table(batch)
    for number, field in enumerate(batch.schema):
        held, values = field.type, table[number]
        if pa.types.is_dictionary(held):
            held = held.value_type
            values = values.cast(held)
        if pa.types.is_timestamp(held) and held.tz:  # stored as UTC, whatever the label
            values = values.cast(pa.int64()).cast(pa.timestamp(held.unit, "UTC"))
        elif pa.types.is_decimal256(held):  # a cast would write 0E-10
            texts = [None if value is None else f"{value:f}" for value in values.to_pylist()]
            values = pa.chunked_array([pa.array(texts, pa.large_string())])
        elif pa.types.is_binary(held) or pa.types.is_large_binary(held):
            values = values.cast(pa.large_string())
        table = table.set_column(number, field.name, values)
    return table


def _readable(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.bool_]]:
    """The batch with invalid UTF-8 removed from its dictionaries, and a flag per row: all its texts are
    UTF-8. Each text of a dictionary is checked once."""
    readable = np.ones(batch.num_rows, dtype=bool)
    for number, values in enumerate(batch.columns):
        if pa.types.is_dictionary(values.type):
            if not _is_text(values.type.value_type):
                continue
            sound = pa.array(_are_utf8(values.dictionary), pa.bool_())
            if not pc.all(sound).as_py():
                readable &= sound.take(values.indices).fill_null(True).to_numpy(zero_copy_only=False)
                texts = pc.if_else(sound, values.dictionary.cast(pa.large_binary()), b"")
                cleaned = pa.DictionaryArray.from_arrays(values.indices, texts.cast(values.type.value_type))
                batch = batch.set_column(number, batch.schema.field(number).name, cleaned)
        elif _is_text(values.type):
            readable &= _are_utf8(values)
    return batch, readable


def _are_utf8(texts: pa.Array) -> npt.NDArray[np.bool_]:
    as_bytes = texts.cast(pa.large_binary())
    try:
        as_bytes.cast(pa.large_string())
    except pa.ArrowException:
        return np.array([text is None or is_utf8(text) for text in as_bytes.to_pylist()], dtype=bool)
    return np.ones(len(texts), dtype=bool)


def _may_be_padded(values: pa.ChunkedArray) -> bool:
    """Whether texts may have white space around them; a quick test of their bytes."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return True
    for chunk in values.chunks:
        held = chunk.buffers()[2]
        characters = np.frombuffer(held, np.uint8) if held else np.empty(0, np.uint8)
        if characters.size and (characters.min() <= ord(" ") or characters.max() > 127):
            return True
    return False


def _text(name: str, held: pl.DataType, is_padded: bool) -> pl.Expr:
    column = pl.col(name)
    if isinstance(held, pl.Datetime):
        return _moment(
            column, held.time_unit, "%Y-%m-%dT%H:%M:%S%.6fZ" if held.time_zone else "%Y-%m-%d %H:%M:%S%.6f"
        )
    if held == pl.Date:
        first, last = (seconds // 86_400 for seconds in _SECONDS)
        is_shown = column.to_physical().is_between(first, last)
        shown = pl.when(is_shown).then(column).dt.to_string("%Y-%m-%d")
        return pl.when(column.is_null() | is_shown).then(shown).otherwise(pl.lit(OUT_OF_TIME))
    if held.is_float():  # pandas writes whole numbers with gaps as floats
        whole = column.cast(pl.Int64, strict=False)
        text = pl.when(column == whole).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        return pl.when(column.is_not_nan()).then(text)
    text = column.cast(pl.String)
    if is_padded:
        text = text.str.strip_chars(WHITE_SPACE)
    return pl.when(text != "").then(text)


def _moment(column: pl.Expr, unit: str, form: str) -> pl.Expr:
    first, last = (seconds * _PER_SECOND[unit] for seconds in _SECONDS)
    is_shown = column.to_physical().is_between(first, last)
    moment = pl.when(is_shown).then(column).dt.cast_time_unit("us")
    shown = (moment.dt.convert_time_zone("UTC") if form.endswith("Z") else moment).dt.strftime(form)
    return pl.when(column.is_null() | is_shown).then(shown).otherwise(pl.lit(OUT_OF_TIME))


def _first_line(error: Exception) -> str:
    return masked_with_serials((str(error) or type(error).__name__).splitlines()[0][:200])
