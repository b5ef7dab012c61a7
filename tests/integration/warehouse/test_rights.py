"""Who may do what in the warehouse, by rights, whatever a session sets."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from pathlib import Path

import psycopg
import pytest

from parc import routing
from parc.errors import ConfigurationError
from parc.findings import FindingKind
from parc.ledger import locks
from parc.loading import ingest
from parc.platform import doctor, supervisor
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect, logins, migrate, parameters
from support.command_line import parc
from support.databases import empty_platform, superuser
from support.deliveries import as_csv, deliver, legs
from support.printed import run_printed

DAY = date(2012, 4, 25)
REFUSED = (
    "create table public.mine (i int)",
    "create temp table mine (i int)",
    "create schema mine",
    "create function pg_temp.mine() returns int language sql as 'select 1'",
    "insert into ops.routing_kill_switch (event, set_by, reason) values ('disabled', 'me', 'none')",
    "update ops.lock set pid = pg_backend_pid(), session_started_at = now()",
    "select * from ops.lock for share",
    "lock table ops.lock",
    "delete from ops.routing_release",
    "truncate ops.notice",
    "select * from routing.urgent_assignment",
    "do $$ begin raise notice '%', (select max(number) from routing.line_assignment); end $$",
    "select pg_advisory_lock(7201200010)",
    "select pg_try_advisory_xact_lock_shared(1, 2)",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select pg_logical_emit_message(false, 'x', 'y')",
    "set temp_file_limit = -1",
    "copy (select 1) to '/tmp/mine'",
    "set role parc_loader",
    "set session authorization parc",
)


@pytest.mark.parametrize("statement", REFUSED)
def test_parc_sql_is_refused_by_rights(module_warehouse: Settings, statement: str) -> None:
    """The settings of the session are undone first."""
    undone = (
        "commit; set role none; set transaction_read_only = off; set default_transaction_read_only = off; "
    )
    done = parc(module_warehouse, "sql", undone + statement)
    assert done.returncode == 1
    assert "permission denied" in done.stderr, done.stderr


@pytest.mark.parametrize("statement", [*REFUSED, "select * from ops.delivery", "select * from raw.calls"])
def test_bi_can_only_read(module_warehouse: Settings, statement: str) -> None:
    """The settings of the session are undone first."""
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connect(module_warehouse, "bi_reader") as connection,
    ):
        connection.execute("set transaction read write")
        connection.execute(statement.encode())


def test_a_reader_holding_every_lock_blocks_no_work(live: Settings) -> None:
    """Every advisory lock that it may take where no superuser took them away, and the locks of all tables."""
    deliver(live, "calls", DAY, calls__csv=as_csv(legs(3, DAY)))
    with superuser(live, psycopg.conninfo.conninfo_to_dict(live.warehouse_dsn or "")["dbname"]) as dba:
        dba.execute("grant execute on all functions in schema pg_catalog to bi_reader")
    with connect(live, "bi_reader", autocommit=True) as connection:
        for number in (7_201_200_001, 7_201_200_002, 7_201_200_004, 7_201_200_010, 7_201_200_020):
            connection.execute("select pg_advisory_lock(%s)", [number])
        connection.execute("select pg_advisory_lock(hashtext('ingest calls'), 20120425)")
        assert migrate(live) == []
        assert ingest(live, "calls", DAY).status == "published"
        assert routing.emergency_national(live, requested_by="a", reason="r").status == "national"
        with connect(live, "transformer", autocommit=True) as other, locks.held(other, locks.BUILD, ""):
            pass


def test_readers_cannot_exhaust_the_server(module_warehouse: Settings) -> None:
    for role in ("reader", "bi_reader"):
        limits = logins.LIMITS[logins.login(role)]
        with ExitStack() as stack:
            for _ in range(limits.connections):
                connection = stack.enter_context(connect(module_warehouse, role))
            with pytest.raises(ConfigurationError, match="too many connections"):
                stack.enter_context(connect(module_warehouse, role))
            found = {
                setting: connection.execute(f"show {setting}".encode()).fetchone()
                for setting in ("statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit")
            }
        assert found == {
            "statement_timeout": (limits.statement_timeout,),
            "idle_in_transaction_session_timeout": (limits.idle_in_transaction_session_timeout,),
            "temp_file_limit": ("4GB",),
        }


def test_each_login_may_connect_to_its_own_databases_alone(
    module_warehouse: Settings, server: Settings
) -> None:
    local.make_database(server)
    with connect(module_warehouse, "admin") as connection:
        rows = connection.execute(
            "select datname::text, array_agg(rolname::text order by rolname) filter (where "
            "has_database_privilege(rolname, datname, 'connect')) from pg_database cross join pg_roles "
            "where rolcanlogin and not rolsuper and datallowconn group by datname"
        ).fetchall()
        name = connection.info.dbname
    of_directorates = logins.of_directorates(server)
    assert len(of_directorates) == 11
    ours = sorted(["bi_reader", "parc", *map(logins.login, logins.ROOMS), *of_directorates])
    expected = {
        "postgres": None,
        "template1": None,
        "parc": ours,
        name: ours,
        "airflow": ["airflow"],
        "switch": ["kamailio", "switch"],
    }
    assert {database: names for database, names in rows if database in expected} == expected
    for role, database in (("reader", "airflow"), ("bi_reader", "switch"), ("exporter", "postgres")):
        given = parameters(module_warehouse, role) | {"dbname": database}  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(**given)  # type: ignore[arg-type]


def test_bi_finds_marts_without_a_schema_and_starts_read_only(server: Settings) -> None:
    """A session may change this; it stops mistakes, rights stop the rest."""
    shown = ("search_path", "default_transaction_read_only", "statement_timeout")
    with connect(server, "bi_reader") as connection:
        assert [connection.execute(f"show {name}").fetchone() for name in shown] == [
            ("marts",),
            ("on",),
            ("10min",),
        ]
        connection.execute("select build_id from published_build")
    with superuser(server, "parc") as dba:
        rows = dba.execute("select rolconfig from pg_roles where rolname = 'bi_ouest'").fetchall()
    [(configured,)] = rows
    assert {"search_path=regional", "default_transaction_read_only=on"} <= set(configured)


def test_a_role_of_an_earlier_version_gets_its_login(server: Settings) -> None:
    """Until 0.1.0 the rooms were roles that one login took. A login's own password and limits stay."""
    with superuser(server, "parc") as dba:
        dba.execute("alter role parc_reader nologin connection limit -1 password null")
        dba.execute("alter role bi_reader connection limit 7")
        try:
            migrate(server)
            with connect(server, "reader") as connection:
                assert connection.execute("select session_user, current_user").fetchone() == (
                    "parc_reader",
                    "parc_reader",
                )
            found = dba.execute(
                "select rolconnlimit from pg_roles where rolname in ('bi_reader', 'parc_reader') "
                "order by rolname"
            ).fetchall()
            assert found == [(7,), (20,)]
        finally:
            dba.execute("alter role bi_reader connection limit 20")


