"""The platform's locks: rows of `ops.lock`, which readers have no right to write.

A session holds a lock for its lifetime by entering itself in the row; a transaction holds one by locking the
row. Advisory locks are unsuitable, because any login of the database may take them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import psycopg
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_random

from parc.errors import Busy

BUILD = "build"
NIGHT = "night"
ROUTING = "routing"
WEEKLY_MAIL = "weekly mail"

RAW_TABLES = "raw tables"
"""Held to the end of the transaction by whoever creates a raw table."""

RANGES = "ranges"
"""Held to the end of the transaction by whoever writes ranges."""

SEARCH = "search"
"""Held by a search for a person in the landing zone, which has the copies of its files to itself."""

READING = "reading"
"""Held by a build while it reads the raw tables, and by whoever drops published rows from them."""


def of_load(feed: str, business_date: date) -> str:
    """The lock that a load of the feed and date holds while it runs."""
    return f"load {feed} {business_date}"


@contextmanager
def held(
    connection: psycopg.Connection[Any], name: str, busy: str, *, patience_seconds: float = 0
) -> Iterator[None]:
    """Hold the lock in the session of `connection` (in autocommit) until the block or the session ends.

    Raises Busy with the message `busy` if another session still holds it after `patience_seconds`.
    """
    tries = Retrying(
        retry=retry_if_result(lambda is_taken: not is_taken),
        wait=wait_random(0.05, 0.2),
        stop=stop_after_delay(patience_seconds),
        retry_error_callback=lambda state: False,
    )
    if not tries(_take, connection, name):
        raise Busy(busy)
    try:
        yield
    finally:
        # If the session is lost, the lock is free already.
        with suppress(psycopg.OperationalError):
            connection.execute(
                "update ops.lock set pid = null, session_started_at = null "
                "where name = %s and pid = pg_backend_pid()",
                [name],
            )


def keep(connection: psycopg.Connection[Any], name: str) -> None:
    """Wait for the lock, and hold it to the end of the transaction."""
    connection.execute("select from ops.lock where name = %s for update", [name])


def try_keep(connection: psycopg.Connection[Any], name: str) -> bool:
    """Hold the lock to the end of the transaction; False if a session or another transaction holds it."""
    connection.execute("insert into ops.lock (name) values (%s) on conflict do nothing", [name])
    free = connection.execute(
        "select 1 from ops.lock where name = %s and not ops.is_session(pid, session_started_at) "
        "for update skip locked",
        [name],
    )
    return free.fetchone() is not None


def is_held(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether a session holds the lock."""
    row = connection.execute(
        "select exists (select from ops.lock where name = %s and ops.is_session(pid, session_started_at))",
        [name],
    ).fetchone()
    return bool(row and row[0])


def load_at_work(connection: psycopg.Connection[Any]) -> str | None:
    """The lock of one running load; None if nothing is being loaded."""
    row = connection.execute(
        "select name from ops.lock where starts_with(name, 'load ') "
        "and ops.is_session(pid, session_started_at) limit 1"
    ).fetchone()
    return row[0] if row else None


def keep_builds_out(connection: psycopg.Connection[Any]) -> None:
    """Keep builds from starting until the end of the transaction. Raises Busy if one reads the raw tables."""
    if not try_keep(connection, READING):
        raise Busy("a build reads the raw tables, or another maintenance run is running")


def _take(connection: psycopg.Connection[Any], name: str) -> bool:
    with connection.transaction():
        if not try_keep(connection, name):
            return False
        connection.execute(
            "update ops.lock set pid = pg_backend_pid(), session_started_at = "
            "(select backend_start from pg_stat_activity where pid = pg_backend_pid()) where name = %s",
            [name],
        )
        return True
