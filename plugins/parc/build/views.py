"""Views that a build drops before it makes them anew."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from parc.errors import BuildFailed


def drop(connection: psycopg.Connection[Any], schema: str, name: str) -> None:
    """Drop a view if it exists; raises BuildFailed if a view of somebody else reads it."""
    try:
        connection.execute(sql.SQL("drop view if exists {}").format(sql.Identifier(schema, name)))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise BuildFailed(
            f"{schema}.{name} changes, but is still used: {error.diag.message_detail}; "
            "change what uses it first"
        ) from None
