"""The Kamailio switch: two slots in its memory and its own database, and a flag that names the live slot.

A release is written to the tables of the idle slot in one transaction, loaded into memory, and read back from
memory: every key of the small tables, the number and a sample of the exceptions, and probes that ask how
calls would be routed. One flag then moves all calls. deploy/kamailio/ has the configuration and the tables.
Former releases are kept there too, so that a rollback can go back further than the other slot.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from parc.errors import ConfigurationError, RoutingRefused
from parc.routing.switches import SEE_LIVE, UNREADABLE, Answer, Pointer, Question, Reading, Release
from parc.routing.switches.binrpc import START, START_ANOTHER
from parc.routing.switches.memory import Memory
from parc.routing.switches.probes import ask
from parc.routing.switches.rehearsal import misrouted
from parc.routing.table.content import SHAPES, Content
from parc.warehouse import table_cursor

SLOTS = ("a", "b")
LOCK_SECONDS = 10
PROBLEMS_REPORTED = 5


class KamailioSwitch:
    """A running Kamailio: its RPC socket, its database (for the role that writes), its probes' secret."""

    def __init__(self, socket: str, dsn: str, secret: str) -> None:
        self._memory = Memory(socket)
        self._dsn = dsn
        self._secret = secret

    def pointer(self) -> Pointer:
        """The slot that the flag in memory names, which is where calls go, and the previous slot."""
        active = self._memory.active()
        with self._database() as database:
            row = database.execute("select active, previous, fence from switch.control").fetchone()
            assert row is not None
            recorded, previous, fence = row
            if active != recorded:  # a flip was cut short: the database has the previous slot
                previous, fence = recorded, 0
            versions = {slot: _version(database, slot) for slot in SLOTS}
        if active is None:
            return Pointer(None, None, fence)
        return Pointer(versions[active] or UNREADABLE, versions[previous] if previous else None, fence)

    def read_live(self) -> Reading | None:
        """The live slot: its tables, compared with the switch's memory."""
        active = self._memory.active()
        with self._database() as database:
            row = database.execute("select active, fence from switch.control").fetchone()
            assert row is not None
            recorded, fence = row
        if active is None and recorded is None:
            return None
        if active not in SLOTS:
            return Reading(UNREADABLE, None, ("the switch has no live slot in its memory",))
        problems = []
        if active != recorded:
            problems.append(f"calls go by slot {active}, the database says {recorded or 'none'}")
        return self._read(active, problems, 0 if problems else fence)

    def stage(self, release: Release) -> None:
        """Write the tables of the idle slot in one transaction, load them, and keep them for a later
        rollback.

        Raises RoutingRefused when the switch has too little shared memory.
        """
        slot = _other(self._memory.active())
        self._memory.require_room(release.content.row_counts["exceptions"])
        with self._database() as database:
            held = self._memory.version(slot)
            is_known = held is not None and held == _version(database, slot)
            changes = self._write(database, slot, release)
            addresses = database.execute("select destination from switch.dispatcher").fetchall()
        self._memory.load(slot, release.version, changes if is_known else None)
        self._memory.load_addresses([destination for (destination,) in addresses])

    def verify(self, version: str) -> Reading:
        """Read back a slot with its memory; a version that no slot holds, from the kept releases."""
        with self._database() as database:
            slots = [slot for slot in SLOTS if _version(database, slot) == version]
        if slots:
            return self._read(slots[0])
        return self._read_kept(version)

    def activate(self, version: str, fence: int) -> None:
        """Flip the flag to the slot that holds the version."""
        with self._database() as database:
            slots = [slot for slot in SLOTS if _version(database, slot) == version]
            if not slots:
                raise RoutingRefused(f"no slot of the switch holds release {version}")
            self._flip(database, slots[0], fence)

    def rollback(self, fence: int) -> None:
        """Flip the flag back to the previous slot; to the database's slot if the flip was cut short."""
        active = self._memory.active()
        with self._database() as database:
            row = database.execute("select active, previous from switch.control").fetchone()
            assert row is not None
            self._flip(database, row[1] if active == row[0] else row[0], fence)

    def drains(self) -> dict[str, datetime]:
        """The drains in its database; `read_live` reports if the memory differs."""
        with self._database() as database:
            return dict(database.execute("select site_code, drained_until from switch.drains").fetchall())

    def drain(self, site_code: str, until: datetime | None) -> None:
        """Change database and memory in one transaction, so that a restarted switch knows it too."""
        with self._database() as database, database.transaction():
            database.execute("delete from switch.drains where site_code = %s", [site_code])
            if until:
                database.execute("insert into switch.drains values (%s, %s)", [site_code, until])
            self._memory.drain(site_code, until)

    def ask(self, question: Question) -> Answer | None:
        """Ask over SIP, at the address for questions."""
        [answer] = ask(self._memory.probe_address(), self._secret, [question])
        return answer

    def discard(self, keep: Collection[str]) -> None:
        """Forget the kept releases other than these and those of the two slots."""
        with self._database() as database:
            kept = [*keep, *(version for slot in SLOTS if (version := _version(database, slot)))]
            database.execute("delete from switch.kept_release where version <> all(%s)", [kept])
            database.execute(
                "delete from switch.kept_table where sha256 not in (select sha256 from switch.kept_release)"
            )

    # The slots' tables

    def _write(
        self, database: psycopg.Connection[Any], slot: str, release: Release
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Write the release to the slot's tables. Returns the exceptions (number, zone_code) that were
        removed, and those that were added or changed."""
        desired = release.content.frames["exceptions"]
        held = self._tables(slot, ["exceptions"])["exceptions"]
        removed = held.join(desired, on="number", how="anti")
        added = desired.join(held, on=["number", "zone_code"], how="anti")
        schema = sql.Identifier(f"slot_{slot}")
        with database.transaction(), database.cursor() as cursor:
            for name in SHAPES:
                table = sql.SQL("{}.{}").format(schema, sql.Identifier(name))
                if name == "exceptions" and removed.height + added.height <= desired.height // 4:
                    _apply(cursor, table, removed, added)
                    continue
                cursor.execute(sql.SQL("truncate {}").format(table))
                with cursor.copy(sql.SQL("copy {} from stdin (format csv, header)").format(table)) as copy:
                    copy.write(release.content.files[name])
            cursor.execute(sql.SQL("delete from {}.release").format(schema))
            cursor.execute(
                sql.SQL("insert into {}.release values (%s, %s)").format(schema),
                [release.version, release.content.digest],
            )
            _keep(cursor, release)
        return removed, added

    def _tables(self, slot: str, names: Iterable[str]) -> dict[str, pl.DataFrame]:
        found = {}
        with table_cursor(self._dsn) as cursor:
            for name in names:
                columns = ", ".join(SHAPES[name].columns)
                cursor.execute(f"select {columns} from slot_{slot}.{name}")
                frame = pl.from_arrow(cursor.fetch_arrow_table())
                assert isinstance(frame, pl.DataFrame)
                found[name] = frame.cast(SHAPES[name].columns)  # type: ignore[arg-type]
        return found

    def _read(self, slot: str, problems: Collection[str] = (), fence: int = 0) -> Reading:
        content = Content.of(self._tables(slot, SHAPES))
        with self._database() as database:
            row = database.execute(f"select version, content_digest from slot_{slot}.release").fetchone()
            if row is None:
                return Reading(UNREADABLE, None, (*problems, f"slot {slot} holds no release"), fence)
            version, digest = row
            found = [*problems]
            if content.digest != digest:
                found.append(f"the tables of slot {slot} have another content than was written")
            found += self._memory.differences(database, slot, version, content.frames["exceptions"])
        if not found:
            found += misrouted(content, slot, version, self._memory.probe_address(), self._secret)
        return Reading(version, content, tuple(found[:PROBLEMS_REPORTED]), fence)

    def _flip(self, database: psycopg.Connection[Any], slot: str | None, fence: int) -> None:
        """Change database and memory. The transaction is committed once the switch confirms the change."""
        with database.transaction():
            row = database.execute("select active, fence from switch.control for update").fetchone()
            assert row is not None
            active, newest = row
            if newest > fence:
                raise RoutingRefused(
                    f"another release (token {newest}) has reached the switch since this one (token {fence}) "
                    "began; this one stops",
                    steps=(SEE_LIVE,),
                )
            previous = active if slot != active else _other(slot) if slot else None
            database.execute(
                "update switch.control set active = %s, previous = %s, fence = %s", [slot, previous, fence]
            )
            self._memory.set_active(slot)

    # What was kept of former releases

    def _read_kept(self, version: str) -> Reading:
        with self._database() as database:
            rows = database.execute(
                "select table_name, data from switch.kept_release "
                "inner join switch.kept_table using (sha256) where version = %s",
                [version],
            ).fetchall()
        if not rows:
            return Reading(version, None, (f"the switch has nothing of release {version}",))
        try:
            return Reading(version, Content.read({name: zlib.decompress(data) for name, data in rows}))
        except (ValueError, zlib.error) as error:
            return Reading(version, None, (f"what was kept of release {version} is damaged: {error}",))

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with psycopg.connect(
                self._dsn, autocommit=True, options=f"-c lock_timeout={LOCK_SECONDS}s -c timezone=UTC"
            ) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise ConfigurationError(
                f"the switch's database does not answer ({str(error).strip()}); calls continue by what the "
                "switch has in memory",
                steps=(START, START_ANOTHER),
            ) from None


def _apply(
    cursor: psycopg.Cursor[Any], table: sql.Composed, removed: pl.DataFrame, added: pl.DataFrame
) -> None:
    cursor.execute("create temp table change (number varchar, zone_code varchar) on commit drop")
    with cursor.copy("copy change from stdin") as copy:
        for row in itertools.chain(((number, None) for number in removed["number"]), added.iter_rows()):
            copy.write_row(row)
    cursor.execute(
        sql.SQL("delete from {} as held using change where change.number = held.number").format(table)
    )
    cursor.execute(
        sql.SQL("insert into {} select number, zone_code from change where zone_code is not null").format(
            table
        )
    )


def _keep(cursor: psycopg.Cursor[Any], release: Release) -> None:
    for name, data in release.content.files.items():
        digest = release.content.sha256[name]
        known = cursor.execute("select 1 from switch.kept_table where sha256 = %s", [digest]).fetchone()
        if not known:
            cursor.execute(
                "insert into switch.kept_table values (%s, %s)", [digest, zlib.compress(data, level=1)]
            )
        cursor.execute(
            "insert into switch.kept_release values (%s, %s, %s) on conflict do nothing",
            [release.version, name, digest],
        )


def _version(database: psycopg.Connection[Any], slot: str) -> str | None:
    row = database.execute(f"select version from slot_{slot}.release").fetchone()
    return str(row[0]) if row else None


def _other(slot: str | None) -> str:
    return "b" if slot == "a" else "a"
