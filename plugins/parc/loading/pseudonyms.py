"""The key of the pseudonyms: the warehouse knows its fingerprint and takes no load under another."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from psycopg import Connection
from psycopg.errors import UndefinedTable

from parc.errors import ConfigurationError
from parc.settings import Settings

LEAST_CHARACTERS = 32
"""Of a key. All numbers of the nation are tried in seconds, so the key alone stands between a pseudonym and a
name: 32 characters at random (`openssl rand -hex 16`) are 128 bits."""

LEAST_DIFFERENT = 8
"""Characters of a key that differ: a repeated word is no key."""

_TEXT = b"fingerprint of the pseudonym key"  # no reference or number: it is nobody's pseudonym


def check_key(connection: Connection[Any], settings: Settings) -> None:
    """See that these settings have the key that the warehouse was loaded with, if it was.

    Raises ConfigurationError under another key, where an empty warehouse would begin with a weak one, or
    where the schema is older than this table.
    """
    try:
        row = connection.execute("select fingerprint, recorded_at::date from ops.pseudonym_key").fetchone()
    except UndefinedTable:
        raise ConfigurationError(
            "the warehouse's schema is older than the platform; `parc up --no-airflow` brings it up to date"
        ) from None
    ours = _fingerprint(settings)
    if row and not hmac.compare_digest(row[0], ours):
        raise ConfigurationError(
            "PARC_PSEUDONYM_SECRET is not the key that this warehouse has been loaded with since "
            f"{row[1]} (fingerprint {ours[:8]}, not {row[0][:8]}): under another key every person would be "
            f"another; set the former one (where the variable is unset, {settings.home}/secrets/"
            "pseudonym_secret holds it), or load into an empty warehouse"
        )
    if not row and (why := weakness(settings)):
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
    connection.execute(
        "insert into ops.pseudonym_key (fingerprint) values (%s) on conflict do nothing",
        [_fingerprint(settings)],
    )
    check_key(connection, settings)


def _fingerprint(settings: Settings) -> str:
    return hmac.new(settings.pseudonym_secret, _TEXT, hashlib.sha256).hexdigest()
