"""Where the rows come from that broke a build: the deliveries, and the line of a row that names its key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from parc.feeds import FEEDS, Feed, Keeping

MOST_FOUND = 20


@dataclass(frozen=True, order=True)
class Origin:
    """A published delivery; `file` and `line` are where the row stands, where that is known."""

    feed: str
    business_date: date
    delivery_id: int
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return asdict(self) | {"business_date": str(self.business_date)}


def find(
    connection: psycopg.Connection[Any], feeds: Collection[str], rows: Sequence[dict[str, Any]]
) -> list[Origin]:
    """The deliveries of these feeds that may have broken a node, by its broken rows; at most MOST_FOUND.

    A row that names the key of a fact feed is found in its file. Rows without one are made of what was
    delivered for their date, where a feed's dates are those of its rows; otherwise, as without any row, of
    what no published build has read yet.
    """
    facts = [FEEDS[name] for name in FEEDS if name in feeds and FEEDS[name].keeping is Keeping.DAYS]
    found = [origin for feed in facts for row in rows for origin in _of_row(connection, feed, row)]
    if not found:
        dates = {row["business_date"] for row in rows if row.get("business_date")}
        dated = {feed.name for feed in facts if feed.dated_by} if dates else set()
        found = _delivered(connection, dated, "business_date = any (%s::date[])", [list(dates)])
        found += _delivered(connection, set(feeds) - dated, "built_in is null")
    return sorted(set(found), key=lambda origin: (origin.feed, origin.business_date, origin.line or 0))[
        :MOST_FOUND
    ]


def _of_row(connection: psycopg.Connection[Any], feed: Feed, row: dict[str, Any]) -> list[Origin]:
    name = feed.identifier
    if name is None or row.get(name) is None:
        return []
    day = row.get("business_date") if feed.dated_by else None
    query = sql.SQL(
        "select stored.business_date, delivery_id, files -> (file_number - 1) ->> 'name', line_number "
        "from {table} as stored inner join ops.delivery as delivery "
        "on delivery.feed = %s and delivery.business_date = stored.business_date and status = 'published' "
        "where stored.{key} = %s {of_day} order by 1 desc, file_number, line_number limit {most}"
    ).format(
        table=sql.Identifier("raw", feed.name),
        key=sql.Identifier(name),
        of_day=sql.SQL("and stored.business_date = {}").format(sql.Literal(day)) if day else sql.SQL(""),
        most=sql.Literal(MOST_FOUND),
    )
    return [Origin(feed.name, *found) for found in connection.execute(query, [feed.name, row[name]])]


def _delivered(
    connection: psycopg.Connection[Any], feeds: set[str], condition: str, values: Iterable[Any] = ()
) -> list[Origin]:
    if not feeds:
        return []
    query = (
        "select feed, business_date, delivery_id, "
        "case jsonb_array_length(files) when 1 then files -> 0 ->> 'name' end "
        f"from ops.delivery where feed = any (%s) and status = 'published' and {condition} "
        f"order by delivery_id desc limit {MOST_FOUND}"
    )
    return [Origin(*found) for found in connection.execute(query.encode(), [list(feeds), *values])]
