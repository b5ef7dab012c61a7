"""Who is at work: advisory locks as the server knows them."""

from __future__ import annotations

from typing import Any

import psycopg


def is_locked(connection: psycopg.Connection[Any], lock: int) -> bool:
    """Whether a session of this warehouse holds the advisory lock."""
    row = connection.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
        "and database = (select oid from pg_database where datname = current_database()) "
        "and (classid::bigint << 32) | objid::bigint = %s)",
        [lock],
    ).fetchone()
    return bool(row and row[0])
