"""Which earlier days tell how much a delivery usually holds."""

from __future__ import annotations

from datetime import date, timedelta

from parc.feeds import FEEDS
from parc.quality.history import usual_volume

CALLS, PLAN = FEEDS["calls"], FEEDS["numbering_plan"]


def days_before(day: date, count: int) -> list[date]:
    return [day - timedelta(days=back) for back in range(1, count + 1)]


def test_the_median_of_the_last_four_same_weekdays() -> None:
    day = date(2012, 6, 20)  # a Wednesday
    past = [(before, before.toordinal()) for before in days_before(day, 60)]
    like = [day - timedelta(weeks=back) for back in (1, 2, 3, 4)]
    expected = (like[1].toordinal() + like[2].toordinal()) / 2
    assert usual_volume(CALLS, day, past) == {"usual_rows": expected, "like_days": 4}


def test_holidays_are_like_holidays_and_like_no_weekday() -> None:
    labour_day, victory_day, ascension = date(2012, 5, 1), date(2012, 5, 8), date(2012, 5, 17)
    past = [(ascension, 3), (victory_day, 2), (labour_day, 1), (date(2012, 4, 24), 100)]
    assert usual_volume(CALLS, date(2012, 5, 28), past) == {"usual_rows": 2.0, "like_days": 3}
    assert usual_volume(CALLS, date(2012, 5, 22), past) == {"usual_rows": 100.0, "like_days": 1}


def test_nothing_is_usual_without_history() -> None:
    assert usual_volume(CALLS, date(2012, 5, 22), []) == {"usual_rows": None, "like_days": 0}


def test_snapshots_are_like_each_other() -> None:
    past = [(date(2012, 4, 1), 30), (date(2012, 3, 1), 10), (date(2012, 2, 1), 20)]
    assert usual_volume(PLAN, date(2012, 5, 1), past) == {"usual_rows": 20.0, "like_days": 3}
