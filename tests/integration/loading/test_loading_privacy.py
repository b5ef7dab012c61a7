"""No telephone number in clear outside the routing schema: planted in every column, in every spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parc.cli import app
from parc.feeds import FEEDS, Feed
from parc.feeds.declaration import MARKETS
from parc.ledger import write_releases
from parc.loading import Outcome, ingest, withdraw
from parc.numbers import LONGEST_REMARK
from parc.routing import disable, enable
from parc.settings import Settings
from parc.warehouse import connect
from support.accepted_values import DAY, SOUND, Row, free_key, sound_rows, unlike
from support.deliveries import as_csv, query
from support.spellings import SPELLINGS

IN_CLEAR = re.compile(r"2\W{0,8}9\W{0,8}9\W{0,8}1\W{0,8}2\W{0,8}3\W{0,8}4\W{0,8}5\W{0,8}6")
"""The number of most spellings, whatever stands between its digits."""


def planted(feed: Feed, column: str) -> list[Row]:
    """A row for each spelling in the column, alone or inside a text; otherwise valid."""
    rows = []
    for number, spelling in enumerate(SPELLINGS):
        text = spelling if (number + len(column)) % 2 else f"voir {spelling}, merci"
        key = dict.fromkeys(free_key(feed), f"{column}-{number}")
        differing = unlike(feed, 2_000 + 100 * len(column) + number)
        rows.append(SOUND[feed.name] | differing | key | {column: text})
    return rows


def written(settings: Settings) -> Iterator[tuple[str, str]]:
    """Everything in the database outside the routing schema, and in the platform's folder: where, and
    what."""
    tables = query(
        settings,
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
        "and table_schema not in ('routing', 'pg_catalog', 'information_schema')",
    )
    for schema, table in tables:
        for (row,) in query(settings, f'select t::text from "{schema}"."{table}" as t'):
            yield f"{schema}.{table}", row
    for path in settings.home.rglob("*"):
        if path.suffix in (".html", ".json", ".log", ".txt") and path.is_file():
            yield str(path), path.read_text(errors="replace")


def check_nothing_in_clear(settings: Settings, *outcomes: Outcome) -> None:
    reported = [("the outcome", str(asdict(outcome))) for outcome in outcomes]
    for place, text in [*reported, *written(settings)]:
        found = IN_CLEAR.search(text)
        assert not found, f"{place}: {text[max(0, found.start() - 200) : found.end() + 50]}"


@pytest.mark.parametrize("name", FEEDS)
def test_no_number_is_written_in_clear(module_warehouse: Settings, name: str) -> None:
    settings, feed = module_warehouse, FEEDS[name]
    text = [
        column.name
        for column in feed.file_columns
        if column.is_free or column.is_code or column.masked_unless
    ]
    masked = [column for column in text if column not in feed.key]
    published = [row for column in masked for row in planted(feed, column)]
    refused = [row for column in feed.file_columns for row in planted(feed, column.name)]
    sound = sound_rows(feed)
    if name == "calls":  # a day without calls of a market is refused
        sound = [row | {"market": MARKETS[number % len(MARKETS)]} for number, row in enumerate(sound)]
    outcomes = []
    for day, rows in ((DAY, published), (DAY + timedelta(days=1), refused)):
        folder = Path(settings.landing) / name / f"date={day}"
        folder.mkdir(parents=True)
        (folder / "part_0299123456_02-99-12-34-56.csv").write_bytes(as_csv([*rows, *sound]))
        outcomes.append(ingest(settings, name, day))
    assert outcomes[0].status == "published", outcomes[0].message
    assert outcomes[1].status == "refused" and outcomes[1].rows_quarantined
    for column in masked:
        assert any(f"`{column}` " in warning and " masked" in warning for warning in outcomes[0].warnings)
    check_nothing_in_clear(settings, *outcomes)


def test_no_number_of_a_header_is_shown(module_warehouse: Settings) -> None:
    outcomes = []
    for day, spelling in enumerate(SPELLINGS[::3]):
        folder = Path(module_warehouse.landing) / "active_lines" / f"date={DAY - timedelta(days=1 + day)}"
        folder.mkdir(parents=True)
        header = ["month", "department_code", "market", "lines", spelling]
        (folder / "lines.csv").write_bytes(as_csv([dict.fromkeys(header, "x")]))
        outcomes.append(ingest(module_warehouse, "active_lines", DAY - timedelta(days=1 + day)))
        (folder / "lines.csv").write_text(f"{spelling}\n2012-04,35,fixe,1\n")
        outcomes.append(ingest(module_warehouse, "active_lines", DAY - timedelta(days=1 + day)))
    assert {outcome.status for outcome in outcomes} == {"refused"}
    check_nothing_in_clear(module_warehouse, *outcomes)


def test_typed_reasons_are_masked_and_truncated(module_warehouse: Settings) -> None:
    reason = "rappeler 02 99 12 34 56\n" + "et dire pourquoi " * 100
    outcome = ingest(module_warehouse, "calls", DAY - timedelta(days=40))
    assert outcome.status == "missing"
    disable(module_warehouse, disabled_by="02.99.12.34.56", reason=reason)
    enable(module_warehouse, enabled_by="me", reason=reason)
    with connect(module_warehouse, "exporter") as connection:
        write_releases.record_hold(connection, "set", set_by="me", reason=reason)
        write_releases.record_drain(connection, "ended", "RENNES", None, set_by="me", reason=reason)
        write_releases.record_drift(
            connection, "adopt", recorded=None, live_version=None, live_digest=None, detail="", reason=reason
        )
    folder = Path(module_warehouse.landing) / "active_lines" / f"date={DAY + timedelta(days=9)}"
    folder.mkdir(parents=True)
    (folder / "lines.csv").write_text("month\n2012-04\n")
    ingest(module_warehouse, "active_lines", DAY + timedelta(days=9))
    ((delivery_id,),) = query(module_warehouse, "select max(delivery_id) from ops.delivery")
    withdraw(module_warehouse, delivery_id, reason)
    tables = ("routing_kill_switch", "routing_hold", "routing_drain", "routing_drift", "delivery")
    for table in tables:
        kept = {text for (text,) in query(module_warehouse, f"select reason from ops.{table}") if text}
        kept = {text for text in kept if text.startswith("rappeler *** et dire")}
        assert kept and max(map(len, kept)) == LONGEST_REMARK
    check_nothing_in_clear(module_warehouse)


@pytest.mark.parametrize("command", [["withdraw", "1"], ["routing", "disable"], ["routing", "enable"]])
def test_an_empty_reason_is_a_usage_error(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--reason", " "])
    assert result.exit_code == 2 and "do not leave it blank" in " ".join(result.output.split())
