"""The regulator's real numbering plan, from the delivery to the home of a caller."""

from __future__ import annotations

import csv
import shutil
from datetime import date
from pathlib import Path

import pytest

from parc.build import build
from parc.feeds import FEEDS, Column
from parc.loading import ingest
from parc.settings import Settings
from parc.warehouse import connect

DAY = date(2012, 4, 25)
CALLERS = {
    "bretagne": "+33299123456",
    "in words of home": "02 99 12 34 56",
    "corsica": "+33495301234",
    "reunion": "+262262123456",
    "mobile": "+33612345678",
    "withheld": "anonymous",
}


@pytest.fixture(scope="module")
def numbered(module_warehouse: Settings, shared_data: Path) -> Settings:
    landing = Path(module_warehouse.landing)
    plan, calls = (landing / feed / f"date={DAY}" for feed in ("numbering_plan", "calls"))
    plan.mkdir(parents=True)
    calls.mkdir(parents=True)
    shutil.copy(shared_data / "numbering_2013" / "prefixes.csv", plan)
    with (calls / "calls.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(
            lines, [column.name for column in FEEDS["calls"].columns if isinstance(column, Column)]
        )
        writer.writeheader()
        for call_id, number in CALLERS.items():
            writer.writerow(
                {
                    "call_id": call_id,
                    "leg_no": 1,
                    "offered_at": f"{DAY}T10:00:00+02:00",
                    "queued_at": f"{DAY}T10:00:10+02:00",
                    "ended_at": f"{DAY}T10:01:00+02:00",
                    "caller_number": number,
                    "dialled_number": "3901",
                    "market": "fixe",
                    "outcome": "abandoned",
                }
            )
    for feed in ("numbering_plan", "calls"):
        outcome = ingest(module_warehouse, feed, DAY)
        assert outcome.status == "published", outcome.message
    build(module_warehouse)
    return module_warehouse


def rows(settings: Settings, query: str) -> list[tuple]:
    with connect(settings, "reader") as connection:
        return connection.execute(query.encode()).fetchall()


def test_every_prefix_is_there_and_thirteen_are_unresolved(numbered: Settings) -> None:
    [(published, quarantined)] = rows(
        numbered, "select rows_published, rows_quarantined from ops.delivery where feed = 'numbering_plan'"
    )
    assert (published, quarantined) == (17874, 0)
    [(unresolved,)] = rows(
        numbered,
        f"""
        select count(*)
        from intermediate.int_prefix_homes
        where snapshot_date = '{DAY}' and length(prefix) = 6 and home_key is null
        """,
    )
    assert unresolved == 13


def test_callers_are_homed_by_the_numbering_plan(numbered: Settings) -> None:
    homes = {
        call_id: tuple(home)
        for call_id, *home in rows(
            numbered,
            "select call_id, home_source, home_region_code, home_directorate_code, zone_code "
            "from marts.fct_calls",
        )
    }
    assert homes["bretagne"] == ("prefix", "53", "OUEST", "53")
    assert homes["in words of home"] == homes["bretagne"]
    assert homes["corsica"][:3] == ("prefix", "94", "SUD_EST")
    assert homes["reunion"][:3] == ("prefix", "04", "REUNION_MAYOTTE")  # not in the plan: the 4-digit default
    assert homes["mobile"] == homes["withheld"] == ("unknown", "unknown", "unknown", "*")


def test_every_prefix_of_0299_is_bretagne(numbered: Settings) -> None:
    assert rows(
        numbered,
        "select distinct zone_code from marts.routing_prefixes "
        f"where snapshot_date = '{DAY}' and prefix like '0299%'",
    ) == [("53",)]
