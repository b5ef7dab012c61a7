"""Brings a platform's warehouse back to a moment, from the backups in PARC_BACKUPS.

1. Read the switch, as it runs; keep a copy of the own switch's database if its server still answers.
2. Stop the platform, but not the switch.
3. Unpack a backup that reaches the moment, checking each file, with the log after it.
4. Recover it on a server that only this process reaches. There, before anybody can read it: put the keys
   and the list of who was forgotten in place, forget these people again, put the switch's database back, and
   compare the switch with what the warehouse knows. If they differ, routing is disabled.
5. Put the data in place.

Until 5 the former data are untouched. Killed at any point, it is run again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl
from psycopg import sql

from parc import backup as backing_up
from parc import privacy
from parc.backup import reading
from parc.errors import ConfigurationError, ParcError
from parc.findings import Step
from parc.host import backups
from parc.host.backups import Backup
from parc.host.processes import locked
from parc.instants import shown
from parc.ledger import people
from parc.platform import keys, start, supervisor
from parc.pseudonyms import Pseudonyms
from parc.routing.steering.restored import RunningSwitch, forget_in_database, read_running, reconcile
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect, embedded, logins, migrate, restored
from parc.warehouse.restored import Restored


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do: the moment (None: the newest that was kept), the backups it can start from,
    best first, what the switch holds, and whether a warehouse is replaced."""

    moment: datetime | None
    candidates: list[Backup]
    switch: RunningSwitch
    is_replacing: bool

    def __str__(self) -> str:
        best = self.candidates[0]
        lines = [
            f"restores the warehouse to {shown(self.moment) if self.moment else 'the end of its log'}",
            f"from the backup of {shown(best.ended_at)}, whose log reaches {shown(best.reaches())}",
            f"the switch holds {self.switch}, and is left as it is",
        ]
        if self.is_replacing:
            lines.append("the warehouse that is here is REPLACED")
        return "\n".join(lines)


@dataclass(frozen=True)
class RestoreResult:
    """What was done: the last change that the warehouse has, the pseudonyms on the list of who was forgotten,
    how the switch differs from the warehouse (empty: not at all), and the backups that were damaged."""

    last_change_at: datetime | None
    backup: Backup
    forgotten_count: int
    difference: str
    is_routing_disabled: bool
    damaged: list[str]


def plan(settings: Settings, moment: datetime | None, *, is_replacing_allowed: bool) -> RestorePlan:
    """What a restore would do. Changes nothing.

    Raises ConfigurationError if no backup reaches the moment, or a warehouse would be replaced that must not.
    """
    root = backing_up.root(settings)
    is_replacing = restored.has_warehouse(settings)
    if is_replacing and not is_replacing_allowed:
        raise ConfigurationError(
            f"{settings.home} has a warehouse",
            steps=(
                Step("set PARC_HOME to an empty folder"),
                Step("add --replace to give the warehouse that is there up", is_alternative=True),
            ),
        )
    candidates = backups.reaching(root, moment)
    if not candidates:
        raise ConfigurationError(_unreachable(root, moment))
    return RestorePlan(moment, candidates, read_running(settings), is_replacing)


def run(
    settings: Settings,
    planned: RestorePlan,
    *,
    requested_by: str,
    progress: Callable[[str], None] = lambda _: None,
) -> RestoreResult:
    """Do what was planned. The platform is stopped afterwards.

    Raises ConfigurationError, Busy, or BackupFailed if no backup that reaches the moment is whole.
    """
    root = backing_up.root(settings)
    embedded.make_home(settings.home)
    with backups.exclusive(root):
        progress("stopping the platform")
        kept_dump = _dump_of_running_switch(settings) if settings.has_own_switch else None
        start.down(settings, with_switch=False)
        with locked(supervisor.lock_file(settings)):
            progress("unpacking the backup")
            data, backup, damaged = _unpack(settings, planned)
            progress("recovering the warehouse")
            with restored.recovered(settings, data, planned.moment) as server:
                result = _make_ready(settings, planned, server, backup, kept_dump, requested_by, progress)
            progress("putting it in place")
            staged = partial(keys.put_in_place, settings, _keep(settings) / "home")
            restored.put_in_place(settings, data, staged)
            shutil.rmtree(_keep(settings), ignore_errors=True)
    return replace(result, damaged=damaged)


def _unreachable(root: Path, moment: datetime | None) -> str:
    found = backups.reaching(root, None)
    if not found:
        return f"{root} has no verified backup whose log is whole"
    told = ", ".join(f"{shown(first)} to {shown(last)}" for first, last in backups.ranges(found))
    return f"no backup reaches {shown(moment) if moment else 'any moment'}; what can be restored: {told}"


