"""Blocks of rows read from delivered files: every column as text, every row with its line number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from parc.errors import DeliveryRefused
from parc.loading.limits import LONGEST_ROW_BYTES

BOM = "\ufeff"
WHITE_SPACE = (
    " \t\r\v\f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b"
    "\u2028\u2029\u202f\u205f\u2060\u3000" + BOM
)
"""Characters that are stripped from both ends of a value."""

NOT_UTF8 = "is not UTF-8"
NUL = "holds a NUL byte"  # the only character that PostgreSQL cannot store
TOO_LONG = f"is longer than {LONGEST_ROW_BYTES:,} bytes"


class UnreadableFile(DeliveryRefused):
    """A file that cannot be read in the format its name implies; the message names it."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    `rows` has the rows that could be split: all columns as text, stripped of white space, empty texts as
    null. `lines` has the line on which each begins; `unreadable` the line and the reason for each of the
    others.
    """

    rows: pl.DataFrame
    lines: npt.NDArray[np.int32]
    unreadable: list[tuple[int, str]]

    @property
    def row_count(self) -> int:
        """The number of rows read, including those that could not be split."""
        return self.rows.height + len(self.unreadable)
