"""Which moves of a figure are told, and with which cause: one date at a time, on tables of a few rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from parc.build.changes import Cause
from parc.build.restatements import Restatements
from parc.ledger import builds
from parc.settings import Settings
from parc.warehouse import connect

DAY = date(2012, 4, 25)
BEFORE, AFTER = DAY - timedelta(days=3), DAY + timedelta(days=3)
LONG_AGO = DAY - timedelta(days=200)
KINDS = {
    "business_date": "date",
    "region_code": "text",
    "offered_count": "bigint",
    "repeat_7d_count": "bigint",
    "first_time_right_count": "bigint",
    "active_line_stock": "bigint",
    "old_count": "bigint",
    "person_count": "bigint",
}
META = {
    "publish": "by_date",
    "restated_by": ["calls"],
    "lookback_days": 8,
    "aliases": ["old_count"],
    "persons": ["person_count"],
}
SEEN = {"calls": 1, "interventions": 2, "active_lines": 3, "boutique_visits": 4}
"""Deliveries of these feeds that BI has seen, of all dates."""

Row = tuple[date, dict[str, int | None]]
Told = dict[tuple[date, str], tuple[str, list[int]]]


def only(*feeds: str, on: date = DAY) -> list[Cause]:
    """A delivery of each of these feeds, of this date."""
    return [Cause(feed, SEEN[feed], frozenset([on])) for feed in feeds]


@pytest.fixture
def connection(warehouse: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A mart with its published and its built table, both empty."""
    with connect(warehouse, "admin") as opened:
        columns = ", ".join(f"{name} {kind}" for name, kind in KINDS.items())
        opened.execute(
            f"create table marts.small ({columns}); create table build.small ({columns}); "
            "create table marts.mart_finality_daily (figure_window text, business_date date, status text); "
            "create table intermediate.int_call_cross_date_duplicates "
            "(business_date date, kept_business_date date); "
            "create table intermediate.int_boutique_visit_cross_date_duplicates "
            "(business_date date, kept_business_date date)".encode()
        )
        yield opened


def tell(
    connection: psycopg.Connection[Any],
    before: Sequence[Row],
    after: Sequence[Row],
    causes: Sequence[Cause] = (),
    *,
    final: Mapping[str, Sequence[date]] | None = None,
    joined: Sequence[tuple[str, date]] = (),
    unseen: Sequence[tuple[str, date]] = (),
    is_redefined: bool = False,
    is_full_refresh: bool = False,
    **meta: Any,
) -> Told:
    """The cause of each figure that is told when a build replaces these rows, by date and figure.

    `final` are the windows that are final, and on which dates; `joined` the dates that joined the build while
    it ran; `unseen` those of which BI has seen no delivery.
    """
    for schema, lines in (("marts", before), ("build", after)):
        for day, figures in lines:
            values = {"business_date": day, "region_code": "53", **figures}
            connection.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    sql.Identifier(schema, "small"),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(map(sql.Literal, values.values())),
                )
            )
    for window in ("calls", "repeat_7d", "call_rate", "first_time_right_30d"):
        for day in {day for day, _ in before}:
            status = "final" if day in (final or {}).get(window, ()) else "provisional"
            connection.execute(
                "insert into marts.mart_finality_daily values (%s, %s, %s)", [window, day, status]
            )
    row = connection.execute(
        "insert into ops.build (status, is_full_refresh) values ('running', %s) returning build_id",
        [is_full_refresh],
    ).fetchone()
    assert row
    for feed in SEEN:
        for day in {DAY, BEFORE, AFTER, LONG_AGO}:
            if (feed, day) not in unseen:
                connection.execute(
                    "insert into ops.delivery "
                    "(feed, business_date, status, files, content_sha256, published_at, built_in) "
                    "values (%s, %s, 'published', '[]', '', now(), %s)",
                    [feed, day, row[0]],
                )
    for feed, day in {(each.subject, day) for each in causes for day in each.dates or ()} | {*joined}:
        connection.execute("insert into ops.build_date values (%s, %s, %s)", [row[0], feed, day])
    build = builds.get(connection, row[0])
    assert build
    told = Restatements(connection, build, causes, is_redefined=is_redefined or is_full_refresh)
    told.keep("small", META | meta, KINDS, sql.SQL("true"))
    found = connection.execute(
        "select business_date, figure, cause, delivery_ids, delivery_ids_text from marts.mart_restatements"
    ).fetchall()
    assert all(text == ", ".join(map(str, ids)) for *_, ids, text in found)
    return {(day, figure): (cause, ids) for day, figure, cause, ids, _ in found}


