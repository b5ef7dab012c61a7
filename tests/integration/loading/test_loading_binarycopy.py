"""PostgreSQL reads the binary rows made here as the values they were made from."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parc.loading import binarycopy
from parc.settings import Settings
from parc.warehouse import connect

SCHEMA = {
    "words": pl.String(),
    "small": pl.Int16(),
    "whole": pl.Int32(),
    "big": pl.Int64(),
    "day": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
    "key": pl.UInt128(),
}


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ROWS = st.lists(
    st.tuples(
        optional(st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
        optional(st.integers(-(2**15), 2**15 - 1)),
        optional(st.integers(-(2**31), 2**31 - 1)),
        optional(st.integers(-(2**63), 2**63 - 1)),
        optional(st.dates(date(1900, 1, 1), date(2099, 12, 31))),
        optional(st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))),
        optional(st.integers(0, 2**128 - 1)),
    ),
    max_size=20,
)


@given(rows=ROWS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_round_trips(warehouse: Settings, rows: list[tuple[Any, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    with connect(warehouse, "admin") as connection, connection.cursor() as cursor:
        cursor.execute(
            "create temp table target (words text, small smallint, whole integer, big bigint, day date, "
            "instant timestamptz, key uuid)"
        )
        with cursor.copy("copy target from stdin (format binary)") as copy:
            for part in (binarycopy.HEADER, binarycopy.encode(frame), binarycopy.TRAILER):
                copy.write(part)
        expected = [(*row, None if key is None else UUID(int=key)) for *row, key in rows]
        assert cursor.execute("select * from target order by ctid").fetchall() == expected


def test_the_encoder_does_not_import_pandas() -> None:
    code = (
        "import sys, polars as pl; from parc.loading import binarycopy;"
        "binarycopy.encode(pl.DataFrame({'a': ['x', None], 'b': [1, None]}));"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, "it takes over a second"
