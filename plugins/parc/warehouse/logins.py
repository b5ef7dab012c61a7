"""The logins: one for each part of the platform, with its own password, and rights on the warehouse only.

Rights enforce what readers must not do. Timeouts and read-only transactions only stop mistakes, since a
session can change its own.
"""

from __future__ import annotations

import csv
import hmac
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

from parc.settings import Settings

Role = Literal["admin", "loader", "transformer", "exporter", "reader", "maintenance", "bi_reader"]
Room = Literal["loader", "transformer", "exporter", "reader", "maintenance"]

ROOMS: tuple[Room, ...] = ("loader", "transformer", "exporter", "reader", "maintenance")
WITH_TEMPORARY_TABLES: tuple[Room, ...] = ("loader", "transformer")
OF_DIRECTORATES = "bi_regional"
"""The group role with the rights of every `bi_<directorate>`; it cannot log in."""

SUPERUSER = "deploy/superuser.sql"
"""Revokes from readers what only a superuser can revoke; run in the warehouse's database."""


@dataclass(frozen=True)
class LoginLimits:
    """How much of the server a login's sessions may use."""

    connections: int
    statement_timeout: str
    idle_in_transaction_session_timeout: str
    temp_file_limit: str = "4GB"
    """Set only if the owner was given the right to (`SUPERUSER`); sessions then cannot change it."""
    schema: str = ""
    """For BI: where names without a schema are looked for; its transactions are read-only."""

    def settings(self) -> dict[str, str]:
        """What a session of the role starts with."""
        for_bi = {"search_path": self.schema, "default_transaction_read_only": "on"}
        return {
            "statement_timeout": self.statement_timeout,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_session_timeout,
            **(for_bi if self.schema else {}),
        }


LIMITS = {
    "parc_reader": LoginLimits(20, "30min", "30min"),
    "bi_reader": LoginLimits(20, "10min", "5min", schema="marts"),
}
LIMITS_OF_A_DIRECTORATE = LoginLimits(4, "10min", "5min", temp_file_limit="1GB", schema="regional")


def login(role: Role) -> str:
    """The name of a role's login; `admin` is the owner of the database."""
    return "bi_reader" if role == "bi_reader" else f"parc_{role}"


def directorate_codes(settings: Settings) -> list[str]:
    """The codes of the directorates in the project's seed, in the seed's order."""
    with (settings.project / "dbt_project/seeds/directorates.csv").open(newline="") as seed:
        return [row["directorate_code"] for row in csv.DictReader(seed)]


def of_directorate(directorate_code: str) -> str:
    """The login of a directorate."""
    return f"bi_{directorate_code.lower()}"


def of_directorates(settings: Settings) -> list[str]:
    """The logins of all directorates, in the order of their seed."""
    return [of_directorate(code) for code in directorate_codes(settings)]


def password(settings: Settings, role: Role, owner_password: str | None) -> str:
    """The password of a role's login: the platform's secret `<role>_password` if set. Otherwise it is derived
    from the database owner's password, without revealing it, so that all machines with the same connection
    string agree. Without an owner's password, a random one is created and stored.
    """
    derived = None
    if owner_password and role != "bi_reader":
        derived = hmac.digest(owner_password.encode(), f"parc login {role}".encode(), "sha256").hex()
    return settings.secret(f"{role}_password", otherwise=derived)


def ensure(connection: psycopg.Connection[Any], settings: Settings) -> None:
    """Create missing logins, and let the owner act as any of them.

    Roles that an earlier version created without login get one; platform passwords that differ are reset.
    Limits that an operator has set are kept, and so is the BI password.
    """
    roles: tuple[Role, ...] = (*ROOMS, "bi_reader")
    for role in roles:
        name = login(role)
        identifier = sql.Identifier(name)
        secret = password(settings, role, connection.info.password)
        known = connection.execute("select rolcanlogin from pg_roles where rolname = %s", [name]).fetchone()
        if not known:
            connection.execute(sql.SQL("create role {}").format(identifier))
        if not (known and known[0]) or (role != "bi_reader" and not _opens(connection, name, secret)):
            kept = verifier(connection, name, secret)
            connection.execute(sql.SQL("alter role {} login password {}").format(identifier, kept))
        if role != "bi_reader" and not _is_granted_to_owner(connection, name):
            connection.execute(sql.SQL("grant {} to current_user").format(identifier))
    connection.execute("grant parc_reader to parc_maintenance")
    _ensure_directorates(connection, settings)
    for name, limits in LIMITS.items():
        _limit(connection, name, limits)


