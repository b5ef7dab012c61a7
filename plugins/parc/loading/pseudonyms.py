"""The pseudonyms of a load. The warehouse knows the fingerprint of the key and refuses loads under another,
and it knows who was forgotten.
"""

from __future__ import annotations

import hmac
import json
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from psycopg.errors import UndefinedTable

from parc.errors import ConfigurationError
from parc.feeds import Derivation, Feed
from parc.findings import Step
from parc.ledger import people, write_people
from parc.ledger.people import ForgottenPseudonym
from parc.pseudonyms import NEXT_OUTER_KEY, SURROGATES, Pseudonyms
from parc.settings import Settings
from parc.warehouse import partitions, persons
from parc.warehouse.partitions import Table
from parc.wording import counted

ROTATE = Step("complete the rotation", "parc secret rotate")
STRONG_KEY = Step("make a key for PARC_PSEUDONYM_SECRET", "openssl rand -hex 32")
COPY = "forgotten.json"
"""File in the platform's folder that lists who was forgotten, as keyed digests only."""

LEAST_CHARACTERS = 32
"""Shortest key. All numbers of the nation can be tried in seconds, so only the key protects a pseudonym: 32
random hexadecimal characters (`openssl rand -hex 16`) are 128 bits."""

LEAST_DIFFERENT = 8
"""Fewest distinct characters of a key: a repeated word is not a key."""


def check_key(connection: Connection[Any], settings: Settings) -> None:
    """Check that the settings have the key that the warehouse was loaded with, if any.

    Raises ConfigurationError if the key is another, if an empty warehouse would start with a weak key, or if
    the schema lacks the table of the key.
    """
    try:
        key = people.key(connection)
    except UndefinedTable:
        raise ConfigurationError(
            "the warehouse's schema is older than the platform",
            steps=(Step("apply what is missing", "parc up --no-airflow"),),
        ) from None
    ours = Pseudonyms.of_settings(settings).fingerprint
    is_another = key and not hmac.compare_digest(key.fingerprint, ours)
    if is_another and settings.secret_file(NEXT_OUTER_KEY).exists():
        raise ConfigurationError("a rotation of the pseudonyms' key was interrupted", steps=(ROTATE,))
    if key and is_another:
        raise ConfigurationError(
            "PARC_PSEUDONYM_SECRET is not the key that this warehouse has been loaded with since "
            f"{key.recorded_on} (fingerprint {ours[:8]}, not {key.fingerprint[:8]}), and under another "
            "key every person would be a new one; set the former one (if the variable was unset, it is in "
            f"{settings.home}/secrets/pseudonym_secret), or load into an empty warehouse"
        )
    if not key and (why := weakness(settings)):
        raise ConfigurationError(why, steps=(STRONG_KEY,))


def weakness(settings: Settings) -> str | None:
    """Why the key is too easy to guess; None if it is strong. STRONG_KEY is the remedy."""
    key = settings.pseudonym_secret.decode(errors="replace")
    if len(key) >= LEAST_CHARACTERS and len(set(key)) >= LEAST_DIFFERENT:
        return None
    return (
        "PARC_PSEUDONYM_SECRET is too easy to guess, so pseudonyms could be turned back into names: it needs "
        f"at least {LEAST_CHARACTERS} characters, {LEAST_DIFFERENT} of them different"
    )


def keep_key(connection: Connection[Any], settings: Settings) -> None:
    """Record the key's fingerprint if there is none, and check it; of two simultaneous first loads one wins.

    Raises ConfigurationError if another key is recorded.
    """
    write_people.keep_key(connection, Pseudonyms.of_settings(settings).fingerprint)
    check_key(connection, settings)


def of_load(connection: Connection[Any], settings: Settings) -> Pseudonyms:
    """The pseudonyms for one load; every forgotten person gets a new surrogate in each load.

    Call it under the lock of the load, so that whoever is forgotten later waits for the load to end.
    """
    forgotten = people.forgotten(connection).keys() | forgotten_copy(settings).keys()
    return Pseudonyms.of_settings(settings).forgetting(forgotten)


def forgotten_copy(settings: Settings, keys: Pseudonyms | None = None) -> dict[UUID, ForgottenPseudonym]:
    """Who was forgotten according to the platform's own copy of the list, since the warehouse may have been
    restored from an older dump. `keys` are those that the copy was made with, by default the settings'.

    Raises ConfigurationError if the copy was made with other keys, or is damaged.
    """
    path = settings.home / COPY
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
        fingerprint = kept["fingerprint"]
        listed = {
            UUID(pseudonym): ForgottenPseudonym(kind, UUID(person))
            for pseudonym, (kind, person) in kept["forgotten"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(
            f"{path}, the list of who was forgotten, is damaged",
            steps=(
                Step("restore it from a backup"),
                Step(
                    "unless the warehouse was restored from an older dump, delete it and write a new one",
                    "parc forget",
                    is_alternative=True,
                ),
            ),
        ) from None
    if fingerprint != (keys or Pseudonyms.of_settings(settings)).fingerprint:
        raise ConfigurationError(
            f"{path} was written under other keys of pseudonyms than those that are set",
            steps=(Step("complete the rotation if one was interrupted", ROTATE.command),),
        )
    return listed


def check_list(connection: Connection[Any], settings: Settings) -> str:
    """How many pseudonyms are on the list, as a sentence.

    Raises ConfigurationError if the platform's own copy has some that the warehouse lacks.
    """
    listed = people.forgotten(connection)
    if missing := forgotten_copy(settings).keys() - listed.keys():
        raise ConfigurationError(
            f"the warehouse lacks {counted(len(missing), 'pseudonym')} of {settings.home / COPY}, so it may "
            "hold these people again",
            steps=(Step("forget them again", "parc forget --again"),),
        )
    return counted(len(listed), "pseudonym is forgotten", "pseudonyms are forgotten")


def keep_surrogates(connection: Connection[Any], feed: Feed, table: Table, pseudonyms: Pseudonyms) -> None:
    """Give rows of forgotten persons in `table` the surrogates that the same rows have in the published data,
    so that a restatement does not change repeats.

    Rows are matched by the feed's key only. All rows of a person take the surrogate of the first match.
    """
    keys = [column for column in feed.derived_columns if column.by is Derivation.KEY]
    if not pseudonyms.forgotten or feed.loaded_key != feed.stored_key:
        return
    surrogates = list(pseudonyms.forgotten.values())
    with connection.transaction():
        for column in keys:
            names = {
                "column": sql.Identifier(column.name),
                "table": table.identifier,
                "published": partitions.parent(feed).identifier,
                "same": sql.SQL(" and ").join(
                    sql.SQL("loaded.{0} = published.{0}").format(sql.Identifier(name))
                    for name in ("business_date", *feed.stored_key)
                ),
                "is_kept": sql.SQL(SURROGATES.format("published.{}")).format(sql.Identifier(column.name)),
            }
            found = connection.execute(
                sql.SQL(
                    "select distinct on (loaded.{column}) loaded.{column}, published.{column} "
                    "from {table} as loaded inner join {published} as published on {same} "
                    "where loaded.{column} = any (%s) and {is_kept} order by loaded.{column}"
                ).format(**names),
                [surrogates],
            ).fetchall()
            identities = [
                each.name
                for each in feed.derived_columns
                if each.by is Derivation.IDENTITY and each.source == column.name
            ]
            holder = persons.PersonTable(table, (column.name,), tuple(identities))
            persons.renew(connection, holder, persons.make_renewed(connection, dict(found)))
            connection.execute("drop table renewed")
