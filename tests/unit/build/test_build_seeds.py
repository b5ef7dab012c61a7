"""Which dates a changed seed governs."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from parc.build import seeds
from parc.build.seeds import Seed
from parc.errors import BuildFailed
from parc.settings import PROJECT

MAY = [date(2012, 5, 1) + timedelta(days=day) for day in range(31)]
HEADER = "department_code,directorate_code,valid_from,valid_to\n"


def directorates(rows: str) -> Seed:
    return Seed("department_directorate", HEADER + rows, ("calls",), starts="valid_from", ends="valid_to")


def test_a_department_that_moves_changes_the_dates_from_then_on() -> None:
    before = directorates("35,OUEST,1990-01-01,\n29,OUEST,1990-01-01,\n").content
    after = directorates("35,OUEST,1990-01-01,2012-05-20\n35,NORD,2012-05-20,\n29,OUEST,1990-01-01,\n")
    assert after.governed_dates(before, MAY) == set(MAY[19:])
    back = directorates("35,OUEST,1990-01-01,\n29,OUEST,1990-01-01,\n")
    assert back.governed_dates(after.content, MAY) == set(MAY[19:])


def test_splitting_a_row_without_changing_values_changes_nothing() -> None:
    before = directorates("35,OUEST,1990-01-01,\n").content
    after = directorates("35,OUEST,1990-01-01,2012-05-20\n35,OUEST,2012-05-20,\n")
    assert after.governed_dates(before, MAY) == set()


def test_a_row_of_a_period_changes_that_period() -> None:
    before = directorates("35,OUEST,1990-01-01,\n").content
    after = directorates("35,OUEST,1990-01-01,\n29,OUEST,2012-05-03,2012-05-05\n")
    assert after.governed_dates(before, MAY) == set(MAY[2:4])


def test_a_holiday_changes_its_date_and_adjacent_dates() -> None:
    header = "holiday_calendar,holiday_date,holiday_name\n"
    before = header + "FR,2012-05-01,Labour Day\n"
    after = Seed(
        "public_holidays",
        before + "GP,2012-05-27,Abolition\n",
        ("calls",),
        starts="holiday_date",
        margin_days=1,
    )
    assert after.governed_dates(before, MAY) == set(MAY[25:28])


def test_row_order_changes_nothing_and_undated_rows_change_every_date() -> None:
    before = "site_code,site_name\nRENNES,Rennes\nBREST,Brest\n"
    sorted_again = Seed("sites", "site_code,site_name\nBREST,Brest\nRENNES,Rennes\n", ("calls",))
    assert sorted_again.governed_dates(before, MAY) == set()
    renamed = Seed("sites", "site_code,site_name\nRENNES,Rennes Nord\nBREST,Brest\n", ("calls",))
    assert renamed.governed_dates(before, MAY) == set(MAY)
    assert renamed.governed_dates(None, MAY) == set(MAY)


def test_every_seed_declares_what_it_governs() -> None:
    found = seeds.read(PROJECT / "dbt_project" / "seeds")
    assert len(found) > 15
    for seed in found.values():
        header = seed.content.splitlines()[0].split(",")
        assert {seed.starts, seed.ends} - {None} <= set(header), seed.name


def test_a_seed_without_a_declaration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "colours.csv").write_text("colour\nred\n")
    with pytest.raises(BuildFailed, match=r"(?s)seed colours: .*add config\.meta\.governs") as stop:
        seeds.read(tmp_path)
    assert [step.command for step in stop.value.steps] == ["", "parc build"]
