"""Tests whether an effect is more than chance, by permuting the rollout dates over the directorates.

If the directorates had gone live in another order, how often would the same figures have shown an effect as
large? Analytic standard errors reject far too often with about eleven directorates and weeks that resemble
their neighbours; permutation needs no model of either. Effects are computed here for thousands of orders at
once, with the same sums as `parc.rollout.effect`; the actual order must give the library's result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import factorial, prod
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
EffectKey = tuple[str, int | None, int | None]
"""Identifies an effect: (kind, cohort, period). Kinds: `simple`; `group` by cohort; `dynamic`, whose period
counts from going live; `calendar` by period; `group_time` by both. What does not apply is None."""

ENUMERATED = 5_000
"""Up to this many orders, all are tried; beyond it, DRAWS random orders and the actual one."""
DRAWS = 1_999


@dataclass(frozen=True)
class EffectEstimate:
    """One effect under the actual order, and how many orders give one as large.

    `p_value` is the share of orders (including the actual one) whose effect is as far from 0 or farther.
    `smallest_p_value` is the same for the most extreme order: the smallest value these figures could give.
    `treated_mean` is the mean outcome of the same units and periods, with the same weights.
    """

    estimate: float
    treated_mean: float
    p_value: float
    smallest_p_value: float
    treated_count: int


@dataclass(frozen=True)
class Permuted:
    """Effects by `EffectKey`, the number of orders tried, and the number of distinct orders."""

    effects: dict[EffectKey, EffectEstimate]
    tried_count: int
    order_count: int

    @property
    def is_exact(self) -> bool:
        """Whether all orders were tried."""
        return self.tried_count == self.order_count


def permute(
    outcomes: FloatArray,
    cohorts: Sequence[int],
    directorates: Sequence[str],
    periods: Sequence[int],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Permuted:
    """Effects of a balanced panel with not-yet-treated controls, and their permutation p-values.

    `outcomes` is (units, periods). `cohorts` (0: not within the panel; else after the first period and up to
    the last) and `directorates` are by unit, in the same order. The dates of one directorate are passed to
    another as a whole. If one of the two has several dates, they are assigned to units in order, in
    proportion. `seed` draws the orders if there are more than ENUMERATED.
    """
    arranged = arrange(cohorts, directorates, periods, seed=seed, draws=draws)
    values, means, counts, keys = _effects(
        outcomes, arranged.assigned, arranged.starts, arranged.labels, periods
    )

    effects = {}
    scale = float(np.abs(outcomes).max()) or 1.0
    sizes = np.round(np.abs(values) / (scale * 1e-9))  # ignores differences that are only rounding
    sizes[np.isnan(sizes)] = np.inf  # an order that identifies nothing counts against significance
    for number, key in enumerate(keys):
        if np.isnan(values[0, number]):
            continue
        column = sizes[:, number]
        effects[key] = EffectEstimate(
            float(values[0, number]),
            float(means[number]),
            float(np.mean(column >= column[0])),
            float(np.mean(column >= column[np.isfinite(column)].max())),
            int(counts[number]),
        )
    return Permuted(effects, len(arranged.assigned), arranged.order_count)


@dataclass(frozen=True)
class Arranged:
    """Orders of the directorates: the actual one first.

    `assigned` is (orders, units): the number of each unit's cohort in `labels`, and after the last one never.
    `starts` are the numbers of the cohorts' first periods; `order_count` counts all distinct orders.
    """

    assigned: IntArray
    labels: list[int]
    starts: list[int]
    order_count: int


def arrange(
    cohorts: Sequence[int],
    directorates: Sequence[str],
    periods: Sequence[int],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    enumerated: int = ENUMERATED,
) -> Arranged:
    """All orders if there are up to `enumerated`; else the actual one and `draws` random ones."""
    profiles = _profiles(cohorts, directorates)
    labels = sorted({cohort for cohort in cohorts if cohort})
    orders = _orders(list(profiles.values()), seed, draws, enumerated)
    order_count = factorial(len(profiles)) // prod(
        factorial(list(profiles.values()).count(each)) for each in set(profiles.values())
    )
    units: dict[str, list[int]] = {}
    for number, name in enumerate(directorates):
        units.setdefault(name, []).append(number)
    never = len(labels)
    assigned = np.full((len(orders), len(cohorts)), never, dtype=np.int64)
    for row, order in enumerate(orders):
        for members, profile in zip(units.values(), order, strict=True):
            for place, unit in enumerate(members):
                cohort = profile[place * len(profile) // len(members)]
                assigned[row, unit] = labels.index(cohort) if cohort else never
    starts = [sum(each < label for each in periods) for label in labels]
    return Arranged(assigned, labels, starts, order_count)


Profile = tuple[int, ...]


def _profiles(cohorts: Sequence[int], directorates: Sequence[str]) -> dict[str, Profile]:
    """The go-live dates of each directorate's units, in order; a single date if all are the same."""
    dates: dict[str, list[int]] = {}
    for cohort, name in zip(cohorts, directorates, strict=True):
        dates.setdefault(name, []).append(int(cohort))
    return {name: tuple(found) if len(set(found)) > 1 else (found[0],) for name, found in dates.items()}


