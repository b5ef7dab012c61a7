"""The shared memory of a running Kamailio, which decides where calls go."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import polars as pl
import psycopg

from parc.errors import ConfigurationError, RoutingRefused
from parc.routing.switches.binrpc import Rpc

LOAD_SECONDS = 300
BY_KEY_ROWS = 100_000
SAMPLED_EXCEPTIONS = 1_000
EXCEPTION_BYTES = 200
"""Shared memory of one exception in a slot: 5 million take 0.9 GB."""


class Memory:
    """The tables in memory: for each slot exceptions (`exc`), prefixes (`geo`), windows (`win`) and routes
    (`rt`), and `ctl` with the live slot and the drains. Reached over the switch's RPC socket."""

    def __init__(self, socket: str) -> None:
        self._rpc = Rpc(socket)

    def active(self) -> str | None:
        """The live slot; None if there is none."""
        [answer] = self._rpc.many([("htable.get", ("ctl", "active"))])
        return str(answer["item"]["value"]) if answer else None

    def set_active(self, slot: str | None) -> None:
        """Make a slot the live one; None leaves none. Raises RoutingRefused when the switch does not obey."""
        if slot is None:
            self._rpc.call("htable.delete", "ctl", "active")
        else:
            self._rpc.call("htable.sets", "ctl", "active", slot)
        if self.active() != slot:
            raise RoutingRefused(f"the switch did not flip to slot {slot}; see its log")

    def version(self, slot: str) -> str | None:
        """The version whose exceptions a slot has in memory."""
        [answer] = self._rpc.many([("htable.get", (f"exc_{slot}", "_v"))])
        return str(answer["item"]["value"]) if answer else None

    def drain(self, site_code: str, until: datetime | None) -> None:
        """Drain a site until an instant; None ends the drain."""
        key = f"drain:{site_code}"
        if until is None:
            self._rpc.many([("htable.delete", ("ctl", key))])
        else:
            self._rpc.call("htable.sets", "ctl", key, str(math.ceil(until.timestamp())))

    def require_room(self, exceptions: int) -> None:
        """Raises RoutingRefused when there is too little memory to load this many exceptions."""
        free = int(self._rpc.call("core.shmmem", "m")["free"])
        needed = exceptions * EXCEPTION_BYTES >> 20  # a reload holds the new copy beside the old one
        if needed > free:
            raise RoutingRefused(
                f"the switch has {free} MB of shared memory left, {exceptions:,} exceptions need {needed} MB "
                "while they are loaded: start it with more (PARC_SWITCH_MEMORY_MB)"
            )

    def load(self, slot: str, version: str, changes: tuple[pl.DataFrame, pl.DataFrame] | None) -> None:
        """Load a slot from its tables.

        `changes` are the exceptions (number, zone_code) removed and added since the version in memory; None
        if it is unknown. Up to 100,000 changes are made one by one, more by a reload.
        """
        if changes and sum(frame.height for frame in changes) <= BY_KEY_ROWS:
            self._load_keys(slot, *changes, version)
        else:
            self._rpc.call("htable.reload", f"exc_{slot}", seconds=LOAD_SECONDS)
        for table in ("rt", "win"):
            self._rpc.call("htable.reload", f"{table}_{slot}", seconds=LOAD_SECONDS)
        self._rpc.call("mtree.reload", f"geo_{slot}", seconds=LOAD_SECONDS)

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

    def load_addresses(self, wanted: Collection[str]) -> None:
        """Reload the dispatcher, but only if sites have changed: a reload forgets which sites are down."""
        [listed] = self._rpc.many([("dispatcher.list", ())])  # an error if it has none yet
        held = {
            target["DEST"]["URI"]
            for record in _list((listed or {}).get("RECORDS", []))
            for target in _list(record["SET"]["TARGETS"])
        }
        if held != set(wanted):
            self._rpc.call("dispatcher.reload")

    def differences(
        self, database: psycopg.Connection[Any], slot: str, version: str, exceptions: pl.DataFrame
    ) -> Iterator[str]:
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
        sampled = exceptions.sample(min(SAMPLED_EXCEPTIONS, exceptions.height), seed=secrets.randbits(31))
        expected = {number[1:]: zone for number, zone in sampled.select("number", "zone_code").iter_rows()}
        expected["_v"] = version
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

    def probe_address(self) -> tuple[str, int]:
        """The address at which the switch answers questions: the second one on which it listens."""
        sockets = [each["socket"] for each in _list(self._rpc.call("core.sockets_list"))]
        if len(sockets) < 2:
            raise ConfigurationError("the switch listens only for calls, not for questions (PROBES_SOCKET)")
        return sockets[1]["ipaddress"], int(sockets[1]["port"])


def _miscounted(table: str, count: int, rows: int) -> Iterator[str]:
    if count != rows:
        yield f"{table} has {count} entries in memory, {rows} in its table"


def _list(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]
