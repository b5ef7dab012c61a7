"""Counts and lists in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_NAMES = 5


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun; the plural `many` is by default the singular with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def joined(entries: Iterable[object]) -> str:
    """Reasons, one after the other."""
    return "; ".join(map(str, entries))


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
