"""How far a day may exceed its limits by chance alone: the fewer its rows, the farther.

Limits are exact quantiles: a share of `of` rows is binomial, and a row count compared with that of like days
is negative binomial (two Poisson counts, one of them known). Both approach the limits as rows increase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import scipy  # and its part `stats`, which takes a second, only when it is used
from numpy.typing import NDArray

Limits = dict[str, float]
"""`min_value`, `max_value` or both, in percent."""


@dataclass(frozen=True)
class UsualShare:
    """A share observed on like days: `percent`, and the number of rows it is based on."""

    percent: float
    of: float


def share_limits(limits: Limits, of: int, chance: float) -> Limits:
    """Widen the limits of a share of `of` rows, so that a share truly within `limits` breaks them with
    probability `chance` at most."""
    found = {}
    for name, percent in limits.items():
        share = min(max(percent / 100, 0.0), 1.0)
        quantile = scipy.stats.binom.ppf if name == "min_value" else scipy.stats.binom.isf
        found[name] = 100 * float(quantile(chance, of, share)) / of
    return found


def limits_by_usual(limits: Limits, usual: UsualShare, odds: float, margin: float, chance: float) -> Limits:
    """The limits (those named in `limits`) of a share, based on like days.

    Its odds may be up to `odds` times higher or lower than usual. The usual share itself is taken as low (for
    the lower limit) or high (for the upper) as it may truly be, and at least `margin` percent from 100 or 0.
    """
    had, rest = usual.percent / 100 * usual.of, (1 - usual.percent / 100) * usual.of
    found = {}
    for name in limits:
        if name == "min_value":
            lowest = float(scipy.stats.beta.ppf(chance, had, rest + 1)) if had else 0.0
            share, factor = min(lowest, 1 - margin / 100), 1 / odds
        else:
            highest = float(scipy.stats.beta.isf(chance, had + 1, rest)) if rest else 1.0
            share, factor = max(highest, margin / 100), odds
        found[name] = 100 * share * factor / (1 - share + share * factor)
    return found


def volume_limits(limits: Limits, usual_rows: float, like_days: int, chance: float) -> Limits:
    """The limits of a row count, in percent of the usual count, when both counts vary by chance."""
    found = {}
    for name, percent in limits.items():
        rate = percent / 100 / like_days
        quantile = scipy.stats.nbinom.ppf if name == "min_value" else scipy.stats.nbinom.isf
        rows = float(quantile(chance, usual_rows * like_days, 1 / (1 + rate)))
        found[name] = 100 * rows / usual_rows
    return found


def shift(today: Sequence[int], usual: Sequence[int], chance: float) -> tuple[int, float]:
    """By how many hours a day's rows come later than on like days (negative: earlier), and what percentage of
    the difference that shift explains; (0, 0.0) if it may be chance.

    `today` and `usual` are rows by hour of the local clock. The difference is the likelihood ratio G of two
    samples, less its expected value under chance.
    """
    now, then = np.asarray(today, dtype=float), np.asarray(usual, dtype=float)
    if not now.sum() or not then.sum():
        return 0, 0.0
    hours = [hour for hour in range(-11, 13) if hour]
    apart = {hour: _difference(np.roll(now, -hour), then) for hour in (0, *hours)}
    by_chance = float(np.count_nonzero(now + then) - 1)
    best = min(hours, key=lambda hour: (apart[hour], abs(hour)))
    # By chance alone, the mean likelihood ratio over all shifts exceeds 1 / chance with probability `chance`.
    is_clear = (apart[0] - apart[best]) / 2 > log(len(hours) / chance)
    if not is_clear or apart[0] <= by_chance:
        return 0, 0.0
    left = max(apart[best] - by_chance, 0.0)
    return best, 100 * (1 - left / (apart[0] - by_chance))


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """G of two samples over the same hours: 0 if they have the same distribution."""
    both = one + other
    found = 0.0
    for sample in (one, other):
        expected = both * (sample.sum() / both.sum())
        there = sample > 0
        found += 2 * float((sample[there] * np.log(sample[there] / expected[there])).sum())
    return found
