"""Compares a checked load of a national day with loads that check nothing.

One day of calls is loaded repeatedly, by each loader in turn: ours from CSV, gzipped CSV and Parquet (read,
checked, pseudonymised, deduplicated, published; without the suite that judges whole deliveries), `COPY` of
the rows that ours publishes (as clean CSV and in binary) into the same table, `COPY` of the delivered CSV as
it is, dlt and sling. Then ours by stage, from a file twenty times as large, and over a backfill; finally the
nation's line assignments, and the same again with one in a hundred changed. Run by `make bench-ingest`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from psycopg import sql

from parc import feeds, quality
from parc.feeds import Type
from parc.loading import binarycopy, ingest
from parc.loading.landing import collect
from parc.loading.load import STATISTICS_TARGET
from parc.loading.reader import read
from parc.loading.rows import RowRules, key_hashes
from parc.pseudonyms import Pseudonyms
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, dsn, embedded, migrate, partitions

DAY = date(2012, 4, 24)
CALLS = feeds.get("calls")
PIECE_BYTES = 1 << 20


@contextmanager
def server(folder: Path) -> Iterator[Settings]:
    """A separate PostgreSQL with the platform's schemas; no suite is run on what is loaded."""
    folder.chmod(0o755)
    settings = Settings(home=folder / "home", landing=str(folder / "landing"), switch=str(folder / "switch"))
    embedded.start(settings)
    try:
        migrate(settings)
        with connect(settings, "admin") as connection:
            connection.execute("create schema bench")
        quality.check_delivery = lambda *_: quality.Verdict(passed=True)  # type: ignore[assignment]
        yield settings
    finally:
        embedded.stop(settings)


def execute(settings: Settings, *commands: str) -> None:
    with connect(settings, "admin", autocommit=True) as connection:
        for command in commands:
            connection.execute(command.encode())


def forget(settings: Settings) -> None:
    """Reset to the state before any delivery."""
    execute(settings, "drop table if exists raw.calls", "truncate ops.delivery cascade")


def deliver(settings: Settings, day: date, source: Path) -> None:
    """Make `source` the only file delivered for that day."""
    folder = Path(settings.landing) / "calls" / f"date={day}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.link(source, folder / source.name)


def ours(settings: Settings, source: Path) -> Callable[[], None]:
    def run() -> None:
        outcome = ingest(settings, "calls", DAY)
        assert outcome.status == "published", outcome.message

    forget(settings)
    deliver(settings, DAY, source)
    return run


def copy(settings: Settings, source: Path, columns: str, form: str) -> Callable[[], None]:
    """A plain COPY of a file into an existing empty table."""

    def run() -> None:
        command = f"copy bench.copied from stdin (format {form})"
        with (
            connect(settings, "admin") as connection,
            connection.cursor() as cursor,
            cursor.copy(command.encode()) as into,
            source.open("rb") as stream,
        ):
            while piece := stream.read(PIECE_BYTES):
                into.write(piece)

    execute(settings, "drop table if exists bench.copied", f"create table bench.copied ({columns})")
    return run


def dlt(settings: Settings, source: Path, folder: Path) -> Callable[[], None]:
    """dlt by its fastest route (Arrow tables in, CSV files to COPY), in a separate process, without
    imports."""
    import dlt as library
    import pyarrow as pa
    from pyarrow import csv

    arrow = {Type.INSTANT: pa.timestamp("us", "UTC"), Type.SMALLINT: pa.int16(), Type.INTEGER: pa.int32()}
    types = {column.name: arrow.get(column.type, pa.string()) for column in CALLS.file_columns}
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

    def run() -> None:
        pipeline = library.pipeline(
            "bench",
            pipelines_dir=str(folder / "dlt"),
            dataset_name="dlt",
            progress=None,
            destination=library.destinations.postgres(dsn(settings, "admin").split("?")[0]),
        )
        rows = library.resource(
            (pa.Table.from_batches([batch]) for batch in csv.open_csv(source, convert_options=options)),
            name="calls",
            write_disposition="replace",
        )
        pipeline.run(rows, loader_file_format="csv").raise_on_failed_jobs()

    shutil.rmtree(folder / "dlt", ignore_errors=True)
    execute(settings, "drop schema if exists dlt cascade")
    return run


