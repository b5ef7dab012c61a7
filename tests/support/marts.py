"""Helpers of build tests: reading marts, sending deliveries again."""

from __future__ import annotations

import gzip
import importlib.util
from datetime import date
from pathlib import Path

from parc.loading import ingest
from parc.settings import PROJECT, Settings
from parc.warehouse import connect

RIGHTS = PROJECT / "docs/reference/rights.md"


FEEDS = ("numbering_plan", "line_assignments", "active_lines", "calls")


def load_everything(settings: Settings, days: list[date]) -> None:
    for feed in FEEDS:
        for day in days:
            outcome = ingest(settings, feed, day)
            assert outcome.status in ("published", "unchanged", "missing"), outcome.message


def rows(settings: Settings, query: str, role: str = "reader") -> list[tuple]:
    with connect(settings, role) as connection:  # type: ignore[arg-type]
        return connection.execute(query).fetchall()


def marts(settings: Settings) -> dict[str, list[tuple]]:
    """Every row of every mart, sorted; the build's number and instant and the history of figures apart."""
    names = rows(
        settings,
        "select table_name from information_schema.tables where table_schema = 'marts' "
        "and table_type = 'BASE TABLE' and table_name not in ('published_build', 'mart_restatements') "
        "order by 1",
    )
    assert len(names) > 10
    return {name: rows(settings, f'select m::text from marts."{name}" as m order by 1') for (name,) in names}


def restate(settings: Settings, day: date, drop: int, feed: str = "calls") -> None:
    """Deliver the day again, without its first `drop` rows."""
    folder = Path(settings.landing) / feed / f"date={day}"
    (folder / "_CONTROL.json").unlink(missing_ok=True)
    path = folder / f"{feed}.csv.gz"
    header, *lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([header, *lines[drop:]]), mtime=0))


def take_ids(settings: Settings, day: date, later: date, count: int) -> int:
    """Give the first contacts of a delivery the ids of offered contacts of a later date, which then lose."""
    ids = rows(
        settings,
        f"select call_id from marts.fct_calls where business_date = '{later}' and is_offered "
        f"order by call_id limit {count}",
    )
    path = Path(settings.landing) / "calls" / f"date={day}" / "calls.csv.gz"
    header, *lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    for number, (call_id,) in enumerate(ids):
        lines[number] = call_id.encode() + b",1," + lines[number].split(b",", 2)[2]
    path.write_bytes(gzip.compress(b"".join([header, *lines]), mtime=0))
    return len(ids)


def reference_page(settings: Settings, writer: str) -> str:
    """A page of the reference, written from the catalogue of this warehouse."""
    spec = importlib.util.spec_from_file_location(writer, PROJECT / "docs" / "scripts" / f"{writer}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with connect(settings, "admin") as connection:
        return str(module.text(connection))
