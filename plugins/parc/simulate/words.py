"""Translates the simulation's numbers into the feeds' values."""

from __future__ import annotations

import polars as pl

from parc.simulate.chance import Ints
from parc.simulate.clock import iso_paris


def words(among: tuple[str | None, ...], number: Ints) -> pl.Series:
    """The word at each index; null for -1."""
    position = pl.Series(number)
    return pl.Series(among, dtype=pl.String).gather(position.set(position < 0, None))


def moments(seconds: Ints) -> pl.Series:
    """Each instant as text; null for -1."""
    return iso_paris(seconds, pl.Series(seconds >= 0))


def present(values: Ints) -> pl.Series:
    """The values; null for -1."""
    found = pl.Series(values)
    return found.set(found < 0, None)
