"""How far a day may stray from its limits by chance alone: the fewer its rows, the farther.

Limits are exact quantiles: a share of `of` rows is binomial, and rows beside those of like days are negative
binomial (two Poisson counts of which one is known). Both narrow to the limits themselves as rows grow many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Limits = dict[str, float]
"""`min_value`, `max_value` or both, in percent."""


@dataclass(frozen=True)
class Usual:
    """A share that like days had: `percent`, and the rows on which it rests."""

    percent: float
    of: float


def share_limits(limits: Limits, of: int, chance: float) -> Limits:
    """The limits that a share of `of` rows breaks with probability `chance` at most where it is truly within
    `limits`."""
    found = {}
    for name, percent in limits.items():
        share = min(max(percent / 100, 0.0), 1.0)
        quantile = stats.binom.ppf if name == "min_value" else stats.binom.isf
        found[name] = 100 * float(quantile(chance, of, share)) / of
    return found


def limits_by_usual(limits: Limits, usual: Usual, odds: float, margin: float, chance: float) -> Limits:
    """The limits (those named in `limits`) of a share that like days had.

    Its odds may be `odds` times the usual ones, up and down; the usual share is taken as low (as high) as it
    may be in truth, and `margin` percent from 100 (from 0) at least.
    """
    had, rest = usual.percent / 100 * usual.of, (1 - usual.percent / 100) * usual.of
    found = {}
    for name in limits:
        if name == "min_value":
            lowest = float(stats.beta.ppf(chance, had, rest + 1)) if had else 0.0
            share, factor = min(lowest, 1 - margin / 100), 1 / odds
        else:
            highest = float(stats.beta.isf(chance, had + 1, rest)) if rest else 1.0
            share, factor = max(highest, margin / 100), odds
        found[name] = 100 * share * factor / (1 - share + share * factor)
    return found


def volume_limits(limits: Limits, usual_rows: float, like_days: int, chance: float) -> Limits:
    """The limits, in percent of the usual rows, of rows that come by chance, as those of like days did."""
    found = {}
    for name, percent in limits.items():
        rate = percent / 100 / like_days
        quantile = stats.nbinom.ppf if name == "min_value" else stats.nbinom.isf
        rows = float(quantile(chance, usual_rows * like_days, 1 / (1 + rate)))
        found[name] = 100 * rows / usual_rows
    return found


def shift(today: Sequence[int], usual: Sequence[int], chance: float) -> tuple[int, float]:
    """By how many hours a day's rows lie later (earlier: below 0) than on like days, and how much of the
    difference from these that explains, in percent; (0, 0.0) where chance may have done it.

    `today` and `usual` are rows by hour of the local clock. The difference is the likelihood ratio G of two
    samples, less what chance brings.
    """
    now, then = np.asarray(today, dtype=float), np.asarray(usual, dtype=float)
    if not now.sum() or not then.sum():
        return 0, 0.0
    hours = [hour for hour in range(-11, 13) if hour]
    apart = {hour: _difference(np.roll(now, -hour), then) for hour in (0, *hours)}
    by_chance = float(np.count_nonzero(now + then) - 1)
    best = min(hours, key=lambda hour: (apart[hour], abs(hour)))
    # The mean of the likelihood ratios of all shifts exceeds 1 / chance with that probability at most.
    is_clear = (apart[0] - apart[best]) / 2 > log(len(hours) / chance)
    if not is_clear or apart[0] <= by_chance:
        return 0, 0.0
    left = max(apart[best] - by_chance, 0.0)
    return best, 100 * (1 - left / (apart[0] - by_chance))


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """G of two samples over the same places: 0 where they are spread alike."""
    both = one + other
    found = 0.0
    for sample in (one, other):
        expected = both * (sample.sum() / both.sum())
        there = sample > 0
        found += 2 * float((sample[there] * np.log(sample[there] / expected[there])).sum())
    return found