def test_doctor_names_rights_that_only_a_superuser_can_revoke(server: Settings, tmp_path: Path) -> None:
    """On an external server the database owner is not allowed to revoke it."""
    with empty_platform(server, tmp_path, template="template0") as outside:
        migrate(outside)
        [check] = [check for check in doctor.checks(outside) if check.name == "logins"]
        assert check.state == "note"
        assert "make large objects, run code blocks (DO), take advisory locks" in check.text
        with connect(outside, "bi_reader") as connection:
            connection.execute("set transaction read write")
            connection.execute("select lo_create(0)")
        database = psycopg.conninfo.conninfo_to_dict(outside.warehouse_dsn or "")["dbname"]
        with superuser(outside, str(database)) as dba:
            dba.execute(check.command.encode())
        [check] = [check for check in doctor.checks(outside) if check.name == "logins"]
        assert (check.state, check.command) == ("ok", "")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connect(outside, "bi_reader") as connection:
            connection.execute("select lo_create(0)")


def test_doctor_reports_a_login_with_another_password(
    module_warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARC_LOADER_PASSWORD", "not that one")
    found = {check.name: check for check in doctor.checks(module_warehouse)}
    assert found["logins"].state == "wrong"
    assert found["logins"].command.startswith("parc up")
    assert "not that one" not in found["logins"].text + found["logins"].command
    found_there = [check.finding for check in doctor.checks(module_warehouse) if check.finding]
    run_printed(module_warehouse, FindingKind.LOGINS, found=found_there)
    supervisor.stop(module_warehouse)
    assert {check.state for check in doctor.checks(module_warehouse) if check.name == "logins"} == {"ok"}
    monkeypatch.undo()
    migrate(module_warehouse)
    with connect(module_warehouse, "loader") as connection:
        assert connection.info.user == "parc_loader"


@pytest.mark.parametrize("password", ["x'; drop", "é\\", "a b"])
def test_no_password_is_in_a_statement(server: Settings, password: str) -> None:
    """Statements may be logged, so only the verifier is sent to the server."""
    with connect(server, "admin") as connection:
        kept = logins.verifier(connection, "parc_reader", password).as_string(connection)
    assert kept.startswith("'SCRAM-SHA-256$") and password not in kept


def test_a_failing_statement_is_not_in_the_server_log(server: Settings, module_warehouse: Settings) -> None:
    """Neither its text nor the row concerned; only the sender sees the error."""
    with connect(module_warehouse, "loader", autocommit=True) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg.Error, match="0299120001"):
            cursor.execute("select '0299120001'::date")
        with pytest.raises(psycopg.Error), cursor.copy("copy ops.looked_for from stdin") as copy:
            copy.write("0299120001\t0299120001\n")
    log = (server.home / "postgres" / "postgresql.log").read_text()
    assert "ready to accept connections" in log and "0299120001" not in log
