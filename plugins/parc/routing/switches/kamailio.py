"""The Kamailio switch: two slots in its memory and its own database, and a flag that names the live slot.

A release is written to the tables of the idle slot in one transaction, loaded into memory, and read back from
memory: every key of the small tables, the number and a sample of the exceptions, and probes that ask how
calls would be routed. One flag then moves all calls. deploy/kamailio/ has the configuration and the tables.
Former releases are kept there too, so that a rollback can go back further than the other slot.
"""

from __future__ import annotations

import itertools
import math
import secrets
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]
from psycopg import sql

from parc.errors import ConfigurationError, RoutingRefused
from parc.routing.switches import Answer, Pointer, Question, Reading, Release
from parc.routing.switches.binrpc import Rpc
from parc.routing.switches.probes import ANONYMOUS, ask
from parc.routing.table.content import NATIONAL_ZONE, SHAPES, Content, Frames
from parc.routing.table.lookups import with_band

SLOTS = ("a", "b")
LOAD_SECONDS = 300
LOCK_SECONDS = 10
BY_KEY_ROWS = 100_000
SAMPLED_EXCEPTIONS = 1_000
EXCEPTION_BYTES = 200
"""Shared memory of one exception in a slot: 5 million take 0.9 GB."""
PROBLEMS_REPORTED = 5
UNREADABLE = "unreadable"
NATIONAL_DIGITS = 10


