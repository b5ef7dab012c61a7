"""Disturbed ingestion: the command in a separate process, and everything that it leaves."""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from io import BytesIO
from typing import Any

import polars as pl
import psycopg
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from parc import feeds
from parc.feeds import Keeping
from parc.settings import Settings
from parc.warehouse import embedded, partitions
from support import preloaded
from support.command_line import environment
from support.deliveries import deliver, query, raw_tables

FORMS = ("csv", "csv.gz", "parquet", "two files")


@dataclass(frozen=True)
class Scenario:
    """A delivery of a day on its way: its form, whether its landing zone is another machine's,
    whether some of its rows are bad, and whether the day is published already (without its last rows)."""

    feed: str
    form: str
    is_remote: bool
    is_bad: bool
    is_restatement: bool

    @classmethod
    def drawn(cls, feed: str, chance: random.Random) -> Scenario:
        """Any of them; bad rows in the daily feeds alone."""
        coin = (False, True)
        is_bad = feeds.get(feed).keeping is Keeping.DAYS and chance.choice(coin)
        return cls(feed, chance.choice(FORMS), chance.choice(coin), is_bad, chance.choice(coin))

    def settings(self, settings: Settings) -> Settings:
        """The platform, its landing zone seen as this scenario has it."""
        landing = settings.landing
        return replace(settings, landing=f"simplecache::file://{landing}") if self.is_remote else settings

    def deliver(self, settings: Settings, rows: pl.DataFrame, day: date) -> None:
        """Put it into the landing zone."""
        if self.is_bad:
            number = pl.int_range(pl.len())
            column = next(column.name for column in feeds.get(self.feed).file_columns if column.one_of)
            # A copy of the second row, and a value that no rule allows in the fifth.
            rows = pl.concat([rows, rows[1:2]]).with_columns(
                pl.when(number == 4).then(pl.lit("fax")).otherwise(column).alias(column)
            )
        half = rows.height // 2
        parts = [rows[:half], rows[half:]] if self.form == "two files" else [rows]
        form = "csv" if self.form == "two files" else self.form
        files = {
            f"part_{number}__{form.replace('.', '__')}": _written(part, form)
            for number, part in enumerate(parts)
        }
        deliver(settings, self.feed, day, **files)


def _written(rows: pl.DataFrame, form: str) -> bytes:
    buffer = BytesIO()
    if form == "parquet":
        rows.write_parquet(buffer)
    else:
        rows.write_csv(buffer, compression="gzip" if form == "csv.gz" else "uncompressed")
    return buffer.getvalue()


class Command:
    """`parc` with these arguments, running in a separate process."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self._output = tempfile.NamedTemporaryFile("r", prefix="parc-test-")  # noqa: SIM115
        known = environment(settings) | {"PARC_PSEUDONYM_SECRET": settings.secret("pseudonym_secret")}
        self._process = preloaded.start(_run, known, arguments, self._output.name)

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        self._process.kill()
        self._process.join()

    def wait(self, seconds: float | None = 120) -> int | None:
        """Its exit code; None if it is still running after that time."""
        self._process.join(seconds)
        return self._process.exitcode

    @property
    def output(self) -> str:
        """What it has written so far."""
        self._output.seek(0)
        return self._output.read()


def _run(known: dict[str, str], arguments: Sequence[str], output: str) -> None:
    from parc import cli

    preloaded.become(os.environ | known)
    with open(output, "w") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["parc", *arguments]
    cli.main()


def ingesting(settings: Settings, feed: str, day: date) -> Command:
    """A running loader."""
    return Command(settings, "ingest", feed, "--date", str(day))


def check_reported(command: Command) -> None:
    """It succeeded, or said in one line what a person can do."""
    code = command.wait()
    assert "Traceback" not in command.output, command.output
    if code != 0:
        assert code == 3 and command.output.startswith("parc: "), (code, command.output)


def cut_off(server: Settings, settings: Settings) -> int:
    """End every session of the platform, as an administrator may; returns how many there were."""
    with embedded.superuser(server) as connection:
        return connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [_database(settings)]
        ).rowcount


def _database(settings: Settings) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(settings.warehouse_dsn or "")["dbname"])


@retry(
    retry=retry_if_result(lambda count: count > 0),
    stop=stop_after_delay(20),
    wait=wait_fixed(0.02),
    retry_error_callback=lambda state: state.outcome.result(),
)
def sessions(settings: Settings) -> int:
    """Sessions of others in the platform's database, once those that are about to end have ended."""
    return int(
        query(
            settings,
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and backend_type = 'client backend' and pid <> pg_backend_pid()",
        )[0][0]
    )


