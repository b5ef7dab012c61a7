"""What is written about people: the fingerprint of the pseudonym key, who was forgotten, and a record of
both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from parc.ledger.people import NUMBER_KEY, ForgottenPseudonym


def keep_key(connection: Connection[Any], fingerprint: str) -> None:
    """Record the pseudonym key if none is recorded yet; of two concurrent first loads, one wins."""
    connection.execute(
        "insert into ops.pseudonym_key (fingerprint) values (%s) on conflict do nothing", [fingerprint]
    )


def change_key(connection: Connection[Any], fingerprint: str) -> None:
    """Record a new pseudonym key."""
    connection.execute("update ops.pseudonym_key set fingerprint = %s, recorded_at = now()", [fingerprint])


def forget(connection: Connection[Any], listed: Mapping[UUID, ForgottenPseudonym]) -> None:
    """Add pseudonyms to the list of forgotten ones; no later load stores them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.forgotten (pseudonym, kind, person) values (%s, %s, %s) "
            "on conflict (pseudonym) do update set person = excluded.person",
            [(pseudonym, *each) for pseudonym, each in listed.items()],
        )


def renew_forgotten(connection: Connection[Any], renewed: sql.Identifier) -> None:
    """Replace old pseudonyms on that list by new ones; `renewed` is a table of pairs (old, new)."""
    connection.execute(
        sql.SQL("update ops.forgotten set pseudonym = new from {} where pseudonym = old").format(renewed)
    )


def renew_named_in_releases(connection: Connection[Any], renewed: sql.Identifier) -> int:
    """Replace them in the record of what releases changed; returns the number of rows. Only the owner of the
    record can do this, as it is append-only for everyone else."""
    connection.execute("alter table ops.routing_change disable trigger append_only")
    count = connection.execute(
        sql.SQL(
            "update ops.routing_change set row_key = jsonb_build_object('number_key', renewed.new) "
            f"from {{}} as renewed where row_key ? 'number_key' and renewed.old = {NUMBER_KEY}"
        ).format(renewed)
    ).rowcount
    connection.execute("alter table ops.routing_change enable trigger append_only")
    return count


def note_forgetting(
    connection: Connection[Any],
    event: Literal["forgotten", "keys changed"],
    *,
    requested_by: str,
    reason: str,
    row_counts: Mapping[str, int],
) -> None:
    """Record that somebody was forgotten, or that the keys were changed: who asked, why, and the rows written
    by table."""
    connection.execute(
        "insert into ops.forgetting (event, requested_by, reason, row_counts) values (%s, %s, %s, %s)",
        [event, requested_by, reason, Jsonb(dict(row_counts))],
    )