def sling(settings: Settings, source: Path) -> Callable[[], None]:
    import sling_linux_amd64

    program = Path(sling_linux_amd64.__file__).parent / "bin" / "sling-linux-amd64"
    program.chmod(0o755)
    environment = os.environ | {
        "PARC": dsn(settings, "admin").split("?")[0] + "?sslmode=disable",
        "SLING_DISABLE_TELEMETRY": "true",
    }
    command = [
        str(program),
        "run",
        "--src-stream",
        f"file://{source}",
        "--tgt-conn",
        "PARC",
        "--tgt-object",
        "bench.sling",
        "--mode",
        "full-refresh",
    ]

    def run() -> None:
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    execute(settings, "drop table if exists bench.sling")
    return run


def rows_of(settings: Settings, table: str) -> int:
    with connect(settings, "admin") as connection:
        row = connection.execute(f"select count(*) from {table}".encode()).fetchone()
    assert row
    return int(row[0])


def timed(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def exported(settings: Settings, folder: Path) -> tuple[Path, Path]:
    """The published rows of the day, as clean CSV and in binary."""
    paths = folder / "clean.csv", folder / "clean.bin"
    with connect(settings, "admin") as connection, connection.cursor() as cursor:
        for path, form in zip(paths, ("csv", "binary"), strict=True):
            command = f"copy (select * from raw.calls) to stdout (format {form})"
            with path.open("wb") as stream, cursor.copy(command.encode()) as out:
                for piece in out:
                    stream.write(piece)
    return paths


def side_by_side(settings: Settings, files: dict[str, Path], rounds: int, folder: Path) -> dict[str, float]:
    """Median seconds of each loader, in turn."""
    ours(settings, files["csv"])()
    clean, binary = exported(settings, folder)
    published = rows_of(settings, "raw.calls")
    stored = ", ".join(f"{column.name} {column.type.sql}" for column in CALLS.stored_columns)
    delivered = ", ".join(f"{column.name} {column.type.sql}" for column in CALLS.file_columns)
    contestants: dict[str, tuple[Callable[[], Callable[[], None]], str]] = {
        "COPY CSV": (lambda: copy(settings, clean, stored, "csv"), "bench.copied"),
        "COPY binary": (lambda: copy(settings, binary, stored, "binary"), "bench.copied"),
        "COPY of the delivered CSV": (
            lambda: copy(settings, files["csv"], delivered, "csv, header"),
            "bench.copied",
        ),
        "ours": (lambda: ours(settings, files["csv"]), "raw.calls"),
        "ours, gzipped": (lambda: ours(settings, files["gz"]), "raw.calls"),
        "ours, Parquet": (lambda: ours(settings, files["parquet"]), "raw.calls"),
        "dlt": (lambda: dlt(settings, files["csv"], folder), "dlt.calls"),
        "sling": (lambda: sling(settings, files["csv"]), "bench.sling"),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        for name, (prepare, table) in contestants.items():
            took = timed(prepare())
            assert rows_of(settings, table) == published, name
            if turn:  # the first round warms up
                seconds[name].append(took)
    execute(settings, "drop schema if exists dlt cascade", "drop table if exists bench.sling")
    print(
        f"one day, {published:,} legs, {files['csv'].stat().st_size / 1e6:.0f} MB of CSV; medians of {rounds}"
    )
    for name, each in seconds.items():
        print(f"  {name:<28}{statistics.median(each):7.2f} s   ({min(each):.2f} to {max(each):.2f})")
    return {name: statistics.median(each) for name, each in seconds.items()}


def by_stage(settings: Settings, source: Path, rounds: int) -> None:
    """Our stages one after another; in a real load they overlap on two cores."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, took in stages(settings, source).items():
            seconds[name].append(took)
    count = rows_of(settings, "raw.calls")
    print("ours by stage, one after the other")
    for name, each in seconds.items():
        took = statistics.median(each)
        print(f"  {name:<28}{took:7.2f} s {count / took:>12,.0f} rows/s")


def stages(settings: Settings, source: Path) -> dict[str, float]:
    """Seconds of each stage of one load."""
    seconds: dict[str, float] = {}

    @contextmanager
    def clock(name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        seconds[name] = time.monotonic() - begun

    rules = RowRules(CALLS, DAY, Pseudonyms.of_settings(settings))
    # The same rules without what is derived: the difference is the price of the pseudonyms.
    bare = RowRules(replace(CALLS, columns=CALLS.file_columns), DAY, Pseudonyms.of_settings(settings))
    table = partitions.delivery_table(CALLS, DAY, 999_999)
    command = sql.SQL("copy {} from stdin (format binary, freeze)").format(table.identifier)
    deliver(settings, DAY, source)
    with clock("digest"), collect(settings, CALLS.name, DAY) as delivery:
        [file] = delivery.files
    with clock("split into rows and fields"):
        blocks = list(read(file, CALLS, DAY))
    with clock("types and row rules"):
        for block in blocks:
            bare.check_block(block, 1, "")
    with clock("pseudonyms"):
        frames = [rules.check_block(block, 1, "").rows for block in blocks]
    seconds["pseudonyms"] -= seconds["types and row rules"]
    with clock("hashes of the keys"):
        for frame in frames:
            key_hashes(frame, CALLS)
    with clock("encode"):
        payloads = [binarycopy.encode(frame) for frame in frames]
    with connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(f"set local default_statistics_target = {STATISTICS_TARGET}".encode())
        partitions.create_delivery_table(connection, CALLS, table, DAY)
        with clock("server: COPY binary"), cursor.copy(command) as into:
            for piece in (binarycopy.HEADER, *payloads, binarycopy.TRAILER):
                into.write(piece)
        with clock("server: analyze"):
            cursor.execute(sql.SQL("analyze {}").format(table.identifier))
        connection.rollback()
    return seconds


def memory(settings: Settings, sources: dict[str, Path]) -> None:
    """Seconds and peak memory of a load in a separate process."""
    for name, source in sources.items():
        forget(settings)
        deliver(settings, DAY, source)
        command = [sys.executable, __file__, "--one", str(settings.home), settings.landing]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        reported = json.loads(done.stdout.splitlines()[-1])
        print(
            f"  {name:<28}{reported['seconds']:7.2f} s "
            f"{reported['rows'] / reported['seconds']:>12,.0f} rows/s, "
            f"peak {reported['peak_mb']:,.0f} MB",
            flush=True,
        )


def one(home: str, landing: str) -> None:
    """Load the day in this process and return its peak memory."""
    quality.check_delivery = lambda *_: quality.Verdict(passed=True)  # type: ignore[assignment]
    settings = Settings(home=Path(home), landing=landing, switch="unused")
    begun = time.monotonic()
    outcome = ingest(settings, "calls", DAY)
    assert outcome.status == "published", outcome.message
    # Not ru_maxrss: that begins with the memory of the process that this one was forked from.
    [reported] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    peak = int(reported) / 1024
    print(json.dumps({"seconds": time.monotonic() - begun, "rows": outcome.rows_read, "peak_mb": peak}))


def enlarged(source: Path, target: Path, factor: int) -> Path:
    """A file of `factor` times the rows, with different keys."""
    head, _, body = source.read_bytes().partition(b"\n")
    assert head.startswith(b"call_id,")
    with target.open("wb") as stream:
        stream.write(head + b"\n")
        for number in range(factor):
            mark = f"{number:02}-".encode()
            stream.write(mark + body.rstrip(b"\n").replace(b"\n", b"\n" + mark) + b"\n")
    return target


def backfill(settings: Settings, folder: Path, days: int, scale: float) -> None:
    """Load consecutive days, then two feeds at the same time."""
    landing = folder / "backfill"
    first = DAY - timedelta(days=days - 1)
    simulate(first, DAY, scale=scale, seed=30, out=str(landing))
    there = Settings(home=settings.home, landing=str(landing), switch="unused")

    def load(feed: str, day: date) -> int:
        outcome = ingest(there, feed, day)
        assert outcome.status == "published", outcome.message
        return outcome.rows_read

    forget(settings)
    load("calls", DAY)
    alone = timed(lambda: (forget(settings), load("calls", DAY)))
    forget(settings)
    per_row: list[float] = []
    begun = time.monotonic()
    rows = 0
    for day in (first + timedelta(days=number) for number in range(days)):
        started = time.monotonic()
        count = load("calls", day)
        rows += count
        per_row.append((time.monotonic() - started) / count)
    whole = time.monotonic() - begun
    with connect(settings, "admin") as connection:
        row = connection.execute(
            "select rows_read from ops.delivery where business_date = %s", [DAY]
        ).fetchone()
    assert row
    print(
        f"{days} days of calls in a row: {rows:,} legs in {whole:.1f} s, {rows / whole:,.0f} rows/s; "
        f"the last day alone {row[0] / alone:,.0f} rows/s"
    )
    print(
        f"  a row of the last seven days / of the first seven: "
        f"{statistics.median(per_row[-7:]) / statistics.median(per_row[:7]):.2f} x"
    )
    print(f"  backfill / a day alone, rows a second: {(rows / whole) / (row[0] / alone):.2f} x")
    forget(settings)
    every = [first + timedelta(days=number) for number in range(days)]
    threads = [
        threading.Thread(target=lambda feed=feed: [load(feed, day) for day in every])
        for feed in ("calls", "boutique_visits")
    ]

    def at_once() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    both = timed(at_once)
    with connect(settings, "admin") as connection:
        row = connection.execute("select count(*) from ops.delivery where status = 'published'").fetchone()
    assert row == (2 * days,), row
    print(f"  calls and boutique visits at once: {2 * days} deliveries in {both:.1f} s, all published")


def assignments(settings: Settings, source: Path) -> None:
    """A snapshot of all line assignments, and a week later the same with one row in a hundred changed."""
    rows = pl.read_csv(source, infer_schema=False)
    line = pl.int_range(pl.len())
    another = pl.lit("+3399") + line.cast(pl.String).str.zfill(7)
    changed = rows.with_columns(
        pl.when(line % 500 == 0).then(another).otherwise(pl.col("number")).alias("number"),
        pl.when(line % 100 == 0)
        .then(pl.lit("2A"))
        .otherwise(pl.col("department_code"))
        .alias("department_code"),
    )
    forget(settings)
    execute(
        settings, "drop table if exists raw.line_assignments", "drop table if exists routing.line_assignment"
    )
    print(f"line assignments, {rows.height:,} numbers")
    for day, snapshot, what in (
        (DAY, rows, "the first snapshot"),
        (DAY + timedelta(days=7), changed, "the next one, 1 in 100 changed"),
    ):
        folder = Path(settings.landing) / "line_assignments" / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        snapshot.write_csv(folder / "line_assignments.csv")

        def load(day: date = day) -> None:
            outcome = ingest(settings, "line_assignments", day)
            assert outcome.status == "published", outcome.message

        print(f"  {what:<32}{timed(load):7.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the nation")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--factor", type=int, default=20, help="how much larger the large file is")
    parser.add_argument("--days", type=int, default=30, help="days of the backfill")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*given.one)
        return
    with tempfile.TemporaryDirectory(prefix="parc-bench-") as name, server(Path(name)) as settings:
        folder = Path(name)
        simulate(DAY, DAY, scale=given.scale, seed=1, out=str(folder / "simulated"))
        [packed] = (folder / "simulated" / "calls" / f"date={DAY}").glob("calls.csv*")
        text = gzip.decompress(packed.read_bytes()) if packed.suffix == ".gz" else packed.read_bytes()
        files = {
            "csv": folder / "calls.csv",
            "gz": folder / "calls.csv.gz",
            "parquet": folder / "calls.parquet",
        }
        files["csv"].write_bytes(text)
        files["gz"].write_bytes(gzip.compress(text, 6))
        pl.read_csv(files["csv"], infer_schema=False).write_parquet(files["parquet"])
        numbers = folder / "line_assignments.csv"
        (folder / "simulated" / "line_assignments" / f"date={DAY}" / numbers.name).rename(numbers)
        shutil.rmtree(folder / "simulated")
        medians = side_by_side(settings, files, given.rounds, folder)
        by_stage(settings, files["csv"], given.rounds)
        large = enlarged(files["csv"], folder / "large.csv", given.factor)
        print(f"peak memory of a process, the same day and one of {given.factor} times its rows")
        memory(settings, {"a day": files["csv"], f"{given.factor} times a day": large})
        large.unlink()
        backfill(settings, folder, given.days, given.scale * 0.3)
        assignments(settings, numbers)
        for name, took in medians.items():
            if name != "COPY CSV":
                print(f"{name} / COPY CSV: {took / medians['COPY CSV']:.2f} x")


if __name__ == "__main__":
    main()
