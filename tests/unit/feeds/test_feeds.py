"""The declarations are consistent, and produce the tables of the contract."""

from __future__ import annotations

from itertools import chain

import pytest

from parc import feeds
from parc.feeds import FEEDS, Derivation, Derived, Feed, Keeping


def test_calls_are_stored_without_any_personal_text() -> None:
    assert [column.name for column in FEEDS["calls"].stored_columns] == [
        "business_date",
        "file_number",
        "line_number",
        "call_id",
        "leg_no",
        "offered_at",
        "queued_at",
        "answered_at",
        "ended_at",
        "caller_key",
        "caller_prefix",
        "dialled_number",
        "market",
        "customer_key",
        "line_department",
        "site_code",
        "queue_code",
        "outcome",
        "agent_key",
        "hold_s",
        "talk_s",
        "wrap_up_s",
        "transferred_to",
        "reason_code",
        "satisfaction",
        "recommend",
        "customer_identity",
        "caller_identity",
        "row_identity",
    ]


def test_only_the_routing_schema_keeps_numbers() -> None:
    assignments = FEEDS["line_assignments"]
    assert [column.name for column in assignments.stored_columns] == [
        "caller_key",
        "department_code",
        "reason",
        "valid_from",
        "valid_to",
    ]
    assert [column.name for column in assignments.number_table_columns] == [
        "number",
        "department_code",
        "reason",
        "valid_from",
        "valid_to",
    ]
    for feed in FEEDS.values():
        personal = {column.name for column in feed.file_columns if column.personal}
        assert not personal & {column.name for column in feed.stored_columns}


@pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.name)
def test_a_declaration_names_only_what_it_declares(feed: Feed) -> None:
    columns = {column.name: column for column in feed.file_columns}
    named = {*feed.key, *chain(*feed.in_order), *(derived.source for derived in feed.derived_columns)}
    named |= {name for need in feed.needs for name in (need.column, *need.needed)}
    named |= {feed.dated_by} if feed.dated_by else set()
    pseudonyms = {derived.name for derived in feed.derived_columns if derived.by is Derivation.KEY}
    assert named <= columns.keys() | pseudonyms
    assert not any(columns[name].nullable for name in feed.key)
    assert sum(columns[name].is_free for name in feed.key) <= 1, "one free text identifies a row"
    assert all(column.nullable for column in feed.file_columns if column.since or column.until)
    names = [column.name for column in (*feed.stored_columns, *feed.file_columns)]
    assert all(column.description for column in feed.columns)
    assert len(set(feed.columns)) == len(feed.columns)
    assert (feed.keeping is Keeping.RANGES) == bool(feed.number_table)
    assert set(feed.stored_key) <= set(names)


@pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.name)
def test_no_key_column_is_masked(feed: Feed) -> None:
    masked = {column.name for column in feed.file_columns if column.is_code or column.masked_unless}
    assert not masked & {*feed.key}


def test_a_derived_column_is_empty_where_its_source_may_be() -> None:
    nullable = {
        name: {column.name for column in feed.stored_columns if column.nullable}
        for name, feed in FEEDS.items()
    }
    derived = {column.name for column in FEEDS["calls"].columns if isinstance(column, Derived)}
    assert derived <= nullable["calls"]
    assert "caller_key" not in nullable["line_assignments"]


def test_an_unknown_feed_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        feeds.UnknownFeed,
        match=f"no feed is called `call`.*{', '.join(sorted(FEEDS))}",
    ):
        feeds.get("call")
