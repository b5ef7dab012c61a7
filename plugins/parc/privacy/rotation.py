"""The keys of the pseudonyms are changed: everything that is stored is brought along, in one transaction.

The secret that hashes numbers and references stays; the outer key, which enciphers what it makes, is another
one afterwards. So neither a number nor a reference is needed, who was forgotten stays forgotten, and whoever
has a former key can make no pseudonym that is stored now.

A new outer key that the platform makes itself waits beside the old one until the warehouse has it: a run that
is cut short is gone on from.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from parc.errors import ConfigurationError
from parc.ledger import locks, people, write_people
from parc.ledger.people import Listed
from parc.loading.pseudonyms import check_key, kept_list
from parc.numbers import remark
from parc.privacy.forgetting import keep_copy, vacuum, without_loads
from parc.pseudonyms import NEXT_OUTER_KEY, OUTER_KEY, Pseudonyms
from parc.settings import Settings, given_secret
from parc.warehouse import connect, persons
from parc.warehouse.partitions import Table

AT_ONCE = 100_000

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Rotated:
    """What was done: the pseudonyms that were renewed and the rows written by table, none where the warehouse
    had the new key already. `is_given`: the new key comes from outside and must take the old one's place
    there."""

    pseudonym_count: int
    row_counts: dict[str, int]
    is_given: bool


def rotate(settings: Settings, *, requested_by: str, reason: str) -> Rotated:
    """Change the outer key to `PARC_PSEUDONYM_OUTER_KEY_NEXT`, or where that is not set, to one made here.

    Raises ConfigurationError when the warehouse has other keys than the settings, or the outer key comes from
    outside and no next one does; Busy while loads, builds or releases run.
    """
    former = Pseudonyms.of_settings(settings)
    is_given = given_secret(f"PARC_{NEXT_OUTER_KEY.upper()}") is not None
    if given_secret(f"PARC_{OUTER_KEY.upper()}") and not is_given:
        raise ConfigurationError(
            f"PARC_{OUTER_KEY.upper()} comes from outside: give the next one as "
            f"PARC_{NEXT_OUTER_KEY.upper()} (`openssl rand -hex 32` makes one)"
        )
    key = settings.secret(NEXT_OUTER_KEY)
    new = Pseudonyms(former.secret, key.encode())
    with connect(settings, "admin", autocommit=True) as connection:
        if _has_fingerprint(connection, new):  # a run was cut short after its transaction
            counts: dict[str, int] = {}
            renewed_count = 0
        else:
            check_key(connection, settings)
            releasing = "a routing release is running; run this again when it has ended"
            with without_loads(connection), locks.held(connection, locks.ROUTING, releasing):
                renewed_count, counts = _renew(connection, former, new, requested_by, reason)
        keep_copy(settings, connection, new.fingerprint, _kept_anew(settings, former, new))
        if not is_given:
            settings.secret_file(NEXT_OUTER_KEY).replace(settings.secret_file(OUTER_KEY))
    return Rotated(renewed_count, counts, is_given)


def _renew(
    connection: Connection, former: Pseudonyms, new: Pseudonyms, requested_by: str, reason: str
) -> tuple[int, dict[str, int]]:
    with connection.transaction():
        locks.keep(connection, locks.RANGES)
        holders = persons.holders(connection)
        connection.execute("create temp table pseudonym (old uuid) on commit drop")
        for holder in holders:
            for column in holder.pseudonyms:
                connection.execute(
                    sql.SQL(
                        "insert into pseudonym select distinct {0} from {1} where {0} is not null"
                    ).format(sql.Identifier(column), holder.table.identifier)
                )
        renewed = persons.make_renewed(connection, {})
        count = 0
        for pseudonyms in _parts(connection):
            persons.add_renewed(connection, zip(pseudonyms, new.renew(pseudonyms, former), strict=True))
            count += len(pseudonyms)
        connection.execute("analyze renewed")
        counts: dict[str, int] = {}
        for holder in holders:
            counts[str(holder.table)] = persons.renew(connection, holder, renewed)
        counts["ops.routing_change"] = write_people.renew_named_in_releases(connection, renewed.identifier)
        write_people.renew_forgotten(connection, renewed.identifier)
        write_people.change_key(connection, new.fingerprint)
        write_people.note_forgetting(
            connection,
            "keys changed",
            requested_by=remark(requested_by),
            reason=remark(reason),
            row_counts=counts,
        )
    written = [holder.table for holder in holders if counts[str(holder.table)]]
    vacuum(connection, [*written, Table("ops", "routing_change")])
    return count, {table: rows for table, rows in counts.items() if rows}


def _kept_anew(settings: Settings, former: Pseudonyms, new: Pseudonyms) -> dict[UUID, Listed]:
    """The platform's own copy of the list under the new keys. It has them already where a run was cut short,
    or where a dump from before an earlier change is brought along."""
    try:
        return kept_list(settings, new)
    except ConfigurationError:
        kept = kept_list(settings, former)
        return dict(zip(new.renew([*kept], former), kept.values(), strict=True))


def _parts(connection: Connection) -> Iterator[list[UUID]]:
    """All pseudonyms, each once."""
    of_ledger = [*people.forgotten(connection), *people.named_in_releases(connection)]
    with connection.cursor() as cursor, cursor.copy("copy pseudonym from stdin") as copy:
        for pseudonym in of_ledger:
            copy.write_row([pseudonym])
    with connection.cursor("pseudonyms") as cursor:
        cursor.execute("select distinct old from pseudonym")
        while rows := cursor.fetchmany(AT_ONCE):
            yield list(itertools.chain.from_iterable(rows))


def _has_fingerprint(connection: Connection, pseudonyms: Pseudonyms) -> bool:
    key = people.key(connection)
    return key is not None and secrets.compare_digest(key.fingerprint, pseudonyms.fingerprint)
