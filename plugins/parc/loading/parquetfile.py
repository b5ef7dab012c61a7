"""Parquet in batches of rows, brought to the shape of CSV: every column as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from parc.loading.blocks import NOT_UTF8, NUL, WHITE_SPACE, Block, UnreadableFile
from parc.loading.csvfile import is_utf8
from parc.numbers import masked

BATCH_ROWS = 40_000


_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SECONDS = tuple(int(moment.timestamp()) for moment in (_FIRST, _LAST))
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
OUT_OF_TIME = "outside the years 1 to 9999"
"""The text of a date or moment that no calendar shows."""


def read_names(path: Path) -> list[str]:
    """The names of the columns.

    Raises UnreadableFile where the file is no Parquet file.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"it is no Parquet file: {_first_line(error)}") from None


def read_blocks(path: Path, names: Sequence[str]) -> Iterator[Block]:
    """The rows; the line of each is its number in the file, from 1.

    Raises UnreadableFile where the file is damaged, or has a column of a type that no CSV could hold.
    """
    line = 1
    try:
        with pq.ParquetFile(path) as file:
            for name in names:
                held = file.schema_arrow.field(name).type
                if not _is_like_csv(held):
                    raise UnreadableFile(f"its column `{name}` is of type {held}, which is no single value")
            for batch in file.iter_batches(BATCH_ROWS, columns=list(names)):
                readable = _readable(batch)
                broken = [(line + at, NOT_UTF8) for at in np.flatnonzero(~readable).tolist()]
                lines = np.arange(line, line + batch.num_rows, dtype=np.int32)[readable]
                line += batch.num_rows
                batch = batch.filter(pa.array(readable)) if broken else batch
                batch.validate(full=True)
                typed = pl.DataFrame(pl.from_arrow(_for_polars(batch)))
                padded = {name for name in names if _may_be_padded(batch[name])}
                rows = typed.select(_text(name, typed.schema[name], name in padded) for name in names)
                whole = ~rows.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True))).to_series()
                whole = whole.fill_null(True)
                if not whole.all():
                    broken += [(int(at), NUL) for at in lines[~whole.to_numpy()]]
                    rows, lines = rows.filter(whole), lines[whole.to_numpy()]
                yield Block(rows, lines, sorted(broken))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableFile(f"it cannot be read as Parquet: {_first_line(error)}") from None


def _is_like_csv(held: pa.DataType) -> bool:
    """Whether values of this type have one text each."""
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
    """Whether it is text, or bytes that some writers declare for text."""
    return any(
        is_one(held)
        for is_one in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
        )
    )  # fmt: skip


def _for_polars(batch: pa.RecordBatch) -> pa.Table:
    """The batch with UTC for every zone, and text for the types on which Polars fails."""
    table = pa.table(batch)
    for number, field in enumerate(batch.schema):
        held = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_timestamp(held) and held.tz:  # stored as UTC, whatever its label says
            instants = table[number].cast(held).cast(pa.int64()).cast(pa.timestamp(held.unit, "UTC"))
            table = table.set_column(number, field.name, instants)
        elif pa.types.is_decimal256(held):  # a cast writes 0E-10
            texts = [None if value is None else f"{value:f}" for value in table[number].to_pylist()]
            table = table.set_column(number, field.name, pa.array(texts, pa.large_string()))
        elif pa.types.is_binary(held) or pa.types.is_large_binary(held):
            table = table.set_column(number, field.name, table[number].cast(held).cast(pa.large_string()))
    return table


def _readable(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Which rows hold UTF-8 wherever they hold text."""
    readable = np.ones(batch.num_rows, dtype=bool)
    for values in batch.columns:
        held = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if not _is_text(held):
            continue
        try:
            values.validate(full=True)
            values.cast(held).cast(pa.large_binary()).cast(pa.large_string())
        except (pa.ArrowException, UnicodeDecodeError):
            texts = values.cast(held).cast(pa.large_binary()).to_pylist()
            readable &= [text is None or is_utf8(text) for text in texts]
    return readable


def _may_be_padded(values: pa.Array) -> bool:
    """Whether texts may have white space around them: told by their bytes, which is quick."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return True
    held = values.buffers()[2]
    characters = np.frombuffer(held, np.uint8) if held else np.empty(0, np.uint8)
    return bool(characters.size and (characters.min() <= ord(" ") or characters.max() > 127))


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
    if held.is_float():  # how pandas writes whole numbers with gaps
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
    return masked((str(error) or type(error).__name__).splitlines()[0][:200])
