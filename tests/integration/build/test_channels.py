"""Boutiques, feed health, finality and the scorecard, from handwritten deliveries to what BI reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from parc.build import build
from parc.instants import PARIS
from parc.ledger import due, nights
from parc.settings import Settings
from parc.warehouse import connect
from support.channels import Row, boutique, deliver, visit
from support.marts import marts, rows

MONDAY = date(2012, 4, 23)
TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (MONDAY + timedelta(days=day) for day in (1, 2, 3, 4))


FIRST_SNAPSHOT = [
    boutique("RENNES", "35"),
    boutique("BREST", "29", closed_on=WEDNESDAY),
    boutique("VALENCE", "26"),
]
LATE_SNAPSHOT = [boutique("RENNES", "35"), boutique("VALENCE", "44")]


def day_of(day: date, *more: Row) -> list[Row]:
    """Three visits of Rennes, two of Brest, one of a boutique that nobody knows; and `more`."""
    return [
        visit(f"{day}-1", day, customer_ref="C1", satisfaction="5"),
        visit(f"{day}-2", day, outcome="sale", served_at=f"{day}T10:00:30+02:00", satisfaction="2"),
        visit(f"{day}-3", day, outcome="left_unserved", served_at=""),
        visit(f"{day}-4", day, "BREST"),
        visit(f"{day}-5", day, "BREST"),
        visit(f"{day}-6", day, "NOWHERE"),
        *more,
    ]


def boutiques_of(settings: Settings, day: date) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select region_code, visit_count, open_boutique_stock from marts.mart_boutiques_daily "
        f"where business_date = '{day}' order by 1",
    )


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Iterator[Settings]:
    """Two days of visits and one snapshot of boutiques, of Tuesday; the tests build on each other."""
    for day in (MONDAY, TUESDAY):
        deliver(module_warehouse, "boutique_visits", day, day_of(day))
    deliver(module_warehouse, "boutiques", TUESDAY, FIRST_SNAPSHOT)
    build(module_warehouse)
    yield module_warehouse


def test_what_is_still_expected_is_not_missing(built: Settings) -> None:
    """The first feed of a night has come; the others are due in a few hours. The desk's list and its grid of
    nights agree on what is missing."""
    tonight = datetime.now(PARIS).date()
    with connect(built, "admin") as connection, connection.transaction(force_rollback=True):

        def missing() -> set[str]:
            found = due.missing(connection, due.calendar(built.project))
            grid = {each.feed: each.state for each in nights.nights(connection, tonight)}
            tonights = {each.feed for each in found if each.business_date == tonight}
            assert tonights == {feed for feed, state in grid.items() if state == "missing"}
            assert {feed for feed, state in grid.items() if state == "expected"} >= {"interventions"}
            return tonights

        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256) "
            "values ('calls', %s, 'published', '[]', '')",
            [tonight],
        )
        assert missing() == set()
        connection.execute("insert into ops.looked_for values ('boutique_visits', %s)", [tonight])
        assert missing() == {"boutique_visits"}


def test_regions_have_their_visits_and_open_boutiques(built: Settings) -> None:
    assert boutiques_of(built, MONDAY) == [("53", 5, 2), ("82", 0, 1), ("unknown", 1, 0)]
    [found] = rows(
        built,
        "select directorate_code, served_count, sale_count, left_unserved_count, wait_served_count, "
        "wait_served_seconds::float, identified_count, survey_count, satisfied_count "
        f"from marts.mart_boutiques_daily where business_date = '{MONDAY}' and region_code = '53'",
    )
    assert found == ("OUEST", 4, 1, 1, 4, 930.0, 1, 2, 1)


def test_a_closed_boutique_and_a_snapshot_that_arrives_late(built: Settings) -> None:
    """Brest closes on Wednesday and its visitors still count; a late snapshot of Wednesday moves Valence."""
    deliver(built, "boutique_visits", WEDNESDAY, day_of(WEDNESDAY))
    build(built)
    assert boutiques_of(built, WEDNESDAY) == [("53", 5, 1), ("82", 0, 1), ("unknown", 1, 0)]

    deliver(built, "boutiques", WEDNESDAY, LATE_SNAPSHOT)
    build(built)
    assert boutiques_of(built, TUESDAY) == [("53", 5, 2), ("82", 0, 1), ("unknown", 1, 0)]
    assert boutiques_of(built, WEDNESDAY) == [("52", 0, 1), ("53", 3, 1), ("unknown", 3, 0)]


@pytest.mark.soak
def test_a_visit_delivered_on_two_dates_counts_once(built: Settings) -> None:
    """The earliest date keeps it; if that date no longer delivers it, the later date gets it back."""
    stray = visit(f"{WEDNESDAY}-4", MONDAY)
    query = f"select business_date from marts.fct_boutique_visits where visit_id = '{WEDNESDAY}-4'"
    deliver(built, "boutique_visits", MONDAY, day_of(MONDAY, stray))
    build(built)
    assert rows(built, query) == [(MONDAY,)]
    assert rows(
        built,
        "select business_date, visit_id, kept_business_date "
        "from intermediate.int_boutique_visit_cross_date_duplicates",
    ) == [(WEDNESDAY, f"{WEDNESDAY}-4", MONDAY)]

    deliver(built, "boutique_visits", MONDAY, day_of(MONDAY))
    build(built)
    assert rows(built, query) == [(WEDNESDAY,)]


def test_a_refused_day_is_missing_until_it_is_sent_again(built: Settings) -> None:
    """The gap detector follows the ledger between builds; the marts show what happened once it is built."""
    missing = (
        "select business_date from intermediate.int_missing_deliveries "
        "where feed = 'boutique_visits' order by 1"
    )
    bad = [row | {"outcome": "asleep"} for row in day_of(THURSDAY)]
    deliver(built, "boutique_visits", THURSDAY, bad, expect="refused")
    assert rows(built, missing) == [(THURSDAY,)]
    deliver(built, "boutique_visits", THURSDAY, day_of(THURSDAY))
    assert rows(built, missing) == []
    build(built)
    assert rows(
        built,
        "select feed, status, is_due, rows_published, delivery_count, refused_count, lateness_seconds > 0 "
        f"from marts.mart_feed_health where business_date = '{THURSDAY}' order by 1",
    ) == [
        ("boutique_visits", "published", True, 6, 2, 1, True),
        ("calls", "missing", True, None, 0, 0, None),
        ("interventions", "missing", True, None, 0, 0, None),
    ]
    assert rows(
        built,
        "select figure_window, status, missing_count from marts.mart_finality_daily "
        f"where business_date = '{THURSDAY}' and figure_window in ('boutique_visits', 'repeat_7d') "
        "order by 1",
    ) == [("boutique_visits", "final", 0), ("repeat_7d", "provisional", 8)]


def test_the_scorecard_adds_up(built: Settings) -> None:
    [(visits, boutiques)] = rows(
        built,
        "select sum(visit_count)::int, sum(open_boutique_stock)::int "
        f"from marts.mart_directorate_scorecard_daily where business_date = '{WEDNESDAY}'",
    )
    assert (visits, boutiques) == (6, 2)
    # Neither calls nor jobs are delivered: nobody knows how many there were.
    assert rows(
        built,
        "select bool_or(is_calls_complete), bool_or(is_interventions_complete), "
        "bool_and(is_boutique_visits_complete), count(offered_count), count(own_site_answered_count), "
        "count(done_count), count(open_job_stock), min(site_stock) > 0 "
        f"from marts.mart_directorate_scorecard_daily where business_date = '{WEDNESDAY}'",
    ) == [(False, False, True, 0, 0, 0, 0, True)]


@pytest.mark.soak
def test_deliveries_during_a_build_wait_for_the_next_one(built: Settings) -> None:
    def land(_node: str, done: int, _total: int) -> None:
        if done == 1:
            deliver(built, "boutique_visits", MONDAY, day_of(MONDAY, visit("late", MONDAY)))
            deliver(built, "boutique_visits", FRIDAY, day_of(FRIDAY))

    reported = (
        "select status, rows_published, (select count(*) from marts.fct_boutique_visits as visits "
        "where visits.business_date = health.business_date) from marts.mart_feed_health as health "
        f"where feed = 'boutique_visits' and business_date in ('{MONDAY}', '{FRIDAY}') "
        "order by business_date"
    )
    deliver(built, "boutique_visits", THURSDAY, day_of(THURSDAY, visit("one more", THURSDAY)))
    build(built, progress=land)
    assert rows(built, reported) == [("published", 6, 6), ("arriving", 6, 0)]
    build(built)
    assert rows(built, reported) == [("published", 7, 7), ("published", 6, 6)]


@pytest.mark.soak
def test_incremental_equals_full_refresh(built: Settings) -> None:
    incremental = marts(built)
    assert build(built, full_refresh=True).build_id
    assert marts(built) == incremental


@pytest.mark.soak
def test_deliveries_during_a_full_refresh_wait_for_the_next_build(built: Settings) -> None:
    """Recreated tables read the days that the build found, not those that arrive while it runs."""
    saturday = FRIDAY + timedelta(days=1)
    query = f"select count(*) from marts.fct_boutique_visits where business_date = '{saturday}'"

    def land(_node: str, done: int, _total: int) -> None:
        if done == 1:
            deliver(built, "boutique_visits", saturday, day_of(saturday))

    build(built, full_refresh=True, progress=land)
    assert rows(built, query) == [(0,)]
    build(built)
    assert rows(built, query) == [(6,)]
