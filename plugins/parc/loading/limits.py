"""Limits on deliveries; one that exceeds any of them is refused, in one line.

docs/reference/limits.md explains them to suppliers.
"""

from __future__ import annotations

from datetime import timedelta

LONGEST_LOAD = timedelta(hours=1)
"""Time to load a delivery, including waits for locks; a national delivery takes seconds."""

MOST_MEMORY_BYTES = 8 << 30
"""Memory of the loading process; a national delivery needs a twentieth of it."""

MOST_FILES = 1_000
MOST_BYTES = 16 << 30
"""Total size of a delivery's data files as delivered, and size of each one unpacked."""

MOST_EXPANSION = 100
"""How many times its size a file may have unpacked; real deliveries have five to thirty times."""

UNPACKED_UNASKED_BYTES = 16 << 20
"""Unpacked size that any file may have, however small it is."""

MOST_ROWS = 50_000_000
"""Rows of a delivery, and lines of a file including blank ones; the nation has 5 million telephone lines."""

MOST_COLUMNS = 1_000
LONGEST_ROW_BYTES = 64 << 10
"""A longer row is rejected unread; a quote not closed within this many bytes counts as a stray quote."""

MOST_ROW_GROUP_BYTES = 2 << 30
"""Unpacked size of a Parquet row group, which is read in one piece."""

MOST_REJECTED_ROWS = 100_000
"""Rejected rows kept in memory; a delivery with more is refused, whatever their share."""

MOST_CONTROL_BYTES = 16 << 20

MOST_NAMED = 10
"""Files or columns that a message names before it only counts the rest."""


def named(names: list[str]) -> str:
    """The first few names, and the number of the rest."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def unpacked_bytes_allowed(packed_bytes: int) -> int:
    """The unpacked size that a file of this size may have."""
    return min(MOST_BYTES, max(UNPACKED_UNASKED_BYTES, MOST_EXPANSION * packed_bytes))
