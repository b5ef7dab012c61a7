"""The effect of the rollout on months of the simulated operator, and its false alarms over many seeds.

It takes minutes, so it has its own command: `make soak` prints the figures.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parc.build import build
from parc.feeds import FEEDS
from parc.loading import ingest
from parc.rollout.permutation import permute
from parc.rollout.power import Aim, further_weeks
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect
from support.effect_world import Plan, p_values, shown_shares

pytestmark = pytest.mark.soak

FIRST, LAST, SCALE = date(2012, 3, 26), date(2012, 7, 22), 0.03
NIGHTS = 7
SEEDS = range(2_000)
AIM = Aim(level=0.05, power=0.8, effect_share=0.03)


@pytest.fixture(scope="module")
def operator(module_warehouse: Settings) -> Iterator[Settings]:
    """Sixteen final weeks around the waves of April and June; the last seven days arrived night by night."""
    simulate(FIRST, LAST, scale=SCALE, seed=2012, out=module_warehouse.landing)
    days = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days + 1)]
    for number, day in enumerate(days):
        for feed in FEEDS:
            outcome = ingest(module_warehouse, feed, day)
            assert outcome.status in ("published", "missing"), outcome.message
        if number >= len(days) - NIGHTS - 1:
            build(module_warehouse)
    yield module_warehouse


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    with connect(settings, "reader") as connection:
        return connection.execute(text.encode()).fetchall()


def truth(settings: Settings) -> dict[tuple[str, date, date, str], float]:
    """What going live did by market, go-live, week, outcome: a factor of call_rate, points of the others."""
    reported = json.loads((Path(settings.landing) / "truth.json").read_text())
    sums: dict[tuple[str, date, date], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for day, figures in reported["dates"].items():
        on = date.fromisoformat(day)
        for name, cohort in reported["cohorts"].items():
            if cohort["go_live"]:
                key = (cohort["market"], date.fromisoformat(cohort["go_live"]), on - timedelta(on.weekday()))
                for figure, value in figures["cohorts"][name].items():
                    sums[key][figure] += value
    found = {}
    for key, of in sums.items():
        found[*key, "call_rate"] = of["contacts"] / of["contacts_without"]
        found[*key, "satisfaction"] = (of["satisfied"] - of["satisfied_without"]) / max(of["surveys"], 1)
        found[*key, "resolved_by_customer_file_share"] = 0.0
    return found


@pytest.mark.parametrize("market", ["fixe", "internet"])
@pytest.mark.parametrize("outcome", ["call_rate", "satisfaction", "resolved_by_customer_file_share"])
def test_the_estimates_cover_the_known_truth(operator: Settings, market: str, outcome: str) -> None:
    """Without the true effect in the panel only chance is left, so the truth lies in the confidence set."""
    known = truth(operator)
    panel = query(
        operator,
        "select region_code, directorate_code, go_live_date, week_date, value "
        "from intermediate.agg_rollout_panel_weekly "
        f"where market = '{market}' and outcome = '{outcome}' order by region_code, week_date",
    )
    plan = dict(
        query(
            operator,
            "select region_code, planned_go_live_date from marts.mart_parc_rollout "
            f"where market = '{market}' and region_code <> 'unknown'",
        )
    )
    weeks = sorted({row[3] for row in panel})
    values: dict[str, list[float]] = defaultdict(list)
    cohorts: dict[str, int] = {}
    homes: dict[str, str] = {}
    for region, home, go_live, week, value in panel:
        if go_live is None or go_live >= weeks[0] + timedelta(weeks=1):
            shift = known.get((market, plan[region], week, outcome), 1.0 if outcome == "call_rate" else 0.0)
            values[region].append(value / shift if outcome == "call_rate" else value - shift)
            cohorts[region] = (go_live - weeks[0]).days // 7 + 1 if go_live and go_live < weeks[-1] else 0
            homes[region] = home
    left = permute(
        np.array(list(values.values())),
        list(cohorts.values()),
        list(homes.values()),
        list(range(1, len(weeks) + 1)),
    ).effects["simple", None, None]
    [(status, estimate, mean, p_value)] = query(
        operator,
        "select status, estimate, treated_mean, p_value from marts.mart_parc_effect "
        f"where effect_kind = 'simple' and market = '{market}' and outcome = '{outcome}'",
    )
    print(
        f"\n{market} {outcome}: estimate {estimate:.4f} ({100 * estimate / (mean - estimate):.1f} %), "
        f"p {p_value:.3f}; in truth {float(estimate) - left.estimate:.4f}; "
        f"what is left has p {left.p_value:.3f}"
    )
    assert status == "estimated"
    assert left.p_value > 0.02


def test_nightly_builds_equal_a_full_refresh(operator: Settings) -> None:
    everything = "select m::text from marts.mart_parc_effect as m order by 1"
    before = query(operator, everything)
    seconds = query(
        operator,
        "select build_id, extract(epoch from finished_at - started_at)::int from ops.build order by 1",
    )
    print(f"\nbuilds (number, seconds): {seconds}")
    build(operator, full_refresh=True)
    assert len(before) > 500 and query(operator, everything) == before


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("is_plan_drawn", [False, True])
def test_false_alarms_over_many_seeds(rho: float, is_plan_drawn: bool) -> None:
    found = p_values(Plan.of(date(2012, 3, 5), 20), rho, SEEDS, 1_999, is_plan_drawn=is_plan_drawn)
    share = float(np.mean(found <= 0.05))
    print(f"\nAR(1) {rho}, plan drawn {is_plan_drawn}: {100 * share:.1f} % of {len(found)} at a nominal 5 %")
    # Of 110 orders 5 have a p-value of 0.05 or less.
    assert share < 0.05 + 3 * sqrt(0.05 * 0.95 / len(found))
    if is_plan_drawn:
        assert abs(share - 5 / 110) < 3 * sqrt(0.05 * 0.95 / len(found))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("weeks", [20, 40])
def test_the_stated_power_over_many_seeds(rho: float, weeks: int) -> None:
    share = float(shown_shares(Plan.of(date(2012, 3, 5), weeks), rho, range(400), AIM).mean())
    print(f"\nAR(1) {rho}, {weeks} weeks: the smallest effect was shown by {100 * share:.0f} % of 400 panels")
    assert abs(share - AIM.power) < 0.1


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_the_date_that_is_foretold(rho: float) -> None:
    """An effect of 2.5 deviations of a region, after the weeks that a panel of 20 weeks foretells."""
    now, whole = Plan.of(date(2012, 3, 5), 20), Plan.of(date(2012, 3, 5), 68)
    found, waited = [], []
    for number in range(150):
        rng = np.random.default_rng(number)
        noise = now.noise(rng, rho)
        weeks = further_weeks(noise, whole.cohorts, now.directorates, now.periods, 2.5, AIM)
        assert weeks is not None
        then = Plan.of(date(2012, 3, 5), 20 + weeks)
        outcomes = then.noise(rng, rho) + 2.5 * then.live()
        p_value = then.permute(outcomes, draws=299).effects["simple", None, None].p_value
        found.append(p_value <= AIM.level)
        waited.append(weeks)
    share = float(np.mean(found))
    print(f"\nAR(1) {rho}: {np.median(waited):.0f} weeks (median); then {100 * share:.0f} % showed it")
    assert share > AIM.power - 0.15