class KamailioSwitch:
    """A running Kamailio: its RPC socket, its database (for the role that writes), its probes' secret."""

    def __init__(self, socket: str, dsn: str, secret: str) -> None:
        self._rpc = Rpc(socket)
        self._dsn = dsn
        self._secret = secret

    def pointer(self) -> Pointer:
        """The slot that the flag in memory names, which is where calls go, and the previous slot."""
        active = self._active()
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
        active = self._active()
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
        slot = _other(self._active())
        self._require_memory(release.content.row_counts["exceptions"])
        with self._database() as database:
            held = self._version_in_memory(f"exc_{slot}")
            is_known = held is not None and held == _version(database, slot)
            removed, added = self._write(database, slot, release)
        if is_known and removed.height + added.height <= BY_KEY_ROWS:
            self._load_keys(slot, removed, added, release.version)
        else:
            self._rpc.call("htable.reload", f"exc_{slot}", seconds=LOAD_SECONDS)
        for table in ("rt", "win"):
            self._rpc.call("htable.reload", f"{table}_{slot}", seconds=LOAD_SECONDS)
        self._rpc.call("mtree.reload", f"geo_{slot}", seconds=LOAD_SECONDS)
        self._load_addresses()

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
        active = self._active()
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
        key = f"drain:{site_code}"
        with self._database() as database, database.transaction():
            database.execute("delete from switch.drains where site_code = %s", [site_code])
            if until is None:
                self._rpc.many([("htable.delete", ("ctl", key))])
                return
            database.execute("insert into switch.drains values (%s, %s)", [site_code, until])
            self._rpc.call("htable.sets", "ctl", key, str(math.ceil(until.timestamp())))

    def ask(self, question: Question) -> Answer | None:
        """Ask over SIP, at the address for questions."""
        [answer] = ask(self.probe_address(), self._secret, [question])
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
        with dbapi.connect(self._dsn) as connection, connection.cursor() as cursor:
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
            found += self._differences(database, slot, content)
        if not found:
            found += self._probe(slot, version, content)
        return Reading(version, content, tuple(found[:PROBLEMS_REPORTED]), fence)

    # The switch's memory

    def _differences(self, database: psycopg.Connection[Any], slot: str, content: Content) -> Iterator[str]:
        """Where the slot's memory differs from its tables."""
        stats = {table["name"]: int(table["all"]) for table in self._rpc.call("htable.stats")}
        for name in ("rt", "win"):
            table = f"{name}_{slot}"
            rows = database.execute(f"select key_name, key_value from switch.{table}").fetchall()
            yield from _miscounted(table, stats.get(table, 0), len(rows))
            yield from self._compare(table, dict(rows))
        rows = database.execute(
            "select key_name, key_value from switch.ctl where key_name <> 'active'"
        ).fetchall()
        flags = self._rpc.many([("htable.get", ("ctl", key)) for key in ("active", "clock_offset")])
        yield from _miscounted("ctl", stats.get("ctl", 0), len(rows) + sum(map(bool, flags)))
        yield from self._compare("ctl", dict(rows))
        exceptions = content.frames["exceptions"]
        sampled = exceptions.sample(min(SAMPLED_EXCEPTIONS, exceptions.height), seed=secrets.randbits(31))
        expected = {number[1:]: zone for number, zone in sampled.select("number", "zone_code").iter_rows()}
        expected["_v"] = _version(database, slot) or ""
        table = f"exc_{slot}"
        yield from _miscounted(table, stats.get(table, 0), exceptions.height + 1)
        yield from self._compare(table, expected, are_secret=True)
        table = f"geo_{slot}"
        rows = database.execute(f"select tprefix, tvalue from switch.{table}").fetchall()
        summary = {tree["table"]: tree["item"] for tree in self._rpc.call("mtree.summary")}
        yield from _miscounted(table, int(summary.get(table, {}).get("nritems", 0)), len(rows))
        answers = self._rpc.many([("mtree.match", (table, prefix, 0)) for prefix, _ in rows])
        for (prefix, zone), answer in zip(rows, answers, strict=True):
            match: dict[str, str] = answer[1] if answer else {}
            found = match.get("PREFIX"), match.get("TVALUE")
            if found != (prefix, zone):
                yield f"{table} has {found[1]} for prefix {prefix} in memory, {zone} in its table"

    def _compare(self, table: str, expected: dict[str, str], *, are_secret: bool = False) -> Iterator[str]:
        answers = self._rpc.many([("htable.get", (table, key)) for key in expected])
        for (key, value), answer in zip(expected.items(), answers, strict=True):
            found = (answer or {}).get("item", {}).get("value")
            if found != value:
                name = "a number" if are_secret and key != "_v" else key
                yield f"{table} has {found} for {name} in memory, {value} in its table"

    def _load_keys(self, slot: str, removed: pl.DataFrame, added: pl.DataFrame, version: str) -> None:
        table = f"exc_{slot}"
        self._rpc.many([("htable.delete", (table, number[1:])) for number in removed["number"]])
        rows = added.select("number", "zone_code").iter_rows()
        self._rpc.many([("htable.sets", (table, number[1:], zone)) for number, zone in rows])
        self._rpc.call("htable.sets", table, "_v", version)
        keys = itertools.chain(((number, None) for number in removed["number"]), added.iter_rows())
        wanted = [(number[1:], zone) for number, zone in keys]
        for (_, zone), answer in zip(
            wanted, self._rpc.many([("htable.get", (table, key)) for key, _ in wanted]), strict=True
        ):
            if (answer or {}).get("item", {}).get("value") != zone:
                raise RoutingRefused(f"the switch did not take every change of {table}; see its log")

    def _load_addresses(self) -> None:
        """Reload the dispatcher, but only if sites have changed: a reload forgets which sites are down."""
        with self._database() as database:
            rows = database.execute("select destination from switch.dispatcher").fetchall()
        [listed] = self._rpc.many([("dispatcher.list", ())])  # an error if it has none yet
        held = {
            target["DEST"]["URI"]
            for record in _list((listed or {}).get("RECORDS", []))
            for target in _list(record["SET"]["TARGETS"])
        }
        if held != {row[0] for row in rows}:
            self._rpc.call("dispatcher.reload")

    def _require_memory(self, exceptions: int) -> None:
        free = int(self._rpc.call("core.shmmem", "m")["free"])
        needed = exceptions * EXCEPTION_BYTES >> 20  # a reload holds the new copy beside the old one
        if needed > free:
            raise RoutingRefused(
                f"the switch has {free} MB of shared memory left, {exceptions:,} exceptions need {needed} MB "
                "while they are loaded: start it with more (PARC_SWITCH_MEMORY_MB)"
            )

    def _active(self) -> str | None:
        [answer] = self._rpc.many([("htable.get", ("ctl", "active"))])
        return str(answer["item"]["value"]) if answer else None

    def _version_in_memory(self, table: str) -> str | None:
        [answer] = self._rpc.many([("htable.get", (table, "_v"))])
        return str(answer["item"]["value"]) if answer else None

    def _flip(self, database: psycopg.Connection[Any], slot: str | None, fence: int) -> None:
        """Change database and memory. The transaction is committed once the switch confirms the change."""
        with database.transaction():
            row = database.execute("select active, fence from switch.control for update").fetchone()
            assert row is not None
            active, newest = row
            if newest > fence:
                raise RoutingRefused(
                    f"another release (token {newest}) has reached the switch since this one (token {fence}) "
                    "began; this one stops: see `parc routing status`"
                )
            previous = active if slot != active else _other(slot) if slot else None
            database.execute(
                "update switch.control set active = %s, previous = %s, fence = %s", [slot, previous, fence]
            )
            if slot is None:
                self._rpc.call("htable.delete", "ctl", "active")
            else:
                self._rpc.call("htable.sets", "ctl", "active", slot)
            if self._active() != slot:
                raise RoutingRefused(f"the switch did not flip to slot {slot}; see its log")

    # Probes

    def _probe(self, slot: str, version: str, content: Content) -> Iterator[str]:
        """The zones, markets and bands whose calls would not go where the release says."""
        expected = []
        for (zone, market, band), question in questions(content, slot).items():
            rows = content.frames["routes"].filter(zone_code=zone, market=market, band=band)
            expected.append((question, zone, market, band, _places(rows)))
        answers = ask(self.probe_address(), self._secret, [each[0] for each in expected])
        for (_, zone, market, band, sites), answer in zip(expected, answers, strict=True):
            what = f"a call of zone {zone}, market {market}, {band}"
            if answer.version != version or answer.slot != slot:
                yield f"{what} is answered by {answer.version} in slot {answer.slot}"
            elif (answer.zone_code, answer.market, answer.band) != (zone, market, band):
                yield (
                    f"{what} is taken for zone {answer.zone_code}, market {answer.market}, {answer.band} "
                    f"at {answer.at:%Y-%m-%dT%H:%M:%SZ}"
                )
            elif set(answer.sites) != sites:
                yield f"{what} would go to other sites than the release says"

    def probe_address(self) -> tuple[str, int]:
        """The address at which the switch answers questions: the second one on which it listens."""
        sockets = [each["socket"] for each in _list(self._rpc.call("core.sockets_list"))]
        if len(sockets) < 2:
            raise ConfigurationError("the switch listens only for calls, not for questions (PROBES_SOCKET)")
        return sockets[1]["ipaddress"], int(sockets[1]["port"])

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
                f"the switch's database does not answer ({str(error).strip()}); calls go on by what the "
                "switch has in memory. `parc up` starts the platform's own"
            ) from None


