"""Parquet in batches of rows, brought to the shape of CSV: every column as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from parc.loading.blocks import NUL, Block, UnreadableFile

BATCH_ROWS = 40_000


def read_names(path: Path) -> list[str]:
    """The names of the columns.

    Raises UnreadableFile where the file is no Parquet file.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"it is no Parquet file: {error}") from None


def read_blocks(path: Path, names: Sequence[str]) -> Iterator[Block]:
    """The rows; the line of each is its number in the file, from 1.

    Raises UnreadableFile where the file is damaged, holds text that is not UTF-8, or has a column of a type
    that no CSV could hold.
    """
    line = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(names)):
                batch.validate(full=True)
                typed = pl.DataFrame(pl.from_arrow(batch))
                rows = typed.select(_text(name, typed.schema[name]) for name in names)
                lines = np.arange(line, line + rows.height, dtype=np.int32)
                line += rows.height
                whole = ~rows.select(pl.any_horizontal(pl.all().str.contains("\0", literal=True))).to_series()
                whole = whole.fill_null(True)
                if not whole.all():
                    broken = [(int(at), NUL) for at in lines[~whole.to_numpy()]]
                    yield Block(rows.filter(whole), lines[whole.to_numpy()], broken)
                else:
                    yield Block(rows, lines, [])
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"it cannot be read as Parquet: {error}") from None


def _text(name: str, held: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(held, pl.Datetime) and held.time_zone:
        instant = column.dt.cast_time_unit("us").dt.convert_time_zone("UTC")
        return instant.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if held.is_float():  # how pandas writes whole numbers with gaps
        whole = column.cast(pl.Int64, strict=False)
        return pl.when(column == whole).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
    if held.is_nested() or held in (pl.Binary, pl.Object):
        raise UnreadableFile(f"its column `{name}` is of type {held}")
    text = column.cast(pl.String)
    return pl.when(text != "").then(text)
