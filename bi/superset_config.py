"""Superset's configuration, which it imports. `platform.json` in PARC_BI_HOME, which `parc bi` writes, says
where the warehouse is and who may log in."""

import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

HOME = Path(os.environ["PARC_BI_HOME"])
PLATFORM = json.loads((HOME / "platform.json").read_text())

SECRET_KEY = PLATFORM["secret_key"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}"
DATA_DIR = str(HOME)
SQLLAB_TIMEOUT = SUPERSET_WEBSERVER_TIMEOUT = 60

LANGUAGES = {
    "en": {"flag": "gb", "name": "English"},
    "fr": {"flag": "fr", "name": "Français"},
}
# The pages ask a host that counts visitors, whatever they are told (SCARF_ANALYTICS): browsers may load from
# this one alone.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'", "data:"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
# Guessing a password is slow, whatever the environment.
RATELIMIT_ENABLED = True
AUTH_RATE_LIMIT = "10 per minute"
RATELIMIT_STORAGE_URI = "memory://"

FEATURE_FLAGS = {
    # Nothing is cached. Should somebody add a cache, a figure of one login is not kept for another.
    "CACHE_QUERY_BY_USER": True,
}


def warehouse_login(roles: list[str]) -> str:
    """The login to the warehouse that a user's roles name: the one that begins with `bi_`."""
    logins = [role for role in roles if role in PLATFORM["warehouse_logins"]]
    if len(logins) != 1:
        raise PermissionError(
            f"a user needs exactly one role that is a login to the warehouse, not {len(logins)}"
        )
    return logins[0]


def DB_CONNECTION_MUTATOR(  # noqa: N802
    uri: URL, arguments: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[URL, dict[str, Any]]:
    """Every query runs as the user's own login to the warehouse, so that PostgreSQL decides what is seen.
    libpq takes the password from PGPASSFILE."""
    user = security_manager.find_user(username=username) if username else None
    given = dict(PLATFORM["warehouse"])
    uri = URL.create(
        uri.drivername,
        username=warehouse_login([role.name for role in user.roles] if user else []),
        host=given.pop("host", None),
        port=int(given.pop("port", 5432)),
        database=given.pop("dbname", None),
        query=given,
    )
    return uri, arguments


@event.listens_for(Engine, "connect")
def _faster_sqlite(connection: Any, _: Any) -> None:
    """Superset's own tables: readers do not wait for a writer, and one sync a transaction is enough."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma busy_timeout = 10000")