def _unpack(settings: Settings, planned: RestorePlan) -> tuple[Path, Backup, list[str]]:
    """The data of the first backup that is whole, with the log after it."""
    damaged: list[str] = []
    for backup in planned.candidates:
        segments = backup.segments()
        base = reading.size(backup)
        restored.require_room(settings, base + len(segments) * backups.SEGMENT_BYTES)
        data = restored.folder(settings)
        try:
            backing_up.extract(backup, data)
            (data / "pg_wal").mkdir(exist_ok=True, mode=0o700)
            for each in segments:
                backing_up.unpack(each, data / "pg_wal" / backups.name_of(each))
            return data, backup, damaged
        except backing_up.BackupFailed as error:
            damaged.append(error.text)
    raise backing_up.BackupFailed("; ".join(damaged))


def _make_ready(
    settings: Settings,
    planned: RestorePlan,
    server: Restored,
    backup: Backup,
    kept_dump: Path | None,
    requested_by: str,
    progress: Callable[[str], None],
) -> RestoreResult:
    home = _keep(settings) / "home"
    shutil.rmtree(home, ignore_errors=True)
    private = replace(settings, home=home, warehouse_dsn=server.warehouse)
    with server.open(embedded.DATABASE) as connection:
        row = connection.execute("select pg_last_xact_replay_timestamp()").fetchone()
        has_key = connection.execute("select to_regclass('ops.pseudonym_key')").fetchone()
        key = people.key(connection) if has_key and has_key[0] else None
        connection.execute((settings.project / logins.SUPERUSER).read_bytes())
    keys.stage(settings, backup, key.fingerprint if key else None, home)
    reason = f"restored to {shown(planned.moment) if planned.moment else 'the end of the log'}"
    progress("bringing its schema up to date")
    migrate(private)
    progress("forgetting again who was forgotten")
    count = privacy.forget_restored(private, server.open, requested_by=requested_by, reason=reason)
    is_switch_restored = _restore_switch(settings, private, server, kept_dump)
    with connect(private, "admin", autocommit=True) as connection:
        difference = reconcile(
            connection,
            planned.switch,
            is_switch_restored=is_switch_restored,
            set_by=requested_by,
            reason=reason,
        )
    return RestoreResult(
        row[0] if row else None, backup, count, difference, bool(difference) or is_switch_restored, []
    )


# The own switch's database


def _keep(settings: Settings) -> Path:
    return settings.home / "run" / "restore"


def _dump_of_running_switch(settings: Settings) -> Path | None:
    """A copy of the own switch's database as it is now, which outlives a run that is killed."""
    path = _keep(settings) / embedded.SWITCH_DUMP
    try:
        _, port = embedded.address(settings)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(".draft")
        password = settings.secret("postgres_password")
        login = ("--host=127.0.0.1", f"--port={port}", "--username=postgres", "--no-password")
        lines = ("--format=custom", f"--file={draft}", embedded.SWITCH)
        reading.run(settings, "pg_dump", *login, *lines, PGPASSWORD=password)
        draft.replace(path)
    except ParcError:
        pass
    return path if path.exists() else None


def _restore_switch(settings: Settings, private: Settings, server: Restored, kept: Path | None) -> bool:
    """Put the own switch's database back as it was last, not as it was at the moment of the warehouse:
    the copy from the running server, or else the one of the newest backup. Returns whether it is an older one
    than the switch had."""
    if not settings.has_own_switch:
        return False
    newest = _newest_dump(settings)
    if (dump := kept or newest) is None:
        return False
    with server.open() as connection:
        logins_there = connection.execute(
            "select count(*) from pg_roles where rolname = any (%s)", [[local.WRITER, local.READER]]
        ).fetchone()
        if logins_there != (2,):
            return False
        name = sql.Identifier(embedded.SWITCH)
        connection.execute(sql.SQL("drop database if exists {}").format(name))
        connection.execute(sql.SQL("create database {0} owner {0}").format(name))
        connection.execute(sql.SQL("revoke all on database {} from public").format(name))
        local.let_in(connection)
    reading.run(
        settings,
        "pg_restore",
        f"--host={server.socket}",
        "--port=5432",
        "--username=postgres",
        f"--dbname={embedded.SWITCH}",
        "--single-transaction",
        str(dump),
    )
    if dump == kept:
        return False
    with connect(private, "admin") as connection:
        forgotten = people.forgotten(connection).keys()
    known = Pseudonyms.of_settings(private)
    with server.open(embedded.SWITCH) as connection:
        if forgotten:
            forget_in_database(connection, lambda numbers: _matching(known, numbers, forgotten))
            connection.execute("vacuum full")
    return True


def _matching(known: Pseudonyms, numbers: list[str], forgotten: object) -> list[str]:
    return known.matching(pl.Series(numbers, dtype=pl.String), forgotten).to_list()  # type: ignore[arg-type]


def _newest_dump(settings: Settings) -> Path | None:
    found = (
        each.folder / "switch" / embedded.SWITCH_DUMP for each in backups.backups(backing_up.root(settings))
    )
    return next((each for each in found if each.exists()), None)
