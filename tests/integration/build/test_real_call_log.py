"""A real call log, end to end: every figure of a month as computed independently from the raw log."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from parc.build import build
from parc.loading import ingest
from parc.settings import Settings
from parc.warehouse import connect


@pytest.fixture(scope="module")
def february(module_warehouse: Settings, shared_data: Path) -> Settings:
    settings = replace(module_warehouse, landing=str(shared_data / "bank_1999_02"))
    for day in range(1, 29):
        assert ingest(settings, "calls", date(1999, 2, day)).status == "published"
    build(settings)
    return settings


def test_every_figure_of_every_day_is_exact(february: Settings, shared_data: Path) -> None:
    with (shared_data / "bank_1999_02" / "expected_daily.csv").open() as lines:
        expected = list(csv.DictReader(lines))
    figures = [name for name in expected[0] if name not in ("business_date", "legs")]
    sums = ", ".join(f"sum({name}) as {name}" for name in figures)
    with connect(february, "bi_reader") as connection:
        found = {
            str(row[0]): row[1:]
            for row in connection.execute(
                f"select business_date, {sums} from marts.mart_service_quality_daily group by 1".encode()
            ).fetchall()
        }
    with connect(february, "reader") as connection:
        legs = dict(
            connection.execute(
                "select business_date::text, rows_published from ops.delivery where status = 'published'"
            ).fetchall()
        )
    assert len(expected) == len(found) == 28
    for row in expected:
        day = row["business_date"]
        assert legs[day] == int(row["legs"]), day
        for name, value in zip(figures, found[day], strict=True):
            assert value == int(row[name]), f"{day} {name}"


def test_no_caller_or_customer_is_in_the_warehouse(february: Settings, shared_data: Path) -> None:
    folder = shared_data / "bank_1999_02" / "calls" / "date=1999-02-01"
    with gzip.open(folder / "calls.csv.gz", "rt") as lines:
        customer = next(row["customer_ref"] for row in csv.DictReader(lines) if row["customer_ref"])
    with connect(february, "reader") as connection:
        for table in ("raw.calls", "marts.fct_calls", "ops.quarantine"):
            query = f"select count(*) from {table} as t where t::text like %s"
            assert connection.execute(query.encode(), [f"%{customer}%"]).fetchone() == (0,)
