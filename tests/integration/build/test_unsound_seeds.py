"""A typo in a seed is known before dbt starts, on the desk, and to `parc doctor`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from parc import desk
from parc.build import build
from parc.errors import BuildFailed
from parc.findings import FindingKind
from parc.platform import doctor
from parc.settings import PROJECT, Settings
from support.marts import rows
from support.references import change_seed

TYPO = (
    "sites.csv, line 2, column directorate_code: 'OUETS' is none of directorates.directorate_code; "
    "the nearest is 'OUEST'"
)


def test_a_typo_in_a_seed_is_told_by_build_desk_and_doctor(warehouse: Settings, tmp_path: Path) -> None:
    for folder in ("dbt_project", "expectations"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    settings = replace(warehouse, project=tmp_path)
    change_seed(settings, "sites", "RENNES,Rennes,regional,OUEST,", "RENNES,Rennes,regional,OUETS,")
    with pytest.raises(BuildFailed, match=TYPO) as stop:
        build(settings)
    assert [step.command for step in stop.value.steps] == ["", "parc check seeds", "parc build"]
    assert rows(settings, "select count(*) from ops.build") == [(0,)]

    [finding] = [each for each in desk.findings(settings) if each.kind is FindingKind.SEEDS]
    assert finding.is_wrong and TYPO in finding.text
    [check] = [each for each in doctor.checks(settings) if each.finding and TYPO in each.text]
    assert check.name == "marts" and not check.is_ok

    change_seed(settings, "sites", "OUETS", "OUEST")
    assert FindingKind.SEEDS not in [each.kind for each in desk.findings(settings)]
