"""How far chance may move a share, a volume or a profile, and how far it may not."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parc.quality.chance import UsualShare, limits_by_usual, share_limits, shift, volume_limits

CHANCE = 0.001
# A day's rows by hour: none at night, the most before noon.
PROFILE = np.array([1, 1, 1, 1, 1, 2, 5, 20, 80, 120, 130, 90, 60, 90, 100, 100, 95, 90, 60, 30, 15, 8, 4, 2])


@given(of=st.integers(1, 300), percent=st.floats(0, 100))
def test_a_true_share_at_the_limit_exceeds_it_as_rarely_as_stated(of: int, percent: float) -> None:
    limits = share_limits({"min_value": percent, "max_value": percent}, of, CHANCE)
    fewest, most = (round(limits[name] / 100 * of) for name in ("min_value", "max_value"))
    share = percent / 100
    weights = [comb(of, count) * share**count * (1 - share) ** (of - count) for count in range(of + 1)]
    assert sum(weights[:fewest]) <= CHANCE + 1e-9 and sum(weights[most + 1 :]) <= CHANCE + 1e-9
    assert sum(weights[: fewest + 1]) >= CHANCE - 1e-9 and sum(weights[most:]) >= CHANCE - 1e-9


def test_limits_are_wide_for_few_rows_and_as_given_for_many() -> None:
    given = {"min_value": 10.0, "max_value": 60.0}
    assert share_limits(given, 5, CHANCE) == {"min_value": 0.0, "max_value": 100.0}
    many = share_limits(given, 10_000_000, CHANCE)
    assert many == pytest.approx(given, abs=0.1)


def by_usual(percent: float, of: int, odds: float) -> dict[str, float]:
    return limits_by_usual({"min_value": 10, "max_value": 60}, UsualShare(percent, of), odds, 1, CHANCE)


def test_like_days_replace_the_declared_limits() -> None:
    """Odds of 4 to 1, divided and multiplied by 8: 1 to 2, and 32 to 1."""
    assert by_usual(80, 40_000_000, 8) == pytest.approx(
        {"min_value": 100 / 3, "max_value": 100 * 32 / 33}, abs=0.1
    )
    assert list(limits_by_usual({"max_value": 60}, UsualShare(80, 40), 8, 1, CHANCE)) == ["max_value"]


def test_rest_days_are_compared_with_rest_days() -> None:
    """No job is done and all are cancelled."""
    assert by_usual(0, 800, 20)["min_value"] == 0
    assert by_usual(100, 800, 20)["max_value"] == 100


def test_values_unseen_on_like_days_are_tolerated_in_small_shares() -> None:
    never = by_usual(0, 40_000_000, 8)
    assert never["max_value"] == pytest.approx(7.5, abs=0.1)
    assert by_usual(100, 40_000_000, 8)["min_value"] == pytest.approx(92.5, abs=0.1)
    assert by_usual(0, 30, 8)["max_value"] > 50, "of few rows it may be by chance that they never had it"


@given(usual=st.integers(1, 3_000), days=st.integers(1, 4))
def test_a_usual_day_is_within_its_volume_limits(usual: int, days: int) -> None:
    limits = volume_limits({"min_value": 70, "max_value": 130}, usual, days, CHANCE)
    assert limits["min_value"] <= 70 and limits["max_value"] >= 130


def test_volume_limits_are_wide_for_few_rows() -> None:
    """7 of 40 rows do not prove a share below half; 19,000 of 40,000 do."""
    assert volume_limits({"min_value": 50}, 40, 4, CHANCE)["min_value"] == 100 * 7 / 40
    assert volume_limits({"min_value": 50}, 40_000, 4, CHANCE)["min_value"] > 48
    assert volume_limits({"min_value": 50}, 3, 4, CHANCE)["min_value"] == 0


def drawn(rows: int, rng: np.random.Generator, hours: int = 0) -> list[int]:
    return [int(count) for count in np.roll(rng.multinomial(rows, PROFILE / PROFILE.sum()), hours)]


@pytest.mark.parametrize("hours", [-2, -1, 1, 2, 6])
@pytest.mark.parametrize("rows", [1_000, 300_000])
def test_a_day_shifted_by_whole_hours_is_reported(hours: int, rows: int) -> None:
    rng = np.random.default_rng(7)
    found, explained = shift(drawn(rows, rng, hours), drawn(4 * rows, rng), CHANCE)
    assert found == hours and explained > 80


def test_an_ordinary_day_with_few_rows_is_not_shifted() -> None:
    rng = np.random.default_rng(7)
    for rows in (1, 3, 10, 30, 100, 1_000, 100_000):
        assert [shift(drawn(rows, rng), drawn(4 * rows, rng), CHANCE) for _ in range(50)] == [(0, 0.0)] * 50


def test_a_morning_without_calls_is_not_a_shift() -> None:
    """Shifted by some hours, such a day resembles others a little more, but still differs from them."""
    rng = np.random.default_rng(7)
    outage = [0] * 12 + drawn(100_000, rng)[12:]
    _, explained = shift(outage, drawn(400_000, rng), CHANCE)
    assert explained < 60


def test_no_rows_are_not_shifted() -> None:
    assert shift([0] * 24, drawn(100, np.random.default_rng(7)), CHANCE) == (0, 0.0)