def questions(content: Content, slot: str) -> dict[tuple[str, str, str], Question]:
    """One question for each zone, market and band that some caller reaches at some instant."""
    frames = content.frames
    callers = {NATIONAL_ZONE: ANONYMOUS}
    exact = frames["exceptions"].group_by("zone_code").agg(pl.col("number").min())
    callers |= {zone: number for zone, number in exact.iter_rows() if zone != NATIONAL_ZONE}
    zones = dict(frames["prefixes"].iter_rows())
    lowest = {prefix: prefix.ljust(NATIONAL_DIGITS, "0") for prefix in sorted(zones, key=len)}
    known = pl.Series([f"+33{number[1:]}" for number in lowest.values()], dtype=pl.String)
    taken = set(known.filter(known.is_in(frames["exceptions"]["number"].implode())))
    for prefix, number in lowest.items():
        zone = zones[prefix]
        if zone != NATIONAL_ZONE and f"+33{number[1:]}" not in taken and _longest(zones, number) == prefix:
            callers[zone] = number
    dialled = dict(frames["services"].select("market", "dialled_number").iter_rows())
    pairs = frames["routes"].select("zone_code", "market").unique()
    return {
        (zone, market, band): Question(callers[zone], dialled[market], at, slot)
        for zone, market, band, at in _instants(frames, pairs).iter_rows()
        if zone in callers and market in dialled
    }


def _longest(zones: dict[str, str], number: str) -> str | None:
    return next((number[:size] for size in range(len(number), 0, -1) if number[:size] in zones), None)


def _instants(frames: Frames, pairs: pl.DataFrame) -> pl.DataFrame:
    """(zone_code, market, band, instant): the last opening or closing of a window at which the pair has that
    band."""
    windows = frames["windows"]
    moments = pl.concat([windows["opens_at"], windows["closes_at"]]).unique().alias("half_hour_at")
    bands = with_band(pairs.join(moments.to_frame(), how="cross"), "zone_code", frames, "band")
    return bands.group_by("zone_code", "market", "band").agg(pl.col("half_hour_at").max())


def _places(routes: pl.DataFrame) -> set[tuple[int, str, int]]:
    """(priority, site_code, weight), with priorities as the switch numbers them: 1, 2, 3, without gaps."""
    place = pl.col("priority").rank("dense").cast(pl.Int32)
    return set(routes.select(place, "site_code", "weight").iter_rows())


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


def _miscounted(table: str, count: int, rows: int) -> Iterator[str]:
    if count != rows:
        yield f"{table} has {count} entries in memory, {rows} in its table"


def _version(database: psycopg.Connection[Any], slot: str) -> str | None:
    row = database.execute(f"select version from slot_{slot}.release").fetchone()
    return str(row[0]) if row else None


def _other(slot: str | None) -> str:
    return "b" if slot == "a" else "a"


def _list(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]