def _orders(profiles: list[Profile], seed: int, draws: int, enumerated: int) -> list[list[Profile]]:
    """Profiles by directorate: the actual order first, then all other orders, or `draws` random ones."""
    found = list(islice(_arrangements(profiles), enumerated + 1))
    if len(found) <= enumerated:
        found.remove(profiles)
        return [profiles, *found]
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(len(profiles)), (draws, 1)), axis=1)
    return [profiles, *([profiles[each] for each in row] for row in drawn)]


def _arrangements(profiles: list[Profile]) -> Iterator[list[Profile]]:
    """All distinct orders of a list with repetitions."""
    if not profiles:
        yield []
    for first in sorted(set(profiles)):
        rest = profiles.copy()
        rest.remove(first)
        for others in _arrangements(rest):
            yield [first, *others]


def _effects(
    outcomes: FloatArray, assigned: IntArray, starts: list[int], labels: list[int], periods: Sequence[int]
) -> tuple[FloatArray, FloatArray, IntArray, list[EffectKey]]:
    """Effects (orders, keys); and for the first order, the mean outcomes and treated units by key."""
    orders, groups, times = len(assigned), len(labels), len(periods)
    member = (assigned[:, None, :] == np.arange(groups + 1)[None, :, None]).astype(np.float64)
    size = member.sum(axis=2)  # (orders, groups + 1)
    total = member @ outcomes  # (orders, groups + 1, times)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = total[:, :groups] / size[:, :groups, None]
    ends = np.array([*starts, times])
    effect = np.full((orders, groups, times), np.nan)
    for time in range(1, times):
        is_control = ends > time
        for group, start in enumerate(starts):
            base = min(time, start) - 1
            controls = is_control.copy()
            controls[group] = False
            if start == 0 or not controls.any():
                continue
            change = (total[:, controls, time] - total[:, controls, base]).sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                trend = change / size[:, controls].sum(axis=1)
            effect[:, group, time] = level[:, group, time] - level[:, group, base] - trend

    cells: dict[EffectKey, list[tuple[int, int]]] = {}
    for group, start in enumerate(starts):
        for time in range(1, times):
            cell = (group, time)
            since = periods[time] - labels[group]
            cells.setdefault(("dynamic", None, since), []).append(cell)
            cells.setdefault(("group_time", labels[group], periods[time]), []).append(cell)
            if time >= start:
                cells.setdefault(("simple", None, None), []).append(cell)
                cells.setdefault(("group", labels[group], None), []).append(cell)
                cells.setdefault(("calendar", None, periods[time]), []).append(cell)
    values = np.empty((orders, len(cells)))
    means, counts = np.empty(len(cells)), np.empty(len(cells), dtype=np.int64)
    for number, members in enumerate(cells.values()):
        of_groups, of_times = (np.array(each) for each in zip(*members, strict=True))
        found = effect[:, of_groups, of_times]
        weight = np.where(np.isnan(found), 0.0, size[:, of_groups])
        whole = weight.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[:, number] = np.where(weight > 0, found * weight, 0.0).sum(axis=1) / whole
            # Means only for the first order, the actual one.
            shown = np.where(weight[0] > 0, level[0, of_groups, of_times] * weight[0], 0.0)
            means[number] = shown.sum() / whole[0]
        counts[number] = size[
            0, sorted({group for group, used in zip(of_groups, weight[0], strict=True) if used})
        ].sum()
    return values, means, counts, list(cells)


def as_library(effects: dict[EffectKey, EffectEstimate], estimated: Any) -> float:
    """Largest difference between these effects and the library's (a `GroupTimeATT`) for the same panel."""
    theirs: dict[EffectKey, float] = {("simple", None, None): estimated.aggregates["simple"]}
    for cohort, value in estimated.aggregates["group"].items():
        theirs["group", cohort, None] = value
    for kind in ("dynamic", "calendar"):
        for period, value in estimated.aggregates[kind].items():
            theirs[kind, None, period] = value
    for cell in estimated.att_gt.itertuples():
        theirs["group_time", int(cell.group), int(cell.period)] = cell.att
    theirs = {key: value for key, value in theirs.items() if not np.isnan(value)}
    if theirs.keys() != effects.keys():
        return float("inf")
    return max((abs(effects[key].estimate - value) for key, value in theirs.items()), default=0.0)
