"""One thing that wants a person, and how it is worded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NAMES_TOLD = 5


@dataclass(frozen=True)
class Matter:
    """One thing that wants a person. `is_wrong`: something failed, or a figure is not what it should be; else
    it waits for a decision or is worth a look. `command` mends it, dates and names filled in; empty where
    there is nothing to do but know."""

    kind: str
    is_wrong: bool
    subject: str
    what: str
    command: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}" + (f"; {self.command}" if self.command else "")


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def joined(entries: Iterable[object]) -> str:
    """Reasons one after the other."""
    return "; ".join(map(str, entries))


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
