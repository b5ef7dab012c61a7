"""Connections to the warehouse: each part of the platform has its own login with only the rights it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.settings import Settings
from parc.warehouse import embedded
from parc.warehouse.logins import Role, login, of_directorate, password


def parameters(settings: Settings, role: Role) -> dict[str, str]:
    """libpq connection parameters of `role`: `admin` is the database owner's login; every other role has its
    own login and password.

    Raises ConfigurationError if the embedded server is not running or the connection string is malformed.
    """
    if settings.warehouse_dsn:
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(settings.warehouse_dsn).items()}
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(f"PARC_WAREHOUSE_DSN is not a connection string: {error}") from None
    else:
        host, port = embedded.address(settings)
        given = {
            "host": host,
            "port": str(port),
            "user": embedded.LOGIN,
            "password": settings.secret(f"{embedded.LOGIN}_password"),
            "dbname": embedded.DATABASE,
        }
    given.setdefault("application_name", f"parc {role}")
    if role != "admin":
        given |= {"user": login(role), "password": password(settings, role, given.get("password"))}
    return given | {"options": f"{given.get('options', '')} -c timezone=UTC".strip()}


def dsn(settings: Settings, role: Role) -> str:
    """A libpq URI of `role`, including the password: for drivers, never for logs."""
    given = parameters(settings, role)
    user, password = quote(given.pop("user"), safe=""), quote(given.pop("password", ""), safe="")
    host, port, database = given.pop("host", "localhost"), given.pop("port", "5432"), given.pop("dbname", "")
    who = f"{user}:{password}" if password else user
    query = urlencode(given, quote_via=quote)
    return f"postgresql://{who}@{host}:{port}/{quote(database)}?{query}"


def bi_address(settings: Settings, name: str = "bi_reader") -> str:
    """Where BI tools connect with the login of this name, without the password, as this process reaches the
    server.

    Raises ConfigurationError as `parameters`.
    """
    given = parameters(settings, "reader")
    host, port, database = given.get("host", "localhost"), given.get("port", "5432"), given.get("dbname", "")
    return f"postgresql://{name}@{quote(host)}:{port}/{quote(database)}"


@contextmanager
def connect(
    settings: Settings, role: Role, *, autocommit: bool = False, **keywords: Any
) -> Iterator[psycopg.Connection[Any]]:
    """A connection as `role`; commits at the end of the block, rolls back if it raises.

    Raises ConfigurationError if the warehouse cannot be reached.
    """
    with _connected(parameters(settings, role), role, autocommit=autocommit, **keywords) as connection:
        yield connection


@contextmanager
def connect_directorate(settings: Settings, directorate_code: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a directorate's own login, which reads what the directorate may.

    Raises ConfigurationError if the warehouse cannot be reached, or the platform does not have the login's
    password.
    """
    name = of_directorate(directorate_code)
    password = settings.secret_if_any(f"{name}_password")
    if password is None:
        raise ConfigurationError(f"the password of {name} is not here: set PARC_{name.upper()}_PASSWORD")
    given = parameters(settings, "reader") | {"user": name, "password": password}
    with _connected(given, name) as connection:
        yield connection


@contextmanager
def _connected(given: dict[str, str], who: str, **keywords: Any) -> Iterator[psycopg.Connection[Any]]:
    try:
        connection = psycopg.connect(**given, connect_timeout=10, **keywords)  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        place = f"{given.get('host', 'localhost')}:{given.get('port', '5432')}/{given.get('dbname', '')}"
        raise ConfigurationError(
            f"the warehouse at {place} cannot be reached as {who}: {str(error).strip()}",
            steps=(Step("see what is wrong", "parc doctor"),),
        ) from None
    with connection:
        yield connection


@contextmanager
def table_cursor(address: str) -> Iterator[Any]:
    """A cursor of ADBC, which fetches whole tables from the database at a DSN.

    Raises adbc_driver_manager.Error.
    """
    from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]  # takes half a second

    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        yield cursor
