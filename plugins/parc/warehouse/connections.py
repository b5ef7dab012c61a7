"""Connections to the warehouse: one login, and for each room the least-privilege role it works as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from parc.errors import ConfigurationError
from parc.settings import Settings
from parc.warehouse import embedded

Role = Literal["admin", "loader", "transformer", "exporter", "reader", "bi_reader"]


def parameters(settings: Settings, role: Role) -> dict[str, str]:
    """libpq connection parameters of `role`.

    Every role but `bi_reader` (its own login) and `admin` (the login itself) is taken by `SET ROLE` when
    the connection opens, so one secret serves and each room still has only its own rights.

    Raises ConfigurationError when the embedded server does not run or the connection string is malformed.
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
    options = given.pop("options", "")
    options = f"{options} -c timezone=UTC".strip()
    if role == "bi_reader":
        given |= {"user": "bi_reader", "password": settings.secret("bi_reader_password")}
    elif role != "admin":
        options = f"{options} -c role=parc_{role}"
    return given | {"options": options}


def dsn(settings: Settings, role: Role) -> str:
    """A libpq URI of `role`, password included: for drivers, never for a log."""
    given = parameters(settings, role)
    user, password = quote(given.pop("user"), safe=""), quote(given.pop("password", ""), safe="")
    host, port, database = given.pop("host", "localhost"), given.pop("port", "5432"), given.pop("dbname", "")
    login = f"{user}:{password}" if password else user
    query = urlencode(given, quote_via=quote)
    return f"postgresql://{login}@{host}:{port}/{quote(database)}?{query}"


@contextmanager
def connect(
    settings: Settings, role: Role, *, autocommit: bool = False, **keywords: Any
) -> Iterator[psycopg.Connection[Any]]:
    """A connection as `role`: committed when the block ends, rolled back when it raises.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    given = parameters(settings, role)
    try:
        connection = psycopg.connect(**given, autocommit=autocommit, connect_timeout=10, **keywords)  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        place = f"{given.get('host', 'localhost')}:{given.get('port', '5432')}/{given.get('dbname', '')}"
        raise ConfigurationError(
            f"the warehouse at {place} cannot be reached as {role}: {str(error).strip()}; "
            "`parc doctor` tells what is wrong"
        ) from None
    with connection:
        yield connection
