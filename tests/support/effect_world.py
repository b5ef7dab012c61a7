"""A rollout as planned, on outcomes drawn from a model: the panel that the effect is estimated from."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from parc.rollout.permutation import DRAWS, Permuted, permute
from parc.rollout.power import Aim, minimum_detectable_effect, without_effect
from parc.settings import PROJECT
from parc.simulate.effects import EFFECTS, Effects

SEEDS = PROJECT / "dbt_project" / "seeds"
MONDAY = date(1970, 1, 5)


def week(day: date) -> int:
    return (day - MONDAY).days // 7


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Plan:
    """Regions seen before they go live, over a stretch of weeks; `cohorts` as the panel has them."""

    periods: list[int]
    regions: list[str]
    directorates: list[str]
    cohorts: list[int]

    @classmethod
    def of(cls, first: date, weeks: int, market: str = "fixe") -> Plan:
        """The rollout as planned in the seeds."""
        governed = seed("department_directorate")
        directorate = {row["department_code"]: row["directorate_code"] for row in governed}
        homes: dict[str, Counter[str]] = {}
        for row in seed("departments"):
            homes.setdefault(row["region_code"], Counter())[directorate[row["department_code"]]] += 1
        go_lives = {
            row["region_code"]: week(date.fromisoformat(row["planned_go_live_date"]))
            for row in seed("rollout_plan")
            if row["market"] == market
        }
        periods = list(range(week(first), week(first) + weeks))
        regions = sorted(region for region in homes if go_lives[region] > periods[0])
        within = [go_lives[region] for region in regions]
        return cls(
            periods,
            regions,
            [homes[region].most_common(1)[0][0] for region in regions],
            [cohort if cohort <= periods[-1] else 0 for cohort in within],
        )

    def reached(self, effects: Effects = EFFECTS) -> npt.NDArray[np.float64]:
        """Share of the effects that each region has reached in each week, as the simulated operator ramps."""
        since = np.array(
            [[7.0 * (at - cohort) + 3 if cohort else -1.0 for at in self.periods] for cohort in self.cohorts]
        )
        return np.clip(since / effects.ramp_days, 0, 1)

    def live(self) -> npt.NDArray[np.bool_]:
        """Whether each region is live in each week."""
        cohorts = np.array(self.cohorts)[:, None]
        return (cohorts > 0) & (np.array(self.periods)[None, :] >= cohorts)

    def drawn(self, rng: np.random.Generator) -> Plan:
        """The plan with its dates in another order of the directorates, which have one each."""
        dates = dict(zip(self.directorates, self.cohorts, strict=True))
        order = dict(zip(dates, rng.permutation(list(dates.values())).tolist(), strict=True))
        return replace(self, cohorts=[order[name] for name in self.directorates])

    def permute(self, outcomes: npt.NDArray[np.float64], *, seed: int = 0, draws: int = DRAWS) -> Permuted:
        return permute(outcomes, self.cohorts, self.directorates, self.periods, seed=seed, draws=draws)

    def noise(self, rng: np.random.Generator, rho: float = 0.5) -> npt.NDArray[np.float64]:
        """AR(1) over weeks of each directorate and each region, variance 1 each; and of the nation."""
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


def p_values(
    plan: Plan, rho: float, seeds: range, draws: int, *, is_plan_drawn: bool = False
) -> npt.NDArray[np.float64]:
    """Of the effect over all regions and weeks, in panels without any effect.

    With `is_plan_drawn` each panel has an order of its own, at random; every directorate has one date.
    """
    found = []
    for number in seeds:
        rng = np.random.default_rng(number)
        outcomes = plan.noise(rng, rho)
        if is_plan_drawn:
            plan = plan.drawn(rng)
        effects = plan.permute(outcomes, seed=number, draws=draws).effects
        found.append(effects["simple", None, None].p_value)
    return np.array(found)


def shown_shares(plan: Plan, rho: float, seeds: range, aim: Aim) -> npt.NDArray[np.bool_]:
    """Whether the smallest effect that a panel would show is shown by another one with the same noise.

    As the build does, the estimate is subtracted first. Each pair has an order of its own.
    """
    found = []
    for number in seeds:
        rng = np.random.default_rng(number)
        ordered = plan.drawn(rng)
        seen, other = ordered.noise(rng, rho), ordered.noise(rng, rho)
        estimate = ordered.permute(seen, draws=1).effects["simple", None, None].estimate
        quiet = without_effect(seen, estimate, ordered.live(), ordered.directorates)
        smallest = minimum_detectable_effect(
            quiet, ordered.cohorts, ordered.directorates, ordered.periods, aim
        )
        assert smallest
        planted = other + smallest * rng.choice([-1, 1]) * ordered.live()
        found.append(ordered.permute(planted, seed=number).effects["simple", None, None].p_value <= aim.level)
    return np.array(found)