def offered(day: date, count: int | None) -> list[Row]:
    return [(day, {"offered_count": count})]


@pytest.mark.parametrize(
    ("day", "meta", "reached"),
    [
        (DAY, {}, True),
        (DAY - timedelta(days=8), {}, True),
        (DAY - timedelta(days=9), {}, False),
        (DAY + timedelta(days=1), {}, False),
        (BEFORE, {"lookback_days": 0}, False),
        (DAY - timedelta(days=31), {"publish": "whole"}, True),
        (DAY - timedelta(days=32), {"publish": "whole"}, False),
    ],
)
def test_a_restated_delivery_reaches_what_looks_ahead_to_it(
    connection: psycopg.Connection[Any], day: date, meta: dict[str, Any], reached: bool
) -> None:
    told = tell(connection, offered(day, 5), offered(day, 6), only("calls"), **meta)
    assert told == ({(day, "offered_count"): ("delivery", [1])} if reached else {})


def test_a_first_delivery_completes_what_was_provisional(connection: psycopg.Connection[Any]) -> None:
    """Nothing is told of it, but a final figure that moved with it is."""
    rows = [(DAY, {"offered_count": 5}), (BEFORE, {"offered_count": 5})]
    fresh = [(DAY, {"offered_count": 6}), (BEFORE, {"offered_count": 6})]
    told = tell(connection, rows, fresh, only("calls"), final={"calls": [BEFORE]}, unseen=[("calls", DAY)])
    assert told == {(BEFORE, "offered_count"): ("delivery", [1])}


def test_an_extract_of_jobs_reaches_any_date(connection: psycopg.Connection[Any]) -> None:
    """A job has several dates."""
    rows, fresh = offered(LONG_AGO, 5), offered(LONG_AGO, 6)
    assert tell(connection, rows, fresh, only("interventions"), restated_by=["interventions"]) == {
        (LONG_AGO, "offered_count"): ("delivery", [2])
    }


def test_another_feed_reaches_nothing(connection: psycopg.Connection[Any]) -> None:
    assert tell(connection, offered(DAY, 5), offered(DAY, 6), only("interventions", "boutique_visits")) == {}


@pytest.mark.parametrize("is_redefined", [False, True])
def test_a_delivery_counts_before_a_seed_and_a_seed_before_a_definition(
    connection: psycopg.Connection[Any], is_redefined: bool
) -> None:
    seed = Cause("calls", None, frozenset([DAY, AFTER]))
    rows = [(day, {"offered_count": 5}) for day in (DAY, AFTER)]
    fresh = [(day, {"offered_count": 6}) for day in (DAY, AFTER)]
    assert tell(connection, rows, fresh, [seed, *only("calls")], is_redefined=is_redefined) == {
        (DAY, "offered_count"): ("delivery", [1]),
        (AFTER, "offered_count"): ("seed", []),
    }


@pytest.mark.parametrize(("feed", "reached"), [("interventions", True), ("calls", False)])
def test_a_seed_of_places_moves_jobs(connection: psycopg.Connection[Any], feed: str, reached: bool) -> None:
    places = Cause("intervention_places", None, frozenset([DAY]))
    told = tell(connection, offered(DAY, 5), offered(DAY, 6), [places], restated_by=[feed])
    assert told == ({(DAY, "offered_count"): ("seed", [])} if reached else {})


def test_a_seed_without_dates_reaches_any(connection: psycopg.Connection[Any]) -> None:
    seed = Cause("interventions", None, None)
    rows, fresh = offered(LONG_AGO, 5), offered(LONG_AGO, 6)
    assert tell(connection, rows, fresh, [seed], restated_by=["interventions"]) == {
        (LONG_AGO, "offered_count"): ("seed", [])
    }


@pytest.mark.parametrize("is_final", [False, True])
def test_a_definition_moves_what_is_provisional_only_if_nothing_arrived(
    connection: psycopg.Connection[Any], is_final: bool
) -> None:
    """Of a provisional figure nobody knows whether it moved by what arrived; of a final one it did not."""
    told = tell(
        connection,
        offered(BEFORE, 5),
        offered(BEFORE, 6),
        only("calls"),
        final={"calls": [BEFORE] if is_final else []},
        lookback_days=0,
        is_redefined=True,
    )
    assert told == ({(BEFORE, "offered_count"): ("definition", [])} if is_final else {})


