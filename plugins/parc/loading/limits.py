"""What a delivery may cost: beyond any of these bounds it is refused, in one line.

docs/reference/limits.md says them to whoever delivers.
"""

from __future__ import annotations

from datetime import timedelta

LONGEST_LOAD = timedelta(hours=1)
"""Time, waits for locks included; a delivery of the nation takes seconds."""

MOST_MEMORY_BYTES = 8 << 30
"""Data of the loading process; a delivery of the nation needs a twentieth."""

MOST_FILES = 1_000
MOST_BYTES = 16 << 30
"""All data files of a delivery as they lie there; and each one unpacked."""

MOST_EXPANSION = 100
"""How many times its own size a file may hold unpacked; what people deliver holds five to thirty times."""

UNPACKED_UNASKED_BYTES = 16 << 20
"""What any file may hold unpacked, however small it is."""

MOST_ROWS = 50_000_000
"""Rows of a delivery, and lines of a file, blank ones included; the nation has 5 million lines."""

MOST_COLUMNS = 1_000
LONGEST_ROW_BYTES = 64 << 10
"""A longer row is set aside unread; a quote that is not closed within as much is taken for a stray one."""

MOST_ROW_GROUP_BYTES = 2 << 30
"""A row group of a Parquet file, unpacked: it is read in one piece."""

MOST_REJECTED_ROWS = 100_000
"""Rejected rows held in memory; a delivery with more of them is refused whatever share they are."""

MOST_CONTROL_BYTES = 16 << 20

MOST_NAMED = 10
"""Files or columns that a message names before it counts the others."""


def named(names: list[str]) -> str:
    """The names, cut after the first few."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def unpacked_bytes_allowed(packed_bytes: int) -> int:
    """What a file of this size may hold unpacked."""
    return min(MOST_BYTES, max(UNPACKED_UNASKED_BYTES, MOST_EXPANSION * packed_bytes))