def delivery_count(settings: Settings) -> int:
    """Rows of the ledger."""
    return int(query(settings, "select count(*) from ops.delivery")[0][0])


def reached(settings: Settings, before: int) -> str:
    """How far a load has got, given the number of ledger rows before it."""
    found = query(settings, "select status from ops.delivery order by delivery_id offset %s", before)
    if not found:
        return "not yet in the ledger"
    [(status,)] = found
    if status == "landed":
        attached = "select 1 from pg_inherits where inhrelid = to_regclass(%s)"
        is_full = any(not query(settings, attached, f"raw.{name}") for name in raw_tables(settings))
        return "loaded, being checked" if is_full else "being read and loaded"
    return {"audited": "judged, being published"}.get(status, status)


def state(settings: Settings) -> list[Any]:
    """All that the loads leave, but for times, pages, and which numbers the sequence of deliveries gave;
    what must hold of it whatever happened is checked on the way."""
    assert sessions(settings) == 0, "a session is still open"
    assert query(settings, "select * from ops.delivery where status in ('landed', 'audited')") == []
    deliveries = [
        row
        for (row,) in query(
            settings,
            "select to_jsonb(delivery) - 'landed_at' - 'audited_at' - 'published_at' - 'seen_at' "
            "- 'built_in' - 'files' - 'listing' - 'docs_page' "
            "from ops.delivery order by feed, business_date, delivery_id",
        )
    ]
    rank = {row["delivery_id"]: number for number, row in enumerate(deliveries, start=1)}
    tables = []
    for row in deliveries:
        assert row["rows_read"] == row["rows_published"] + row["rows_quarantined"]
        feed, day = feeds.get(row["feed"]), date.fromisoformat(row["business_date"])
        if row["status"] == "published" and feed.keeping is not Keeping.RANGES:
            table = partitions.delivery_table(feed, day, row["delivery_id"])
            tables.append(table.name)
            assert query(settings, f"select count(*) from {table}") == [(row["rows_published"],)]
    assert raw_tables(settings) == sorted(tables), "tables of deliveries that are not published"
    quarantined = [row for (row,) in query(settings, "select to_jsonb(quarantine) from ops.quarantine")]
    rows = {
        name: query(settings, f"select count(*), md5(string_agg(r::text, '' order by r::text)) from {name} r")
        for (name,) in query(
            settings,
            "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not relispartition "
            "and relnamespace in ('raw'::regnamespace, 'routing'::regnamespace) order by 1",
        )
        if name.startswith("raw.") or name == "routing.line_assignment"
    }
    held = "select count(*) from ops.lock where ops.is_session(pid, session_started_at)"
    assert query(settings, held) == [(0,)]
    assert not [*(settings.home / "copies").glob("*/*")], "copies of files"
    for row in deliveries:
        row["warnings"] = [re.sub(r"; Data Docs: .*", "", text) for text in row["warnings"]]
        row["supersedes_delivery_id"] = rank.get(row["supersedes_delivery_id"])
    for row in (*deliveries, *quarantined):
        row["delivery_id"] = rank[row["delivery_id"]]
    return [deliveries, sorted(quarantined, key=str), rows]
