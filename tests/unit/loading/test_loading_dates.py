"""Which business dates are plausible."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parc.errors import DeliveryRefused
from parc.loading.dates import ANY, EARLIEST, LATEST, AcceptedDates, of_night


def accepts(accepted_dates: AcceptedDates, day: date) -> bool:
    try:
        accepted_dates.check("calls", day)
    except DeliveryRefused as refusal:
        assert str(refusal).startswith(f"calls {day}: refused unread") and "\n" not in str(refusal)
        return False
    return True


@given(night=st.dates(EARLIEST, LATEST), day=st.dates())
def test_a_night_accepts_dates_up_to_a_week_later(night: date, day: date) -> None:
    is_near = day - night <= timedelta(days=7)
    assert accepts(of_night(night), day) == (EARLIEST <= day <= LATEST and is_near)


@given(day=st.dates())
def test_a_confirmed_date_is_accepted_unless_absurd(day: date) -> None:
    assert accepts(ANY, day) == (EARLIEST <= day <= LATEST)


@pytest.mark.parametrize("night", [date.min, date.max, date(1989, 12, 31), date(2100, 1, 1)])
def test_an_impossible_night_is_refused(night: date) -> None:
    with pytest.raises(DeliveryRefused, match="refused unread"):
        of_night(night)
