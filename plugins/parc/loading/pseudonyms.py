"""The pseudonyms of a load: the warehouse knows the fingerprint of their keys and takes no load under others,
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
from parc.ledger import people, write_people
from parc.ledger.people import Listed
from parc.pseudonyms import NEXT_OUTER_KEY, SURROGATES, Pseudonyms
from parc.settings import Settings
from parc.warehouse import partitions, persons
from parc.warehouse.partitions import Table

COPY = "forgotten.json"
"""In the platform's folder: who was forgotten, as keyed digests alone."""

LEAST_CHARACTERS = 32
"""Of a key. All numbers of the nation are tried in seconds, so the key alone stands between a pseudonym and a
name: 32 characters at random (`openssl rand -hex 16`) are 128 bits."""

LEAST_DIFFERENT = 8
"""Characters of a key that differ: a repeated word is no key."""


def check_key(connection: Connection[Any], settings: Settings) -> None:
    """See that these settings have the key that the warehouse was loaded with, if it was.

    Raises ConfigurationError under another key, where an empty warehouse would begin with a weak one, or
    where the schema is older than this table.
    """
    try:
        key = people.key(connection)
    except UndefinedTable:
        raise ConfigurationError(
            "the warehouse's schema is older than the platform; `parc up --no-airflow` brings it up to date"
        ) from None
    ours = Pseudonyms.of_settings(settings).fingerprint
    is_another = key and not hmac.compare_digest(key.fingerprint, ours)
    if is_another and settings.secret_file(NEXT_OUTER_KEY).exists():
        raise ConfigurationError(
            "a change of the pseudonyms' keys was cut short; `parc secret rotate` brings it to its end"
        )
    if key and is_another:
        raise ConfigurationError(
            "PARC_PSEUDONYM_SECRET is not the key that this warehouse has been loaded with since "
            f"{key.recorded_on} (fingerprint {ours[:8]}, not {key.fingerprint[:8]}): under "
            "another key every person would be "
            f"another; set the former one (where the variable is unset, {settings.home}/secrets/"
            "pseudonym_secret holds it), or load into an empty warehouse"
        )
    if not key and (why := weakness(settings)):
        raise ConfigurationError(why)


def weakness(settings: Settings) -> str | None:
    """Why the key is too easily guessed, and the way out; None where it is not."""
    key = settings.pseudonym_secret.decode(errors="replace")
    if len(key) >= LEAST_CHARACTERS and len(set(key)) >= LEAST_DIFFERENT:
        return None
    return (
        f"PARC_PSEUDONYM_SECRET is too easily guessed: at least {LEAST_CHARACTERS} characters, "
        f"{LEAST_DIFFERENT} of them different, keep a pseudonym from being turned into a name; "
        "`openssl rand -hex 32` makes one"
    )


def keep_key(connection: Connection[Any], settings: Settings) -> None:
    """Record the key's fingerprint where there is none, and check it: of two first loads at once one counts.

    Raises ConfigurationError under another key than the one recorded.
    """
    write_people.keep_key(connection, Pseudonyms.of_settings(settings).fingerprint)
    check_key(connection, settings)


def of_load(connection: Connection[Any], settings: Settings) -> Pseudonyms:
    """How one load makes pseudonyms: everybody who was forgotten gets a surrogate of its own in each load.

    Asked for under the lock of the load: whoever is forgotten later waits for the load's end.
    """
    forgotten = people.forgotten(connection).keys() | kept_list(settings).keys()
    return Pseudonyms.of_settings(settings).forgetting(forgotten)


def kept_list(settings: Settings, keys: Pseudonyms | None = None) -> dict[UUID, Listed]:
    """Who was forgotten, by the platform's own copy of the list: the warehouse's may be that of a dump from
    before. `keys` are those that it is made under, the settings' where not given.

    Raises ConfigurationError where the copy was made under other keys, or is damaged.
    """
    path = settings.home / COPY
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
        fingerprint = kept["fingerprint"]
        listed = {
            UUID(pseudonym): Listed(kind, UUID(person))
            for pseudonym, (kind, person) in kept["forgotten"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(
            f"{path} is damaged: it names who was forgotten. Put back what a backup has of it; where the "
            "warehouse is no dump from before, delete it, and `parc forget` writes it anew"
        ) from None
    if fingerprint != (keys or Pseudonyms.of_settings(settings)).fingerprint:
        raise ConfigurationError(
            f"{path} was written under other keys of pseudonyms than those that are set; where a change of "
            "keys was cut short, `parc secret rotate` brings it to its end"
        )
    return listed


def check_list(connection: Connection[Any], settings: Settings) -> str:
    """How many pseudonyms are on the list.

    Raises ConfigurationError where the warehouse lacks some that the platform's own copy has.
    """
    listed = people.forgotten(connection)
    if missing := kept_list(settings).keys() - listed.keys():
        raise ConfigurationError(
            f"{len(missing)} pseudonyms of {settings.home / COPY} are not in the warehouse, which may hold "
            "these people again; `parc forget --again` makes it forget them"
        )
    return f"{len(listed)} pseudonyms are forgotten"


def keep_surrogates(connection: Connection[Any], feed: Feed, table: Table, pseudonyms: Pseudonyms) -> None:
    """Give the rows of forgotten persons in `table` the surrogates that the same rows have in what is
    published, so that a restatement leaves repeats as they were.

    Rows are found by the feed's key alone. All rows of a person follow the first that is found.
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
            holder = persons.Holder(table, (column.name,), tuple(identities))
            persons.renew(connection, holder, persons.make_renewed(connection, dict(found)))
            connection.execute("drop table renewed")
