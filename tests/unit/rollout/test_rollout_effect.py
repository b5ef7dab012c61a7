"""Effects of a rollout: cases computed by hand, the library against the permutations, false alarms."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from math import nan, sqrt

import numpy as np
import pandas as pd
import pytest

from parc.errors import PanelRefused
from parc.rollout.effect import GroupTimeATT, group_time_att
from parc.rollout.permutation import as_library, permute
from support.effect_world import Plan, p_values

# Cohort and outcomes in periods 1 to 4. The mean of C and D is 6, 8, 8, 10.
STAGGERED = {
    "A": (2, [10, 13, 15, 18]),
    "B": (3, [20, 21, 25, 28]),
    "E": (3, [30, 31, 35, 38]),
    "C": (0, [5, 6, 7, 8]),
    "D": (0, [7, 10, 9, 12]),
}


def panel(units: dict[str, tuple[int, list[float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"region": unit, "week": number, "go_live": cohort, "rate": value}
            for unit, (cohort, values) in units.items()
            for number, value in enumerate(values, start=1)
        ]
    )


def att(data: pd.DataFrame, control_group: str = "not_yet_treated") -> GroupTimeATT:
    return group_time_att(data, "region", "week", "go_live", "rate", control_group)  # type: ignore[arg-type]


def cells(found: GroupTimeATT) -> dict[tuple[int, int], float]:
    return {(row.group, row.period): row.att for row in found.att_gt.itertuples()}


@pytest.mark.parametrize("control_group", ["not_yet_treated", "never_treated"])
def test_two_units_two_periods(control_group: str) -> None:
    found = att(panel({"A": (2, [10, 15]), "B": (0, [20, 22])}), control_group)
    assert cells(found) == {(2, 2): pytest.approx(3)}  # (15 - 10) - (22 - 20)
    assert found.aggregates == {
        "simple": pytest.approx(3),
        "group": {2: pytest.approx(3)},
        "dynamic": {0: pytest.approx(3)},
        "calendar": {2: pytest.approx(3)},
    }


def test_staggered_against_the_never_treated() -> None:
    found = att(panel(STAGGERED), "never_treated")
    expected = {(2, 2): 1, (2, 3): 3, (2, 4): 4, (3, 2): -1, (3, 3): 4, (3, 4): 5}
    assert cells(found) == {cell: pytest.approx(value) for cell, value in expected.items()}
    assert found.aggregates["simple"] == pytest.approx(26 / 7)
    assert found.aggregates["group"] == {2: pytest.approx(8 / 3), 3: pytest.approx(4.5)}
    expected_dynamic = {-1: -1, 0: 3, 1: 13 / 3, 2: 4}
    assert found.aggregates["dynamic"] == {at: pytest.approx(value) for at, value in expected_dynamic.items()}
    expected_calendar = {2: 1, 3: 11 / 3, 4: 14 / 3}
    assert found.aggregates["calendar"] == {
        at: pytest.approx(value) for at, value in expected_calendar.items()
    }
    sizes = found.att_gt.set_index(["group", "period"])
    assert tuple(sizes.loc[(3, 3), ["n_treated", "n_control"]]) == (2, 2)


def test_staggered_against_those_not_treated_yet() -> None:
    found = att(panel(STAGGERED))
    # In period 2 B and E are controls too: changes of 1, 1, 1, 3.
    expected = {(2, 2): 1.5, (2, 3): 3, (2, 4): 4, (3, 2): -1, (3, 3): 4, (3, 4): 5}
    assert cells(found) == {cell: pytest.approx(value) for cell, value in expected.items()}
    assert found.aggregates["simple"] == pytest.approx(26.5 / 7)
    assert found.aggregates["calendar"][2] == pytest.approx(1.5)


def test_nothing_is_identified_once_the_last_wave_has_begun() -> None:
    found = att(panel({"A": (2, [1, 2, 3, 4]), "B": (4, [1, 1, 1, 9])}))
    assert cells(found) == {
        (2, 2): pytest.approx(1),
        (2, 3): pytest.approx(2),
        (2, 4): pytest.approx(nan, nan_ok=True),
        (4, 2): pytest.approx(nan, nan_ok=True),
        (4, 3): pytest.approx(nan, nan_ok=True),
        (4, 4): pytest.approx(nan, nan_ok=True),
    }
    assert found.aggregates["simple"] == pytest.approx(1.5)
    assert found.aggregates["calendar"] == {2: pytest.approx(1), 3: pytest.approx(2)}
    assert list(found.aggregates["group"]) == [2]


def test_units_live_from_the_start_are_left_out_and_reported() -> None:
    with_early = {"X": (1, [1, 50, 2, 80]), "Y": (-3, [9, 9, 0, 0]), **STAGGERED}
    found = att(panel(with_early))
    assert found.left_out == ["X", "Y"]
    assert found.aggregates == att(panel(STAGGERED)).aggregates
    # One that goes live after the last period is a control like those that never do.
    later = {unit: (9 if unit == "C" else cohort, values) for unit, (cohort, values) in STAGGERED.items()}
    assert att(panel(later), "never_treated").aggregates == att(panel(STAGGERED), "never_treated").aggregates


GOOD = panel(STAGGERED)


@pytest.mark.parametrize(
    ("data", "control_group", "reported"),
    [
        (GOOD.drop(columns="go_live"), "not_yet_treated", "no column 'go_live'; it has region, week, rate"),
        (GOOD.iloc[:0], "not_yet_treated", "no rows"),
        (pd.concat([GOOD, GOOD.iloc[[5]]]), "not_yet_treated", "(first: region B, week 2)"),
        (GOOD.assign(go_live=GOOD["week"]), "not_yet_treated", "(first: region A: 1, 2, 3, 4)"),
        (GOOD[GOOD["go_live"] > 0], "never_treated", "every unit goes live by the last week 4"),
        (GOOD[GOOD["go_live"] == 2], "not_yet_treated", "there are no controls"),
        (GOOD[GOOD["go_live"] == 0], "not_yet_treated", "no unit goes live after the first week 1"),
        (GOOD.assign(rate=GOOD["rate"].where(GOOD["week"] > 1)), "not_yet_treated", "not a number in 5 rows"),
        (GOOD.assign(week="2012-W17"), "not_yet_treated", "'week' is not a whole number"),
        (GOOD.assign(go_live=GOOD["go_live"].replace(0, None)), "not_yet_treated", "0 is never treated"),
        (GOOD.assign(region=None), "not_yet_treated", "column 'region' is empty in 20 rows"),
        (GOOD, "untreated", "unknown control_group 'untreated'; give not_yet_treated or never_treated"),
    ],
)
def test_an_uninformative_panel_is_refused_by_name(
    data: pd.DataFrame, control_group: str, reported: str
) -> None:
    with pytest.raises(PanelRefused) as refused:
        att(data, control_group)
    assert reported in str(refused.value)


def test_one_of_four_directorates() -> None:
    """A changes by 5, the others by 1, 2, 3: effects of 3, -7/3, -1 and 1/3, had each been the one."""
    outcomes = np.array([[0, 5], [0, 1], [0, 2], [0, 3]], dtype=float)
    found = permute(outcomes, [2, 0, 0, 0], ["A", "B", "C", "D"], [1, 2])
    effect = found.effects["simple", None, None]
    assert (effect.estimate, effect.p_value, effect.smallest_p_value) == (pytest.approx(3), 0.25, 0.25)
    assert effect.treated_mean == 5 and effect.treated_count == 1
    assert found.is_exact and found.order_count == 4
    other = permute(outcomes, [0, 0, 2, 0], ["A", "B", "C", "D"], [1, 2]).effects["simple", None, None]
    assert (other.estimate, other.p_value) == (pytest.approx(-1), 0.75)


def test_permutations_match_the_library_for_every_order() -> None:
    """Five directorates of one or two regions, two waves: each order estimated by the library as well."""
    rng = np.random.default_rng(4)
    directorates = ["A", "A", "B", "C", "C", "D", "E"]
    dates = {"A": 4, "B": 6, "C": 6, "D": 0, "E": 0}
    periods = [1, 2, 4, 5, 6, 8]  # with gaps
    outcomes = rng.normal(size=(7, 6)).cumsum(axis=1)
    found = permute(outcomes, [dates[name] for name in directorates], directorates, periods)
    assert found.order_count == found.tried_count == 30  # 5! / (2! 2!)

    orders = {tuple(order) for order in permutations(dates.values())}
    theirs: dict[tuple[int, ...], GroupTimeATT] = {}
    for order in orders:
        given = dict(zip(dates, order, strict=True))
        rows = [
            {"region": number, "week": at, "go_live": given[name], "rate": outcomes[number, column]}
            for number, name in enumerate(directorates)
            for column, at in enumerate(periods)
        ]
        theirs[order] = att(pd.DataFrame(rows))
    happened = theirs[tuple(dates.values())]
    assert as_library(found.effects, happened) < 1e-12
    assert len(found.effects) == 2 * 5 + 1 + 2 + 4 + len(happened.aggregates["dynamic"])
    simple = np.array([abs(each.aggregates["simple"]) for each in theirs.values()])
    expected = np.mean(simple >= abs(happened.aggregates["simple"]) - 1e-12)
    assert found.effects["simple", None, None].p_value == pytest.approx(expected)
    group = np.array([abs(each.aggregates["group"][6]) for each in theirs.values()])
    expected = np.mean(group >= abs(happened.aggregates["group"][6]) - 1e-12)
    assert found.effects["group", 6, None].p_value == pytest.approx(expected)


def test_dates_of_a_split_directorate_move_as_a_whole() -> None:
    """A's regions go live in 2 and 3: effects 1/2, 1, 17/3. Had it been B: 7/4, -4/3, 1. C's one region takes
    the first date: -3/4, -4, and nobody the second."""
    outcomes = np.array([[0, 1, 3], [0, 0, 7], [0, 2, 2], [0, 0, 4], [0, 0, 0]], dtype=float)
    found = permute(outcomes, [2, 3, 0, 0, 0], ["A", "A", "B", "B", "C"], [1, 2, 3])
    effect = found.effects["simple", None, None]
    assert found.order_count == 3
    assert (effect.estimate, effect.p_value) == (pytest.approx(43 / 18), pytest.approx(1 / 3))
    other = permute(outcomes, [0, 0, 2, 3, 0], ["A", "A", "B", "B", "C"], [1, 2, 3])
    effect = other.effects["simple", None, None]
    assert (effect.estimate, effect.p_value) == (pytest.approx(17 / 36), 1.0)
    # If C goes live, no region is in cohort 3: without an estimate, that order counts as at least as extreme.
    effect = other.effects["group", 3, None]
    assert (effect.estimate, effect.p_value, effect.smallest_p_value) == (pytest.approx(1), 1.0, 2 / 3)


def test_random_orders_are_reproducible() -> None:
    plan = Plan.of(date(2012, 3, 5), 50)
    noise = plan.noise(np.random.default_rng(1))
    runs = [plan.permute(noise, seed=7, draws=99) for _ in range(2)]
    assert runs[0] == runs[1] and not runs[0].is_exact and runs[0].tried_count == 100
    other = plan.permute(noise, seed=8, draws=99)
    assert other.effects != runs[0].effects
    assert other.effects["simple", None, None].estimate == runs[0].effects["simple", None, None].estimate


def test_false_alarm_rate_matches_the_p_values() -> None:
    """200 panels up to July 2012, AR(1) noise, no effect: 5 % of alarms within 3 standard errors."""
    share = float(np.mean(p_values(Plan.of(date(2012, 3, 5), 20), 0.5, range(200), 1_999) <= 0.05))
    assert abs(share - 0.05) < 3 * sqrt(0.05 * 0.95 / 200), share


def test_the_known_truth_is_found() -> None:
    """The operator's 4 % fewer calls, in noise of 1 %: no bias over seeds, and nothing before going live."""
    plan = Plan.of(date(2012, 3, 5), 40)
    truth = 70 * -0.04 * plan.reached()
    cohorts = np.array(plan.cohorts)[:, None]
    is_live = (cohorts > 0) & (np.array(plan.periods)[None, :] >= cohorts)
    found = [
        plan.permute(70 + truth + 0.7 * plan.noise(np.random.default_rng(seed)), draws=19).effects
        for seed in range(30)
    ]
    expected = {
        ("simple", None, None): truth[is_live].mean(),
        ("dynamic", None, 9): 70 * -0.04,
        ("dynamic", None, -3): 0.0,
    }
    for key, value in expected.items():
        estimates = np.array([each[key].estimate for each in found])  # type: ignore[index]
        assert abs(estimates.mean() - value) < 4 * estimates.std() / sqrt(len(found)), (
            key,
            estimates.mean(),
            value,
        )
    assert expected["simple", None, None] < -1.5
