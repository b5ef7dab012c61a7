"""A warehouse that crashes, and disks that fill up, during a load: reported in one line, and the next run
ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from psycopg import OperationalError, sql

from parc.settings import Settings
from parc.warehouse import connect, embedded, logins, migrate
from support.deliveries import DAY, as_csv, deliver, ledger, legs, published, query
from support.disks import mounted
from support.disturbances import check_reported, ingesting, reached, state

DISK_MB = 256
FIRST, SECOND = 900, 2_500
"""Legs of the day as it is published, and as it is delivered again."""

CRASHES = {"stopped at once": signal.SIGQUIT, "killed": signal.SIGKILL}


@contextmanager
def full(disk: Path, room_kb: int) -> Iterator[None]:
    """Fill the disk until only this much space is left."""
    found = os.statvfs(disk)
    with tempfile.NamedTemporaryFile(dir=disk, prefix="ballast") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, found.f_bavail * found.f_frsize - room_kb * 1024)
        yield


@pytest.fixture(scope="module")
def private() -> Iterator[Settings]:
    """An embedded server for these tests, entirely on a small disk."""
    with tempfile.TemporaryDirectory(prefix="parc-test-") as name:
        Path(name).chmod(0o755)
        with mounted(Path(name) / "home", DISK_MB) as home:
            landing = Path(name) / "landing"
            landing.mkdir()
            settings = Settings(home=home, landing=str(landing), switch=str(home / "switch"))
            embedded.start(settings)
            try:
                migrate(settings)
                with embedded.superuser(settings) as connection:
                    connection.execute("alter system set max_wal_size = '64MB'")
                    connection.execute("select pg_reload_conf()")
                    connection.execute("create database pristine template parc")
                yield settings
            finally:
                embedded.stop(settings)


def begin(settings: Settings) -> None:
    """Empty the warehouse, publish a day in it, and deliver the day again."""
    with embedded.superuser(settings) as connection:
        parc = sql.Identifier(embedded.DATABASE)
        connection.execute(sql.SQL("drop database {} with (force)").format(parc))
        create = sql.SQL("create database {} template pristine owner {}")
        connection.execute(create.format(parc, sql.Identifier(embedded.LOGIN)))
    with connect(settings, "admin") as owner:
        logins.give_database(owner)
    deliver(settings, "calls", DAY, calls__csv=as_csv(legs(FIRST)))
    assert ingesting(settings, "calls", DAY).wait() == 0
    rows = legs(SECOND)
    rows[7]["market"] = "fax"
    deliver(settings, "calls", DAY, a__csv=as_csv(rows[:1_500]), b__csv=as_csv([*rows[1_500:], rows[3]]))
    with embedded.superuser(settings) as connection:
        connection.execute("checkpoint")


@pytest.fixture(scope="module")
def undisturbed(private: Settings) -> tuple[float, object]:
    """Seconds that the second delivery takes, and what it leaves."""
    begin(private)
    started = time.monotonic()
    load = ingesting(private, "calls", DAY)
    assert load.wait() == 0, load.output
    seconds = time.monotonic() - started
    assert [row[1:] for row in ledger(private)] == [
        ("superseded", FIRST, FIRST, 0, 0),
        ("published", SECOND + 1, SECOND - 1, 2, 2),
    ]
    return seconds, state(private)


def crash(settings: Settings, how: str) -> None:
    """Kill the server, and wait until all its processes are gone."""
    pid = int((settings.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    everyone = [server, *server.children(recursive=True)]
    os.kill(pid, CRASHES[how])
    _, alive = psutil.wait_procs(everyone, timeout=60)
    assert not alive


@pytest.mark.parametrize(
    ("how", "count"),
    [("stopped at once", 1), *(pytest.param(how, 20, marks=pytest.mark.soak) for how in CRASHES)],
)
def test_the_server_crashes(
    private: Settings, undisturbed: tuple[float, object], how: str, count: int
) -> None:
    seconds, left = undisturbed
    hits: Counter[str] = Counter()
    for seed in range(count):
        chance = random.Random(f"{how} {seed}")
        begin(private)
        load = ingesting(private, "calls", DAY)
        # One alone dies where most is at stake.
        load.wait(chance.uniform(0, seconds) if count > 1 else 0.5 * seconds)
        crash(private, how)
        check_reported(load)
        embedded.start(private)
        hits[reached(private, 1)] += 1
        assert len(published(private)) in (FIRST, SECOND - 1), "half a day"
        runs = [ingesting(private, "calls", DAY) for _ in range(chance.choice((1, 2)))]
        for run in runs:
            assert run.wait() == 0, run.output
        assert state(private) == left
    print(f"\nserver {how} {count} times: {dict(hits.most_common())}")


LINES = 5
"""What a full disk is reported in: what happened, three steps, and how a shell calls `parc`."""

ROOMS_KB = [64, *(pytest.param(room, marks=pytest.mark.soak) for room in (0, 128, 256, 512, 1_024, 4_096))]


@pytest.mark.parametrize("room_kb", ROOMS_KB)
def test_the_disk_of_the_warehouse_is_full(
    private: Settings, undisturbed: tuple[float, object], room_kb: int
) -> None:
    begin(private)
    with full(private.home, room_kb):
        load = ingesting(private, "calls", DAY)
        code = load.wait()
        print(f"\n{room_kb} kB of room: {code} {load.output}")
        if room_kb == 64:
            assert code == 3 and load.output.count("\n") == LINES
            assert load.output.startswith("parc: calls 2012-04-25: the disk of the warehouse is full (")
            assert ": parc maintain --dry-run" in load.output
        check_reported(load)
        if code:
            assert len(published(private)) == FIRST, "what is published can be read"
    again = ingesting(private, "calls", DAY)
    assert again.wait() == 0, again.output
    assert state(private) == undisturbed[1]


@pytest.mark.soak
def test_the_disk_is_full_under_the_servers_log(private: Settings, undisturbed: tuple[float, object]) -> None:
    """Then the server stops by itself, and starts again once there is space."""
    begin(private)
    pid = psutil.Process(int((private.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]))
    with full(private.home, 0):
        with pytest.raises(OperationalError), embedded.superuser(private) as connection:
            for _ in range(100):
                connection.execute("select pg_current_xact_id()")
                connection.execute("select pg_switch_wal()")
        load = ingesting(private, "calls", DAY)
        assert load.wait() == 3, load.output
        print(f"\nwithout room for the log: {load.output}")
        check_reported(load)
        pid.wait(60)
    embedded.start(private)
    assert len(published(private)) == FIRST
    again = ingesting(private, "calls", DAY)
    assert again.wait() == 0, again.output
    assert state(private) == undisturbed[1]


@pytest.mark.parametrize("needs", ["copies of the files", "the page of the audit"])
def test_the_disk_of_the_home_is_full(warehouse: Settings, tmp_path: Path, needs: str) -> None:
    warehouse.secret("pseudonym_secret")
    with mounted(tmp_path / "home", 4) as home:
        (home / "secrets").symlink_to(warehouse.home / "secrets")
        settings = replace(warehouse, home=home)
        deliver(settings, "calls", DAY, calls__csv=as_csv(legs(300)))
        if needs == "copies of the files":
            settings = replace(settings, landing=f"simplecache::file://{settings.landing}")
        with full(home, 0):
            load = ingesting(settings, "calls", DAY)
            assert load.wait() == 3, load.output
            assert load.output.startswith(f"parc: calls 2012-04-25: the disk of {home} is full ([Errno 28]")
            assert load.output.count("\n") == LINES
            assert query(settings, "select count(*) from ops.delivery where status = 'published'") == [(0,)]
        again = ingesting(settings, "calls", DAY)
        assert again.wait() == 0, again.output
        assert ledger(settings) == [(1, "published", 300, 300, 0, 0)]
        state(settings)
