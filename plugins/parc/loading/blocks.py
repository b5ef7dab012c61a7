"""Delivered files as blocks of rows: every column as text, every row with the line it stands on."""

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
"""Characters that are no part of a value around which they stand."""

NOT_UTF8 = "is not UTF-8"
NUL = "holds a NUL byte"  # the one character that PostgreSQL cannot store
TOO_LONG = f"is longer than {LONGEST_ROW_BYTES:,} bytes"


class UnreadableFile(DeliveryRefused):
    """A file that cannot be read as what its name says it is; the message names it."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    `rows` holds those that could be split, all columns as text without the white space around it, an empty
    one as null; `lines` the line on which each begins; `unreadable` the line and the reason of the others.
    """

    rows: pl.DataFrame
    lines: npt.NDArray[np.int32]
    unreadable: list[tuple[int, str]]

    @property
    def row_count(self) -> int:
        """Rows read, whether or not they could be split."""
        return self.rows.height + len(self.unreadable)
