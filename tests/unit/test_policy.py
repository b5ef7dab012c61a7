"""What every night decides in the same way."""

from __future__ import annotations

from datetime import date, timedelta

from parc.feeds import FACTS, FEEDS, IN_LOADING_ORDER, REFERENCES
from parc.policy import NIGHTS_LOOKED_AT, dates_looked_at, in_loading_order

NIGHT = date(2012, 4, 25)


def test_a_night_looks_at_its_date_and_the_34_before() -> None:
    first, last = dates_looked_at(NIGHT)
    assert last == NIGHT and (last - first).days + 1 == NIGHTS_LOOKED_AT == 35


def test_references_are_loaded_before_facts_then_by_date() -> None:
    assert set(IN_LOADING_ORDER) == set(FEEDS) and len(IN_LOADING_ORDER) == len(FEEDS)
    eve = NIGHT - timedelta(days=1)
    deliveries = [(feed, day) for day in (NIGHT, eve) for feed in reversed(IN_LOADING_ORDER)]
    assert in_loading_order(deliveries) == [
        (feed, day) for feeds in (REFERENCES, FACTS) for day in (eve, NIGHT) for feed in feeds
    ]
