"""The live table as the warehouse records it, so that the pages can say where a call goes without the switch.

Of the exceptions only the pseudonyms of their numbers are recorded. A release changes what differs from the
table before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from psycopg import Connection, sql

from parc.ledger import people, write_questions
from parc.numbers import national_prefix, remark
from parc.pseudonyms import Pseudonyms
from parc.routing.table.content import INSTANT, INSTANT_FORMAT, SHAPES, Content
from parc.routing.table.decision import Decision, decide
from parc.routing.table.diff import TableDiff
from parc.settings import Settings

TABLES = {
    "services": "live_service",
    "prefixes": "live_prefix",
    "windows": "live_window",
    "routes": "live_route",
}
"""The small tables, which are written anew."""
ROWS_AT_ONCE = 100_000

log = logging.getLogger(__name__)


def record_live(
    settings: Settings,
    connection: Connection[Any],
    version: str,
    content: Content,
    base: Content | None,
    diffs: Mapping[str, TableDiff],
) -> None:
    """Record the table that has gone live. `diffs` are its differences from `base`.

    A failure does not fail the release, nor does another key than that of the loads: until the next one, the
    pages say that the table is not recorded.
    """
    pseudonyms = Pseudonyms.of_settings(settings)
    try:
        key = people.key(connection)
        if key and key.fingerprint != pseudonyms.fingerprint:
            log.warning("the live table is not recorded: PARC_PSEUDONYM_SECRET is not the key of the loads")
            return
        with connection.transaction():
            row = connection.execute(
                "select version, content_digest from routing.live_table for update"
            ).fetchone()
            if row == (version, content.digest):
                return
            for name, table in TABLES.items():
                _rewrite(connection, table, content.frames[name])
            if row and base and row[1] == base.digest:
                _change_exceptions(connection, diffs["exceptions"], pseudonyms)
            else:
                connection.execute("truncate routing.live_exception")
                _add_exceptions(connection, content.frames["exceptions"], pseudonyms)
            connection.execute(
                "insert into routing.live_table (version, content_digest) values (%s, %s) "
                "on conflict (is_the_row) do update set version = excluded.version, "
                "content_digest = excluded.content_digest, recorded_at = clock_timestamp()",
                [version, content.digest],
            )
    except psycopg.Error as error:
        log.warning("the live table could not be recorded in the warehouse: %s", type(error).__name__)


def explain_recorded(
    settings: Settings,
    connection: Connection[Any],
    number: str,
    dialled_number: str,
    at: datetime,
    *,
    asked_by: str,
) -> Decision | None:
    """Where a call of a number (E.164) goes, by the recorded table; None if the live one is not recorded.

    The number does not leave this process: the database gets its key and its first digits. Raises
    AskedTooOften.
    """
    pseudonyms = Pseudonyms.of_settings(settings)
    found = write_questions.ask(
        connection,
        asked_by=remark(asked_by),
        number_key=pseudonyms.of(number),
        fingerprint=pseudonyms.fingerprint,
        prefix=pl.select(national_prefix(pl.lit(number))).item(),
        dialled_number=dialled_number,
        at=at,
    )
    if found is None:
        return None
    rows = {**found.rows, "exceptions": [{"number": number, **each} for each in found.rows["exceptions"]]}
    content = Content({name: _frame(name, rows.get(name, [])) for name in SHAPES})
    return decide(content, found.version, number, dialled_number, at)


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A table of rows as the database gives them: its instants are text."""
    columns = SHAPES[name].columns
    as_given = {column: pl.String() if kind == INSTANT else kind for column, kind in columns.items()}
    return pl.DataFrame(rows, schema=as_given).with_columns(
        pl.col(column).str.to_datetime(INSTANT_FORMAT, time_unit="us", time_zone="UTC")
        for column, kind in columns.items()
        if kind == INSTANT
    )


def _rewrite(connection: Connection[Any], table: str, frame: pl.DataFrame) -> None:
    name = sql.Identifier("routing", table)
    columns = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    connection.execute(sql.SQL("delete from {}").format(name))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("copy {} ({}) from stdin").format(name, columns)) as copy,
    ):
        for row in frame.iter_rows():
            copy.write_row(row)


def _change_exceptions(connection: Connection[Any], changes: TableDiff, pseudonyms: Pseudonyms) -> None:
    """Take out what is removed or changed, and add what is added or changed."""
    gone = pl.concat([changes.removed.select("number"), changes.changed.select("number")])
    if gone.height:
        connection.execute(
            "delete from routing.live_exception where number_key = any (%s)", [_keys(gone, pseudonyms)]
        )
    changed = changes.changed.select("number", zone_code="zone_code_after")
    _add_exceptions(connection, pl.concat([changes.added.select(changed.columns), changed]), pseudonyms)


def _add_exceptions(connection: Connection[Any], exceptions: pl.DataFrame, pseudonyms: Pseudonyms) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("copy routing.live_exception (number_key, zone_code) from stdin (format binary)") as copy,
    ):
        copy.set_types(["uuid", "text"])
        for part in exceptions.iter_slices(ROWS_AT_ONCE):
            for row in zip(_keys(part, pseudonyms), part["zone_code"], strict=True):
                copy.write_row(row)


def _keys(exceptions: pl.DataFrame, pseudonyms: Pseudonyms) -> list[UUID]:
    keys = exceptions.select(key=pseudonyms.expression(pl.col("number")))["key"]
    return [UUID(int=key) for key in keys]
