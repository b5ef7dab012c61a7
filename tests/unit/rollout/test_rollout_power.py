"""What a panel would show: cases computed by hand, and whether the stated power is there."""

from __future__ import annotations

from datetime import date
from math import sqrt

import numpy as np
import pytest

from parc.rollout.permutation import arrange, permute
from parc.rollout.power import Aim, further_weeks, minimum_detectable_effect, simple_weights
from support.effect_world import Plan, shown_shares, week

AIM = Aim(level=0.05, power=0.8, effect_share=0.03)


def test_weights_of_every_order_give_its_effect() -> None:
    """Five directorates of one or two regions, two waves, and weeks with gaps."""
    directorates = ["A", "A", "B", "C", "C", "D", "E"]
    cohorts = [4, 4, 6, 6, 6, 0, 0]
    periods = [1, 2, 4, 5, 6, 8]
    outcomes = np.random.default_rng(4).normal(size=(7, 6)).cumsum(axis=1)
    arranged = arrange(cohorts, directorates, periods)
    found = simple_weights(arranged.assigned, arranged.starts, len(periods)) @ outcomes.ravel()
    assert len(found) == 30
    for order, effect in zip(arranged.assigned, found, strict=True):
        given = [[*arranged.labels, 0][number] for number in order]
        expected = permute(outcomes, given, directorates, periods).effects["simple", None, None]
        assert effect == pytest.approx(expected.estimate)


def test_the_smallest_effect_of_four_directorates() -> None:
    """Changes of 3, 0, 0 and -3 show 4, 0, 0 and -4, whichever goes live. An effect adds itself to its order
    and takes a third of itself from the others.

    Up to 6, only A shows a rise and D a fall: two of eight. Beyond it, all do. At 0.05 none can, of four.
    """
    outcomes = np.array([[0, 3], [0, 0], [0, 0], [0, -3]], dtype=float)
    given = (outcomes, [2, 0, 0, 0], ["A", "B", "C", "D"], [1, 2])
    assert minimum_detectable_effect(*given, Aim(0.25, 0.8, 0)) == pytest.approx(6, rel=0.02)
    assert (minimum_detectable_effect(*given, Aim(0.25, 0.2, 0)) or 1) < 0.1
    assert minimum_detectable_effect(*given, Aim(0.05, 0.8, 0)) is None


def test_the_date_is_that_of_the_wave_that_makes_them_enough() -> None:
    """One live directorate of eleven is not rare enough; with the wave of 12 June one order of 110 is."""
    now, whole = Plan.of(date(2012, 3, 5), 12), Plan.of(date(2012, 3, 5), 68)
    noise = 0.01 * now.noise(np.random.default_rng(3))
    given = (noise, whole.cohorts, now.directorates, now.periods)
    assert further_weeks(*given, 1.0, AIM) == week(date(2012, 6, 12)) - now.periods[-1]
    assert further_weeks(100 * noise, *given[1:], 0.1, AIM) is None
    later = Plan.of(date(2012, 3, 5), 20)
    noise = 0.01 * later.noise(np.random.default_rng(3))
    assert further_weeks(noise, whole.cohorts, later.directorates, later.periods, 1.0, AIM) == 0


def test_the_smallest_effect_is_shown_as_often_as_stated() -> None:
    """80 panels up to July 2012; each one's smallest effect is planted in another one of the same noise."""
    share = shown_shares(Plan.of(date(2012, 3, 5), 20), 0.5, range(80), AIM).mean()
    assert abs(share - AIM.power) < 3 * sqrt(0.8 * 0.2 / 80) + 0.03, share
