"""The governed seeds are checked before anything is built from them: file, line, column, value, nearest."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from parc import seed_rules
from parc.build import seeds
from parc.errors import BuildFailed
from parc.settings import PROJECT
from parc.simulate.errors import SimulationError
from parc.simulate.geography import Geography

SEEDS = PROJECT / "dbt_project" / "seeds"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the seeds."""
    shutil.copytree(SEEDS, tmp_path / "seeds")
    return tmp_path / "seeds"


def change(folder: Path, name: str, before: str, after: str) -> str:
    """What is wrong once this text stands in place of that."""
    path = folder / f"{name}.csv"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return seed_rules.described(seed_rules.problems(folder))


def test_the_governed_seeds_are_sound_and_every_rule_names_what_exists() -> None:
    assert seed_rules.problems(SEEDS) == []
    declared = seed_rules.properties(SEEDS)
    known = {f"{name}.{column}" for name, config in declared.items() for column in config["column_types"]}
    for name, config in declared.items():
        meta, columns = config["meta"], set(config["column_types"])
        assert set(meta) <= {"governs", *seed_rules.Rules.__dataclass_fields__}, name
        named = [
            *meta.get("key", []),
            *meta.get("optional", []),
            *meta.get("period", []),
            *meta.get("allowed", {}),
        ]
        assert set(named) <= columns, name
        assert set(config["column_types"].values()) <= set(seed_rules.TYPES), name
        places = [place for places in meta.get("allowed", {}).values() for place in places]
        for place in [*places, *([meta["covers"]] if "covers" in meta else [])]:
            assert "." not in place or place in known | {"parc.feed", "parc.market", "iana.time_zone"}, place


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        (
            "department_directorate",
            "\n22,OUEST,",
            "\n22,OUETS,",
            "department_directorate.csv, line 24, column directorate_code: 'OUETS' is none of "
            "directorates.directorate_code; the nearest is 'OUEST'",
        ),
        (
            "sites",
            "regional",
            "regionel",
            "line 2, column site_kind: 'regionel' is none of its values; the nearest is 'regional'",
        ),
        (
            "sites",
            "Europe/Paris",
            "Europe/Pariss",
            "column time_zone: 'Europe/Pariss' is none of iana.time_zone",
        ),
        ("regions", "true", "yes", "regions.csv, line 2, column is_overseas: 'yes' is not true or false"),
        ("rollout_plan", "2012-03-01", "01/03/2012", "'01/03/2012' is not a date such as 2012-04-25"),
        ("feed_calendar", "04:00", "24:00", "line 2, column due_time_local: '24:00' is not a time"),
        ("zone_hours", "*,1,08:00,20:00", "*,1,08:00,25:00", "column closes_at: '25:00' is not a time"),
        ("zone_hours", "*,1,08:00,20:00", "*,1,08:00,07:00", "'07:00' is not after opens_at '08:00'"),
        (
            "zone_hours",
            "*,1,08:00,20:00",
            "*,1,08:00,20:00\n*,1,19:00,21:00",
            "zone_hours.csv, line 3, column opens_at: '19:00' lies within the period of line 2 "
            "(zone_code *, weekday 1)",
        ),
        ("departments", "Ain,82", "Ain,", "departments.csv, line 2, column region_code: the cell is empty"),
        ("departments", "01,Ain", "02,Ain", "line 3: department_code = 02 is already in line 2"),
        ("departments", "Ain,82", " Ain,82", "' Ain' begins or ends with a space"),
        ("departments", "Ain,82", "Ain,82,x", "departments.csv, line 2: 5 cells instead of 4"),
        ("departments", "\n01,Ain", '\n01,"Ain', "departments.csv, line 2: this cannot be read as CSV"),
        (
            "departments",
            "region_code",
            "region_cod",
            "line 1, column region_cod: there is no such column; the nearest is 'region_code'",
        ),
        (
            "routing_zones",
            "01,82-CE,1990-01-01,",
            "01,82-CE,1990-01-01,2012-05-01\n01,82-CE,2012-05-03,",
            "line 3, column valid_from: department_code 01 has no row from 2012-05-01, where "
            "line 2 ends, to 2012-05-03",
        ),
        (
            "routing_zones",
            "01,82-CE,1990-01-01,",
            "01,82-CE,1990-01-01,2012-05-01",
            "line 2, column valid_to: department_code 01 has no row from '2012-05-01' on",
        ),
        (
            "routing_zones",
            "01,82-CE,1990-01-01,",
            "01,82-CE,1990-01-01,\n01,82-CE,2012-05-01,",
            "line 3, column valid_from: '2012-05-01' lies within the period of line 2 (department_code 01)",
        ),
        (
            "routing_zones",
            "01,82-CE,1990-01-01,\n",
            "",
            "routing_zones.csv, column department_code: no row for '01' of departments.department_code",
        ),
        (
            "routing_zones",
            "01,82-CE,1990-01-01,",
            "01,82-CE,2001-01-01,",
            "department_code 01 has no row from 1990-01-01, where others begin, to 2001-01-01",
        ),
        (
            "directorates",
            "OUEST,Ouest",
            "OUETS,Ouest",
            "more lines, column directorate_code: 'OUEST' is none of directorates.directorate_code; "
            "the nearest is 'OUETS'",
        ),
    ],
)
def test_a_broken_row_is_named(folder: Path, name: str, before: str, after: str, expected: str) -> None:
    assert expected in change(folder, name, before, after)


def test_a_file_without_rows_is_named(folder: Path) -> None:
    (folder / "zones.csv").write_text("")
    (folder / "sites.csv").write_text((folder / "sites.csv").read_text().splitlines()[0] + "\n")
    (folder / "freeze_windows.csv").write_text("starts_at,ends_at,reason\n")
    (folder / "regions.csv").write_bytes(
        "region_code,region_name,is_overseas\n01,R\xe9union,true\n".encode("latin-1")
    )
    (folder / "numbering_default.csv").unlink()
    found = [each.to_text() for each in seed_rules.problems(folder)]
    assert found[0] == "numbering_default.csv: the file is missing; restore it"
    assert "zones.csv, line 1: the file is empty; its header is zone_code,region_code" in "\n".join(found)
    assert "regions.csv, line 2: this is not UTF-8; save the file as UTF-8" in found
    assert "sites.csv, line 1: there are no rows after the header" in found
    assert not any(each.startswith("freeze_windows") for each in found)


def test_neither_a_build_nor_a_simulation_reads_broken_seeds(folder: Path) -> None:
    (folder / "zones.csv").write_text("")
    with pytest.raises(BuildFailed, match=r"zones\.csv, line 1: the file is empty") as stop:
        seeds.read(folder)
    assert [step.command for step in stop.value.steps] == ["", "parc check seeds", "parc build"]
    with pytest.raises(SimulationError, match=r"zones\.csv, line 1: the file is empty"):
        Geography.load(folder)


def test_a_zone_may_be_open_to_the_end_of_the_day(folder: Path) -> None:
    assert change(folder, "zone_hours", "*,1,08:00,20:00", "*,1,08:00,24:00") == ""
    _, closes = Geography.load(folder).windows(date(2012, 4, 23))
    midnight = 1335218400  # 2012-04-24 00:00 in Paris
    assert midnight in closes[0]