def test_a_definition_alone_moves_what_is_provisional(connection: psycopg.Connection[Any]) -> None:
    assert tell(connection, offered(DAY, 5), offered(DAY, 6), is_full_refresh=True) == {
        (DAY, "offered_count"): ("definition", [])
    }


def test_what_is_provisional_is_known_by_its_window(connection: psycopg.Connection[Any]) -> None:
    """By that of the figure's name, else that of the feed; new lines are told with their own delivery."""
    moving = ("offered_count", "repeat_7d_count", "first_time_right_count", "active_line_stock")
    rows = [(day, dict.fromkeys(moving, 5)) for day in (BEFORE, DAY)]
    fresh = [(day, dict.fromkeys(moving, 6)) for day in (BEFORE, DAY)]
    told = tell(
        connection,
        rows,
        fresh,
        only("calls", "active_lines", on=AFTER),
        final={
            "calls": [DAY],
            "repeat_7d": [BEFORE],
            "first_time_right_30d": [BEFORE],
            "call_rate": [BEFORE],
        },
        lookback_days=0,
    )
    assert told == {
        (DAY, "offered_count"): ("delivery", [1]),
        (BEFORE, "active_line_stock"): ("delivery", [3]),
        (BEFORE, "repeat_7d_count"): ("delivery", [1]),
        (BEFORE, "first_time_right_count"): ("delivery", [1]),
    }


def test_a_figure_that_goes_or_comes_is_told_but_not_a_new_date(
    connection: psycopg.Connection[Any],
) -> None:
    """A withdrawn delivery leaves null or no row at all; a date without any row before was not published."""
    told = tell(
        connection,
        [*offered(DAY, 5), (BEFORE, {"offered_count": None, "repeat_7d_count": 1}), *offered(LONG_AGO, 7)],
        [*offered(DAY, None), (BEFORE, {"offered_count": 4, "repeat_7d_count": 1}), *offered(AFTER, 8)],
        [*only("calls"), *only("calls", on=AFTER), *only("calls", on=LONG_AGO)],
        lookback_days=3,
    )
    assert told.keys() == {(day, "offered_count") for day in (DAY, BEFORE, LONG_AGO)}


def test_persons_and_former_names_are_no_figures(connection: psycopg.Connection[Any]) -> None:
    rows: list[Row] = [(DAY, {"offered_count": 5, "old_count": 5, "person_count": 5})]
    fresh: list[Row] = [(DAY, {"offered_count": 6, "old_count": 6, "person_count": 6})]
    assert tell(connection, rows, fresh, only("calls")).keys() == {(DAY, "offered_count")}


@pytest.mark.parametrize(
    ("joined", "reached"),
    [
        (("calls", DAY), [1]),  # an earlier delivery of the feed gave them back, or took them
        (("calls", LONG_AGO), []),  # no earlier delivery
        (("boutique_visits", DAY), []),
    ],
)
def test_a_date_that_joins_while_the_build_runs_is_told_with_the_earlier_delivery(
    connection: psycopg.Connection[Any], joined: tuple[str, date], reached: list[int]
) -> None:
    day = joined[1]
    told = tell(
        connection,
        offered(day, 5),
        offered(day, 6),
        only("calls", on=BEFORE),
        joined=[joined],
        lookback_days=0,
    )
    assert told == ({(day, "offered_count"): ("delivery", reached)} if reached else {})


def test_of_two_earlier_deliveries_the_one_that_took_the_contacts_is_told(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute(
        "insert into intermediate.int_call_cross_date_duplicates values (%s, %s)", [AFTER, DAY]
    )
    takers = [Cause("calls", 7, frozenset([BEFORE])), Cause("calls", 8, frozenset([DAY]))]
    rows, fresh = offered(AFTER, 5), offered(AFTER, 6)
    assert tell(connection, rows, fresh, takers, joined=[("calls", AFTER)], lookback_days=0) == {
        (AFTER, "offered_count"): ("delivery", [8])
    }


def test_in_a_full_refresh_every_date_joins_and_says_nothing(connection: psycopg.Connection[Any]) -> None:
    told = tell(
        connection,
        offered(DAY, 5),
        offered(DAY, 6),
        only("calls", on=BEFORE),
        final={"calls": [DAY]},
        joined=[("calls", DAY)],
        is_full_refresh=True,
        lookback_days=0,
    )
    assert told == {(DAY, "offered_count"): ("definition", [])}
