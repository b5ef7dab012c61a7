"""How small an effect a panel would show, and how many more weeks it takes until a given one would.

An effect counts as shown if the permutation test of `parc.rollout.permutation` gives a p-value of `level` or
less. Its power is a share of orders: each order of the directorates is taken as the real one in turn, the
effect is added to the weeks that it has live, and the test is done. So power rests on the same orders as the
p-value, and on the noise that the panel has.

The average effect is a weighted sum of the outcomes. The weights of all orders are computed once; then each
effect that is tried costs one sum of two matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from parc.rollout.permutation import FloatArray, IntArray, arrange

BoolArray = npt.NDArray[np.bool_]

FEWEST_WEEKS = 8
"""A panel of fewer weeks does not show its noise."""
MOST_WEEKS = 104
"""Nothing is foretold beyond two years."""
BLOCK_WEEKS = 4
"""Weeks to come are drawn from the panel in runs of so many, as a week resembles the one before."""
ORDERS, PLANTED, FUTURES = 499, 99, 4
"""Orders that are compared; of these, orders taken as the real one; and draws of the weeks to come."""


@dataclass(frozen=True)
class Aim:
    """What is asked for. A p-value up to `level` shows an effect; it should do so with probability `power`.

    `effect_share` is the effect to wait for, as a share of the mean outcome.
    """

    level: float
    power: float
    effect_share: float


@dataclass(frozen=True)
class Design:
    """The weights of the average effect by order, and which weeks each order has live."""

    weights: FloatArray
    """(orders, units x periods); NaN if the order identifies nothing."""
    live: FloatArray
    """(planted orders, units x periods), 1 or 0."""
    crossed: FloatArray
    """(orders, planted orders): what an order shows of an effect of 1 that another one has."""

    def power(self, noise: Sequence[FloatArray], effect: float, level: float) -> float:
        """Share of the planted orders, of both signs and all panels of `noise`, that show the effect."""
        planted = self.live.shape[0]
        shown = []
        for panel in noise:
            chance = self.weights @ panel.ravel()
            tolerance = 1e-9 * (float(np.abs(panel).max()) + abs(effect))
            for signed in (effect, -effect):
                sizes = np.abs(chance[:, None] + signed * self.crossed)
                sizes[np.isnan(sizes)] = np.inf  # as in the test: it counts against significance
                own = np.abs(chance[:planted] + signed)
                shown.append((sizes >= own - tolerance).mean(axis=0) <= level)
        return float(np.mean(shown))


@lru_cache(maxsize=8)
def design(cohorts: tuple[int, ...], directorates: tuple[str, ...], periods: tuple[int, ...]) -> Design:
    """The design of a panel; arguments as of `permute`, of which at least one unit is treated.

    Kept, as the outcomes of a market share it: each has some ten megabytes.
    """
    arranged = arrange(cohorts, directorates, periods, draws=ORDERS, enumerated=ORDERS)
    # Those planted are spread over all orders, as these are sorted where all are tried.
    count = len(arranged.assigned)
    chosen = np.unique(np.linspace(0, count - 1, min(count, PLANTED + 1)).astype(int))
    others = np.setdiff1d(np.arange(count), chosen)
    assigned = arranged.assigned[np.concatenate([chosen, others])]
    weights = simple_weights(assigned, arranged.starts, len(periods))
    starts = np.array([*arranged.starts, len(periods)])[assigned[: len(chosen)]]
    live = (starts[:, :, None] <= np.arange(len(periods))).astype(np.float64).reshape(len(chosen), -1)
    return Design(weights, live, weights @ live.T)


def simple_weights(assigned: IntArray, starts: Sequence[int], times: int) -> FloatArray:
    """Weights (orders, units x times) whose sum with the outcomes is the effect `simple` of `permute`.

    `assigned` is (orders, units): the number of each unit's cohort in `starts`, and after the last one never.
    """
    begin = np.array([*starts, times])[assigned]  # (orders, units)
    at = np.arange(times)
    is_live = begin[:, :, None] <= at
    live = is_live.sum(axis=1)  # (orders, times)
    controls = assigned.shape[1] - live
    used = controls > 0
    share = np.where(used, 1.0 / np.maximum(controls, 1), 0.0)
    weights = np.where(is_live, used[:, None, :].astype(np.float64), -(live * share)[:, None, :])
    passed = np.concatenate([np.zeros((len(assigned), 1)), share.cumsum(axis=1)], axis=1)
    until = np.take_along_axis(passed, begin, axis=1)
    for cohort, start in enumerate(starts):
        # The week before going live is subtracted, from the cohort and from its controls of each week.
        members = assigned == cohort
        weights[:, :, start - 1] -= members * used[:, start:].sum(axis=1)[:, None]
        since = np.where(begin > start, until - passed[:, [start]], 0.0)
        weights[:, :, start - 1] += since * members.sum(axis=1)[:, None]
    whole = (live * used).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        averaged: FloatArray = weights / whole[:, None, None]
    return averaged.reshape(len(assigned), -1)


def without_effect(
    outcomes: FloatArray, estimate: float, live: BoolArray, directorates: Sequence[str]
) -> FloatArray:
    """The outcomes without an effect that was estimated from them, for what follows here.

    The estimate takes some of the noise with it: one share of as many as there are directorates to compare.
    So the rest is made larger. Levels do not matter, as the effect is made of differences.
    """
    compared = max(len(set(directorates)) - 1, 2)
    quiet: FloatArray = (outcomes - estimate * live) * np.sqrt(compared / (compared - 1))
    return quiet


def minimum_detectable_effect(
    outcomes: FloatArray,
    cohorts: Sequence[int],
    directorates: Sequence[str],
    periods: Sequence[int],
    aim: Aim,
) -> float | None:
    """The smallest effect that the panel would show, in the unit of the outcomes; None if none would.

    `outcomes` (units, periods) have no effect in them (`without_effect`). At least one unit is treated.
    The result is right to one percent.
    """
    planned = design(tuple(cohorts), tuple(directorates), tuple(periods))
    low, high = 0.0, float(outcomes.std()) or 1e-9
    for _ in range(12):
        if planned.power([outcomes], high, aim.level) >= aim.power:
            break
        low, high = high, 2 * high
    else:
        return None
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        if planned.power([outcomes], middle, aim.level) >= aim.power:
            high = middle
        else:
            low = middle
    return high


def further_weeks(
    outcomes: FloatArray,
    cohorts: Sequence[int],
    directorates: Sequence[str],
    periods: Sequence[int],
    effect: float,
    aim: Aim,
) -> int | None:
    """The fewest weeks after the last period until the effect would be shown; None if it never would.

    `outcomes` (units, periods so far) have no effect in them (`without_effect`). Weeks to come have the
    noise of the weeks so far. `cohorts` are those to come: a unit that is planned has the week of its
    plan; 0 is never. Once no unit is left that is not live, further weeks tell nothing.
    """
    last = periods[-1]
    most = min(MOST_WEEKS, max(cohorts) - 1 - last) if all(cohorts) else MOST_WEEKS
    futures = [_continued(outcomes, max(most, 0), number) for number in range(FUTURES)]

    def is_shown(weeks: int) -> bool:
        whole = (*periods, *range(last + 1, last + weeks + 1))
        within = tuple(cohort if cohort <= whole[-1] else 0 for cohort in cohorts)
        if not any(within) or len(set(within)) == 1:
            return False
        panels = [future[:, : len(whole)] for future in futures]
        return design(within, tuple(directorates), whole).power(panels, effect, aim.level) >= aim.power

    if is_shown(0):
        return 0
    if most < 1 or not is_shown(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return high


def _continued(outcomes: FloatArray, weeks: int, seed: int) -> FloatArray:
    """The outcomes, and after them runs of their own weeks, all units together, until there are enough."""
    rng = np.random.default_rng(seed)
    seen = outcomes.shape[1]
    run = min(BLOCK_WEEKS, seen)
    first = rng.integers(0, seen - run + 1, size=-(-weeks // run))
    drawn = (first[:, None] + np.arange(run)).ravel()[:weeks]
    return np.concatenate([outcomes, outcomes[:, drawn]], axis=1)
