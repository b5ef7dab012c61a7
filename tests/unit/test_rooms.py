"""Every room has its place in the contract of imports, and is named where a newcomer looks."""

from __future__ import annotations

import tomllib

from parc.settings import PROJECT

WITH_AIRFLOW = {"orchestration", "ui"}


def test_only_the_rooms_of_airflow_may_import_it() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = {each["name"]: each for each in project["tool"]["importlinter"]["contracts"]}
    without = contracts["Airflow is imported in its own room only"]["source_modules"]
    layers = contracts["Rooms import each other in one direction"]["layers"]
    rooms = {name.strip() for layer in layers for name in layer.split("|")}
    assert {name.removeprefix("parc.") for name in without} == rooms - WITH_AIRFLOW


def test_contributing_names_every_room() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (PROJECT / "plugins" / "parc").glob("*/__init__.py")}
    assert {name for name in rooms if f"`plugins/parc/{name}/`" not in text} == set()
