"""Compares a release to Kamailio with a bare COPY and reload of the same tables.

A table of 18,000 prefixes and five million exact numbers is released to a running switch, then one in which
fifty thousand numbers differ, then one in which a single one does. "Bare" is the unavoidable part: COPY into
tables with the same keys, and the switch's own reload; no diff, no read-back, no probes. Run by
`make bench-switch`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import psycopg

from parc.host import programs
from parc.routing.switches import KAMAILIO, Release, local
from parc.routing.switches.binrpc import Rpc
from parc.routing.switches.kamailio import KamailioSwitch
from parc.routing.table.content import SHAPES, Content
from parc.routing.table.diff import diff
from parc.settings import OwnSwitch, Settings
from parc.warehouse import embedded

ZONES = [f"{code:02}" for code in range(30)]
PREFIXES = 18_000
FIRST_NUMBER = 600_000_000


def content(exceptions: int, changed: int = 0) -> Content:
    """A table with this many exceptions, of which the first `changed` go to another zone."""
    numbers = pl.select(index=pl.int_range(exceptions, dtype=pl.Int64)).select(
        number=pl.lit("+33") + (pl.col("index") + FIRST_NUMBER).cast(pl.String),
        zone_code=((pl.col("index") + (pl.col("index") < changed)) % len(ZONES)).cast(pl.String).str.zfill(2),
    )
    prefixes = pl.select(index=pl.int_range(PREFIXES, dtype=pl.Int64)).select(
        prefix=pl.lit("0") + (pl.col("index") + 10_000).cast(pl.String),
        zone_code=(pl.col("index") % len(ZONES)).cast(pl.String).str.zfill(2),
    )
    days = [datetime(2012, 4, 1, 6, tzinfo=UTC) + timedelta(days=day) for day in range(122)]
    zones = ["*", *ZONES]
    return Content.of(
        {
            "services": pl.DataFrame({"dialled_number": ["3900", "3901"], "market": ["internet", "fixe"]}),
            "prefixes": prefixes,
            "exceptions": numbers,
            "windows": pl.DataFrame(
                [(zone, day, day + timedelta(hours=12)) for zone in zones for day in days],
                schema=["zone_code", "opens_at", "closes_at"],
                orient="row",
            ),
            "routes": pl.DataFrame(
                [
                    (zone, market, band, priority, f"SITE_{site}", 10)
                    for zone in zones
                    for market in ("internet", "fixe")
                    for band in ("open", "closed")
                    for priority in (1, 2)
                    for site in range(4)
                ],
                schema=list(SHAPES["routes"].columns),
                orient="row",
            ),
            "sites": pl.DataFrame(
                [(f"SITE_{site}", f"sip:site{site}@127.0.0.1:{5400 + site}") for site in range(4)],
                schema=["site_code", "sip_address"],
                orient="row",
            ),
        }
    )


def timed(what: str, act: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.monotonic()
    result = act()
    seconds = time.monotonic() - begun
    print(f"  {what:<34}{seconds:8.1f} s", flush=True)
    return seconds, result


def released(switch: KamailioSwitch, version: str, desired: Content, fence: int) -> tuple[float, float]:
    """Plan, stage, verify, flip and read back, as a release does; returns the seconds until calls went by it,
    and until it was read back."""
    begun = time.monotonic()
    live = timed("read the live table", switch.read_live)[1]
    timed("diff", lambda: diff(live.content if live else None, desired))
    timed("stage", lambda: switch.stage(Release(version, desired, {})))
    staged = timed("verify the idle slot, with probes", lambda: switch.verify(version))[1]
    assert staged.digest == desired.digest and not staged.problems, staged.problems
    timed("flip", lambda: switch.activate(version, fence))
    flipped = time.monotonic()
    back = timed("read back the live slot", switch.read_live)[1]
    assert back.digest == desired.digest and not back.problems, back.problems
    return flipped - begun, time.monotonic() - begun


def bare(settings: Settings, desired: Content) -> float:
    """COPY into the recreated tables of the idle slot, and the switch's own reload."""
    begun = time.monotonic()
    files = desired.files
    rpc = Rpc(local.socket(settings))
    slot = "b" if rpc.call("htable.get", "ctl", "active")["item"]["value"] == "a" else "a"

    def copy() -> None:
        with psycopg.connect(local.database(settings)) as database, database.cursor() as cursor:
            for name in SHAPES:
                cursor.execute(f"truncate slot_{slot}.{name}".encode())
                with cursor.copy(f"copy slot_{slot}.{name} from stdin (format csv, header)".encode()) as into:
                    into.write(files[name])

    timed("COPY", copy)
    timed(
        "reload",
        lambda: (
            [rpc.call("htable.reload", f"{table}_{slot}", seconds=600) for table in ("exc", "rt", "win")]
            + [rpc.call("mtree.reload", f"geo_{slot}", seconds=600)]
        ),
    )
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exceptions", type=int, default=5_000_000)
    parser.add_argument("--changed", type=int, default=50_000)
    given = parser.parse_args()
    os.environ.setdefault("PARC_SWITCH_MEMORY_MB", "4096")
    with tempfile.TemporaryDirectory(prefix="parc-bench-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        settings = Settings(
            home=home, landing=str(home / "landing"), switch=KAMAILIO, own_switch=OwnSwitch.from_env()
        )
        embedded.start(settings)
        local.start(settings)
        try:
            switch = KamailioSwitch(local.socket(settings), local.database(settings), local.secret(settings))
            first, second = content(given.exceptions), content(given.exceptions, given.changed)
            for each in (first, second):
                assert each.digest  # encoded once, outside the clock
            print(f"release of {PREFIXES:,} prefixes and {given.exceptions:,} exceptions, on an empty switch")
            released(switch, "1", first, 1)
            print("the same on the other slot: both are full now")
            _, whole = released(switch, "2", second, 2)
            print(f"release in which {given.changed:,} exceptions differ")
            _, part = released(switch, "3", first, 3)
            print("release in which one exception differs, as of one number sent to another zone by hand")
            released(switch, "4", first, 4)  # both slots hold the same, as after a quiet night
            live, one = released(switch, "5", content(given.exceptions, 1), 5)
            print("bare: COPY and reload of the whole table")
            limit = bare(settings, second)
            process = psutil.Process(programs.kamailio(settings).pid)
            memory = Rpc(local.socket(settings)).call("core.shmmem", "m")
            print(
                f"switch: {memory['real_used']} MB of shared memory in use, "
                f"{memory['max_used']} MB at most; release: "
                f"{psutil.Process().memory_info().rss >> 20} MB resident; pid {process.pid}"
            )
            print(f"whole release / bare COPY and reload: {whole / limit:.2f} x")
            print(f"release of {given.changed:,} changes / bare COPY and reload: {part / limit:.2f} x")
            print(f"release of one change: live after {live:.1f} s, read back after {one:.1f} s")
        finally:
            local.stop(settings)
            embedded.stop(settings)


if __name__ == "__main__":
    main()
