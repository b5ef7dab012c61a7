"""Reading a declared suite: its expectations, the SQL of its measures, the governed lists it refers to."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parc.errors import ParcError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

REQUIRED_META = ("name", "owner", "message", "way_out")


class QualityError(ParcError):
    """A suite cannot be evaluated: nothing is said of the delivery, the check itself must be mended."""


@dataclass(frozen=True)
class Declared:
    """A suite as declared: `sql` gives one row of measures, `references` are lists by parameter name."""

    name: str
    sql: str
    expectations: ExpectationSuite
    references: dict[str, list[str]]


def exists(project: Path, name: str) -> bool:
    """Whether a suite of this name is declared."""
    return _path(project, name).exists()


def load(project: Path, name: str) -> Declared:
    """The suite `name` (`landing/calls`) of the project.

    Raises QualityError for a suite that the library does not take whole, or that says less of an
    expectation than its readers need.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read on import: the library sends nothing anywhere
    from great_expectations import ExpectationSuite
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    path = _path(project, name)
    try:
        declared = json.loads(path.read_text())
        sql = path.with_suffix(".sql").read_text()
    except (OSError, ValueError) as error:
        raise QualityError(f"suite {name} cannot be read: {error}") from None
    # One by one: a suite read whole logs an expectation that it does not know and goes on without it.
    expectations = []
    for each in declared["expectations"]:
        try:
            expectations.append(ExpectationConfiguration(**each).to_domain_obj())
        except (TypeError, ValueError, GreatExpectationsError) as error:
            name = each.get("meta", {}).get("name", each.get("type"))
            reason = ", ".join(line.strip() for line in str(error).splitlines())
            raise QualityError(f"{_place(path)}: Great Expectations does not take {name}: {reason}") from None
    names = []
    for expectation in expectations:
        meta = expectation.meta or {}
        missing = [key for key in REQUIRED_META if not meta.get(key)]
        if not expectation.description:
            missing.append("description")
        if missing:
            raise QualityError(
                f"{_place(path)}: expectation {meta.get('name', expectation.expectation_type)} has no "
                f"{', '.join(missing)}"
            )
        if expectation.severity.value not in ("critical", "warning"):
            raise QualityError(
                f"{_place(path)}: expectation {meta['name']} has severity {expectation.severity.value}; "
                "give it critical (refuses the delivery) or warning"
            )
        names.append(meta["name"])
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise QualityError(f"{_place(path)}: {', '.join(twice)} names more than one expectation")
    references = {
        parameter: _seed_column(project, path, column)
        for parameter, column in (declared.get("meta") or {}).get("references", {}).items()
    }
    suite = ExpectationSuite(name=declared["name"], expectations=expectations, meta=declared.get("meta"))
    return Declared(name, sql, suite, references)


def _path(project: Path, name: str) -> Path:
    return project / "expectations" / f"{name}.json"


def _place(path: Path) -> str:
    return f"expectations/{path.parent.name}/{path.name}"


def _seed_column(project: Path, path: Path, reference: str) -> list[str]:
    """The values of `seed.column` among the governed reference data."""
    seed, _, column = reference.partition(".")
    try:
        with (project / "dbt_project" / "seeds" / f"{seed}.csv").open(newline="") as file:
            return [row[column] for row in csv.DictReader(file)]
    except (OSError, KeyError):
        raise QualityError(
            f"{_place(path)} refers to {reference}, but dbt_project/seeds/{seed}.csv has no such column"
        ) from None
