"""A rollout as planned, on outcomes drawn from a model: the panel that the effect is estimated from."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date

import numpy as np
import numpy.typing as npt

from parc.rollout.permutation import DRAWS, Permuted, permute
from parc.settings import PROJECT
from parc.simulate.effects import EFFECTS, Effects

SEEDS = PROJECT / "dbt_project" / "seeds"
MONDAY = date(1970, 1, 5)


def week(day: date) -> int:
    return (day - MONDAY).days // 7


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


class Plan:
    """Regions seen before they go live, over a stretch of weeks; `cohorts` as the panel has them."""

    def __init__(self, first: date, weeks: int, market: str = "fixe") -> None:
        directorate = {
            row["department_code"]: row["directorate_code"] for row in seed("department_directorate")
        }
        homes: dict[str, Counter[str]] = {}
        for row in seed("departments"):
            homes.setdefault(row["region_code"], Counter())[directorate[row["department_code"]]] += 1
        go_lives = {
            row["region_code"]: week(date.fromisoformat(row["planned_go_live_date"]))
            for row in seed("rollout_plan")
            if row["market"] == market
        }
        self.periods = list(range(week(first), week(first) + weeks))
        self.regions = sorted(region for region in homes if go_lives[region] > self.periods[0])
        self.directorates = [homes[region].most_common(1)[0][0] for region in self.regions]
        within = [go_lives[region] for region in self.regions]
        self.cohorts = [cohort if cohort <= self.periods[-1] else 0 for cohort in within]

    def reached(self, effects: Effects = EFFECTS) -> npt.NDArray[np.float64]:
        """Share of the effects that each region has reached in each week, as the simulated operator ramps."""
        since = np.array(
            [[7.0 * (at - cohort) + 3 if cohort else -1.0 for at in self.periods] for cohort in self.cohorts]
        )
        return np.clip(since / effects.ramp_days, 0, 1)

    def permute(self, outcomes: npt.NDArray[np.float64], *, seed: int = 0, draws: int = DRAWS) -> Permuted:
        return permute(outcomes, self.cohorts, self.directorates, self.periods, seed=seed, draws=draws)

    def noise(self, rng: np.random.Generator, rho: float = 0.5) -> npt.NDArray[np.float64]:
        """AR(1) over weeks of each directorate and each region, variance 1 each; and what moves the nation."""
        names = sorted(set(self.directorates))
        of = [names.index(name) for name in self.directorates]
        shared = ar1(rng, len(names), len(self.periods), rho)[of]
        return (
            shared
            + ar1(rng, len(self.regions), len(self.periods), rho)
            + rng.normal(size=len(self.periods)) * 3
        )


def ar1(rng: np.random.Generator, series: int, weeks: int, rho: float) -> npt.NDArray[np.float64]:
    drawn = rng.normal(size=(series, weeks))
    for at in range(1, weeks):
        drawn[:, at] = rho * drawn[:, at - 1] + np.sqrt(1 - rho**2) * drawn[:, at]
    return drawn


def p_values(plan: Plan, rho: float, seeds: range, draws: int) -> npt.NDArray[np.float64]:
    """Of the effect over all regions and weeks, in panels without any effect."""
    return np.array(
        [
            plan.permute(plan.noise(np.random.default_rng(seed), rho), seed=seed, draws=draws)
            .effects["simple", None, None]
            .p_value
            for seed in seeds
        ]
    )
