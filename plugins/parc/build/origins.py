"""Finds where the rows that broke a build come from: the deliveries, and the line if a row has its key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import psycopg

from parc.feeds import FEEDS, Feed
from parc.ledger import build_inputs
from parc.ledger.build_inputs import Origin

MOST_FOUND = 20


def find(
    connection: psycopg.Connection[Any], feeds: Collection[str], rows: Sequence[dict[str, Any]]
) -> list[Origin]:
    """The deliveries of these feeds that may have broken a node, from its failing rows; at most MOST_FOUND.

    A row with the key of a fact feed is located in its file. For other rows, the delivery of their date is
    given if the feed's dates are those of its rows. Otherwise, or without any rows, it is what no published
    build has read yet.
    """
    facts = [FEEDS[name] for name in FEEDS if name in feeds and FEEDS[name].is_daily]
    found = [origin for feed in facts for row in rows for origin in _of_row(connection, feed, row)]
    if not found:
        dates = {row["business_date"] for row in rows if row.get("business_date")}
        dated = {feed.name for feed in facts if feed.dated_by} if dates else set()
        found = build_inputs.published_on(connection, dated, dates, MOST_FOUND)
        found += build_inputs.published_since_build(connection, set(feeds) - dated, MOST_FOUND)
    return sorted(set(found), key=lambda origin: (origin.feed, origin.business_date, origin.line or 0))[
        :MOST_FOUND
    ]


def _of_row(connection: psycopg.Connection[Any], feed: Feed, row: dict[str, Any]) -> list[Origin]:
    name = feed.identifier
    if name is None or row.get(name) is None:
        return []
    day = row.get("business_date") if feed.dated_by else None
    return build_inputs.origins_of_key(connection, feed.name, name, row[name], day, MOST_FOUND)
