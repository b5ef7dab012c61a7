"""Which earlier days are like a delivery's."""

from __future__ import annotations

from datetime import date, timedelta

from parc.feeds import FEEDS
from parc.quality import History, PastDelivery
from parc.quality.history import like_dates

CALLS, PLAN = FEEDS["calls"], FEEDS["numbering_plan"]


def days_before(day: date, count: int) -> list[date]:
    return [day - timedelta(days=back) for back in range(1, count + 1)]


def test_the_last_four_same_weekdays_are_like_days() -> None:
    day = date(2012, 6, 20)  # a Wednesday
    assert like_dates(CALLS, day, days_before(day, 60)) == [
        day - timedelta(weeks=back) for back in (1, 2, 3, 4)
    ]


def test_holidays_are_compared_only_with_holidays() -> None:
    labour_day, victory_day, ascension = date(2012, 5, 1), date(2012, 5, 8), date(2012, 5, 17)
    past = [ascension, victory_day, labour_day, date(2012, 4, 24)]
    assert like_dates(CALLS, date(2012, 5, 28), past) == [ascension, victory_day, labour_day]
    assert like_dates(CALLS, date(2012, 5, 22), past) == [date(2012, 4, 24)]


def test_a_sunday_holiday_is_compared_only_with_sunday_holidays() -> None:
    """Armistice day of 2012 falls on a Sunday, as new year did."""
    day = date(2012, 11, 11)
    assert like_dates(CALLS, day, days_before(day, 315)) == [date(2012, 1, 1)]
    assert date(2012, 11, 11) not in like_dates(
        CALLS, date(2012, 11, 18), days_before(date(2012, 11, 18), 30)
    )


def test_snapshots_are_compared_with_each_other() -> None:
    past = [date(2012, 4, 1), date(2012, 3, 1), date(2012, 2, 1)]
    assert like_dates(PLAN, date(2012, 5, 1), past) == past


def test_the_usual_rows_are_the_median_of_the_like_days() -> None:
    like = tuple(
        PastDelivery(date(2012, 4, day), rows) for day, rows in ((25, 30), (18, 10), (11, 22), (4, 20))
    )
    assert (History(like).usual_rows, History(like).like_days) == (21.0, 4)
    assert (History().usual_rows, History().like_days) == (None, 0)
