"""Tables represented as dataclasses of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Self

import numpy as np

from parc.simulate.chance import Bools, Ints


@dataclass(frozen=True)
class Rows:
    """Base of dataclasses whose fields are arrays of equal length."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: Ints | Bools) -> Self:
        """The rows at the indices `rows`, or where `rows` is true."""
        return type(self)(*(values[rows] for values in vars(self).values()))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, in order."""
        return cls(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))


@dataclass(frozen=True)
class DatedRows(Rows):
    """Rows with the ordinals of their business dates."""

    day: Ints

    @classmethod
    def of_day(cls, parts: Sequence[Self], day: date) -> Self:
        """The rows of one business date, in the order of the parts."""
        wanted = day.toordinal()
        found = [(part, np.flatnonzero(part.day == wanted)) for part in parts]
        some = [(part, rows) for part, rows in found if len(rows)] or found[:1]
        return cls.concat([part.take(rows) for part, rows in some])