def _ensure_directorates(connection: psycopg.Connection[Any], settings: Settings) -> None:
    known = {
        name for (name,) in connection.execute("select rolname::text from pg_roles where rolname ~ '^bi_'")
    }
    group = sql.Identifier(OF_DIRECTORATES)
    if OF_DIRECTORATES not in known:
        connection.execute(sql.SQL("create role {} nologin").format(group))
    for name in of_directorates(settings):
        if name not in known:
            kept = verifier(connection, name, settings.secret(f"{name}_password"))
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("create role {} login password {}").format(identifier, kept))
            connection.execute(sql.SQL("grant {} to {}").format(group, identifier))
        _limit(connection, name, LIMITS_OF_A_DIRECTORATE)


def give_database(connection: psycopg.Connection[Any]) -> None:
    """Let only the platform's logins connect to the database; the working roles may create temporary tables.

    Must be run by the database's owner.
    """
    names = [login(role) for role in ROOMS]
    for command, to in (
        ("revoke all on database {database} from public", []),
        ("grant connect on database {database} to {to}", [*names, "bi_reader", OF_DIRECTORATES]),
        ("grant temporary on database {database} to {to}", [login(role) for role in WITH_TEMPORARY_TABLES]),
    ):
        connection.execute(
            sql.SQL(command).format(
                database=sql.Identifier(connection.info.dbname),
                to=sql.SQL(", ").join(map(sql.Identifier, to)),
            )
        )
    has_public = connection.execute("select to_regnamespace('public') is not null").fetchone()
    if has_public and has_public[0]:
        connection.execute("revoke create on schema public from public")


def left_to_superuser(connection: psycopg.Connection[Any]) -> list[str]:
    """What readers can still do until a superuser revokes it (`SUPERUSER`, then `migrate`)."""
    rows = connection.execute(
        """
        select what
        from (
            select
                case
                    when proname ~ 'advisory' then 'take advisory locks'
                    when proname = 'pg_logical_emit_message' then 'write into the server''s log of changes'
                    else 'make large objects'
                end as what
            from pg_proc
            where pronamespace = 'pg_catalog'::regnamespace
                and proname ~ '^(pg_(try_)?advisory_|lo_|lo(read|write)$|pg_logical_emit_message$)'
                and has_function_privilege('public', oid, 'execute')
            union
            select 'run code blocks (DO)' where has_language_privilege('public', 'plpgsql', 'usage')
            union
            select 'fill the disk with temporary files'
            from pg_roles
            where rolname = any (%s) and not coalesce(rolconfig::text, '') ~ 'temp_file_limit='
        ) as found
        order by what
        """,
        [list(LIMITS)],
    )
    return [what for (what,) in rows]


def _opens(connection: psycopg.Connection[Any], name: str, secret: str) -> bool:
    given = connection.info.get_parameters() | {
        "user": name,
        "password": secret,
        "dbname": connection.info.dbname,
        "connect_timeout": "10",
    }
    try:
        psycopg.connect(**given).close()  # type: ignore[arg-type]
    except psycopg.OperationalError:
        return False
    return True


def verifier(connection: psycopg.Connection[Any], name: str, password: str) -> sql.Literal:
    """The server's stored form of a password, so that the password itself appears in no statement or log."""
    kept = connection.pgconn.encrypt_password(password.encode(), name.encode())
    return sql.Literal(kept.decode())


def _is_granted_to_owner(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute(
        "select 1 from pg_auth_members m join pg_roles r on r.oid = m.roleid "
        "where r.rolname = %s and m.member = (select oid from pg_roles where rolname = current_user) "
        "and not m.admin_option",
        [name],
    ).fetchone()
    return row is not None


def _limit(connection: psycopg.Connection[Any], name: str, limits: LoginLimits) -> None:
    """Set only limits that are not set yet, because an operator may have chosen others."""
    row = connection.execute(
        "select rolconnlimit, coalesce(rolconfig, '{}'), has_parameter_privilege('temp_file_limit', 'set') "
        "from pg_roles where rolname = %s",
        [name],
    ).fetchone()
    assert row is not None
    connections, configured, may_limit_files = row
    identifier = sql.Identifier(name)
    if connections == -1:
        number = sql.Literal(limits.connections)
        connection.execute(sql.SQL("alter role {} connection limit {}").format(identifier, number))
    wanted = limits.settings() | ({"temp_file_limit": limits.temp_file_limit} if may_limit_files else {})
    known = {setting.partition("=")[0] for setting in configured}
    for setting in wanted.keys() - known:
        connection.execute(
            sql.SQL("alter role {} set {} = {}").format(
                identifier, sql.Identifier(setting), sql.Literal(wanted[setting])
            )
        )
