"""Quarantine: rows of deliveries that broke a rule, and another try once the rule or the data is mended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg.rows import class_row, dict_row

from parc import feeds, storage
from parc.errors import ConfigurationError, DeliveryRefused
from parc.loading.ingestion import Outcome, ingest
from parc.loading.names import told
from parc.settings import Settings
from parc.warehouse import connect

MOST_SHOWN = 1_000


@dataclass(frozen=True)
class Held:
    """Rows of one delivery that broke one rule; `first_line` is where the first of them stands."""

    delivery_id: int
    feed: str
    business_date: date
    status: str
    column_name: str | None
    reason: str
    row_count: int
    first_file: str
    first_line: int


def held(settings: Settings, feed: str | None = None, business_date: date | None = None) -> list[Held]:
    """What is in quarantine, by delivery and rule, the newest delivery first; not of those superseded or
    withdrawn.

    Raises UnknownFeed.
    """
    if feed:
        feeds.get(feed)
    with connect(settings, "reader") as connection, connection.cursor(row_factory=class_row(Held)) as cursor:
        return cursor.execute(
            """
            select
                delivery_id,
                feed,
                business_date,
                status,
                column_name,
                held.reason,
                count(*) as row_count,
                (array_agg(file_name order by file_name, line_number))[1] as first_file,
                (array_agg(line_number order by file_name, line_number))[1] as first_line
            from ops.quarantine as held
            inner join ops.delivery using (delivery_id)
            where status not in ('superseded', 'withdrawn')
                and (%(feed)s::text is null or feed = %(feed)s)
                and (%(day)s::date is null or business_date = %(day)s)
            group by delivery_id, feed, business_date, status, column_name, held.reason
            order by delivery_id desc, row_count desc, held.reason
            """,
            {"feed": feed, "day": business_date},
        ).fetchall()


def rows(settings: Settings, delivery_id: int, limit: int = MOST_SHOWN) -> list[dict[str, Any]]:
    """The rows of a delivery that broke a rule: file_name, line_number, column_name, reason, row_text, in
    their order, personal columns masked.

    Raises ConfigurationError when there is no such delivery.
    """
    with connect(settings, "reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        known = cursor.execute("select from ops.delivery where delivery_id = %s", [delivery_id])
        if known.rowcount == 0:
            raise ConfigurationError(f"there is no delivery {delivery_id}: `parc quarantine list`")
        return cursor.execute(
            "select file_name, line_number, column_name, reason, row_text from ops.quarantine "
            "where delivery_id = %s order by file_name, line_number limit %s",
            [delivery_id, limit],
        ).fetchall()


def verdict(settings: Settings, delivery_id: int) -> str:
    """What became of a delivery: its feed, date and status, and why it was refused."""
    with connect(settings, "reader") as connection:
        row = connection.execute(
            "select feed, business_date, status, reason from ops.delivery where delivery_id = %s",
            [delivery_id],
        ).fetchone()
    assert row is not None
    feed, business_date, status, reason = row
    return f"{feed} {business_date}, {status}" + (f": {reason}" if reason else "")


def uris(settings: Settings, delivery_id: int) -> list[str]:
    """Where the files of a delivery lay when they were looked at last."""
    with connect(settings, "reader") as connection:
        found = connection.execute(
            "select jsonb_path_query(files, '$[*].uri') #>> '{}' from ops.delivery where delivery_id = %s",
            [delivery_id],
        ).fetchall()
    return [uri for (uri,) in found]


def replay(settings: Settings, delivery_id: int) -> Outcome:
    """Read a delivery's files again, by the rules of now, and publish what they let through.

    The result is a delivery of its own that replaces the former one, with counts of its own; done twice, the
    second finds the same rows.

    Raises DeliveryRefused when the files are not there any more, another delivery has taken its place, or its
    dates are past retention; as `ingest` otherwise.
    """
    with connect(settings, "reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            """
            select one.feed, one.business_date, one.status, one.files, one.landed_at, one.expired_at,
                current.delivery_id as current_id
            from ops.delivery as one
            left join ops.delivery as current
                on one.feed = current.feed and one.business_date = current.business_date
                and current.status = 'published'
            where one.delivery_id = %s
            """,
            [delivery_id],
        ).fetchone()
    if found is None:
        raise ConfigurationError(f"there is no delivery {delivery_id}: `parc quarantine list`")
    subject = f"delivery {delivery_id} ({found['feed']} {found['business_date']})"
    if found["status"] == "superseded":
        raise DeliveryRefused(
            f"{subject} was replaced by delivery {found['current_id']}: "
            f"`parc quarantine replay {found['current_id']}`"
        )
    if found["expired_at"] is not None:
        raise DeliveryRefused(
            f"{subject} is past retention: its rows were dropped on {found['expired_at']:%Y-%m-%d}, the "
            "figures stay as they were published"
        )
    gone = _gone([file["uri"] for file in found["files"]])
    if gone:
        raise DeliveryRefused(
            f"{subject} cannot be read again: {', '.join(gone)}, which landed on "
            f"{found['landed_at']:%Y-%m-%d}, is no longer there. Have it sent again, then "
            f"`parc ingest {found['feed']} --date {found['business_date']}`"
        )
    return ingest(settings, found["feed"], found["business_date"], is_replay=True)


def _gone(uris: list[str]) -> list[str]:
    """Which of a delivery's files, all of one folder, are not there any more."""
    if not uris:
        return []
    with storage.opened(uris[0].rpartition("/")[0]) as folder:
        there = {told(entry.name) for entry in folder.entries()} if folder.has("") else set()
        return [uri for uri in uris if uri.rpartition("/")[2] not in there]
