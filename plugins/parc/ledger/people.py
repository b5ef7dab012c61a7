"""What the ledger knows about people, as pseudonyms only: the fingerprint of the key, who was forgotten, and
who is named in the record of releases. Read from `ops.pseudonym_key`, `ops.forgotten` and
`ops.routing_change`."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection, sql
from psycopg.rows import class_row, scalar_row

NUMBER_KEY = "left(replace(row_key ->> 'number_key', '-', ''), 32)::uuid"
"""The pseudonym in a row of `ops.routing_change`; the oldest rows have all 64 digits of the HMAC."""


class PseudonymKey(NamedTuple):
    """The fingerprint of the keys of all pseudonyms, and the day on which it was recorded."""

    fingerprint: str
    recorded_on: date


class ForgottenPseudonym(NamedTuple):
    """What a forgotten pseudonym denotes: a customer, number or line (`kind`) of a person."""

    kind: str
    person: UUID


def key(connection: Connection[Any]) -> PseudonymKey | None:
    """The key that the warehouse was loaded with; None before the first load."""
    with connection.cursor(row_factory=class_row(PseudonymKey)) as cursor:
        return cursor.execute(
            "select fingerprint, recorded_at::date as recorded_on from ops.pseudonym_key"
        ).fetchone()


def forgotten(connection: Connection[Any]) -> dict[UUID, ForgottenPseudonym]:
    """The pseudonyms of forgotten people."""
    rows = connection.execute("select pseudonym, kind, person from ops.forgotten")
    return {pseudonym: ForgottenPseudonym(kind, person) for pseudonym, kind, person in rows}


def named_in_releases(connection: Connection[Any]) -> list[UUID]:
    """The pseudonyms in the record of what releases changed."""
    query = f"select distinct {NUMBER_KEY} from ops.routing_change where row_key ? 'number_key'"
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def identity_of(pseudonym: sql.Composable) -> sql.Composed:
    """SQL for the identity that is derived from a pseudonym."""
    return sql.SQL("ops.identity_of({})").format(pseudonym)
