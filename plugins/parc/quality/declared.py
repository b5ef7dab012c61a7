"""Reads declared suites: their expectations, the SQL of their measures, the governed lists they refer to."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parc.errors import ParcError
from parc.imports import first_import

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

REQUIRED_META = ("name", "owner", "message", "remedy")


class QualityError(ParcError):
    """A suite cannot be evaluated. This says nothing about the data; the suite itself must be fixed."""


class UnknownSuite(ParcError):
    """No suite is declared under this name."""

    exit_code = 2


@dataclass(frozen=True)
class Share:
    """A measure in percent: `count` divided by `of`, which are both measures."""

    count: str
    of: str


@dataclass(frozen=True)
class Volume:
    """Compares the measure `rows` with the rows of like days; `chance` as in `DeclaredSuite`."""

    rows: str
    chance: float


@dataclass(frozen=True)
class DeclaredSuite:
    """A suite as declared.

    Each of the `queries`, by file, returns one row of measures. `references` holds lists by parameter name.
    If the suite names `seeds`, the lists include `seed_names` and `seed_digests`: the seeds' names and the
    SHA-256 of each one's text in the project. `shares` are keyed by the name of the measure they produce;
    `profile` names the measure that counts rows by hour. `chance` is the probability with which a day that
    is truly within its limits may be reported as breaking one. `margin_percent` keeps a usual share at
    least that far from 0 and 100 % when like days set the limit.
    """

    name: str
    queries: dict[str, str]
    expectations: ExpectationSuite
    references: dict[str, list[str]]
    shares: dict[str, Share]
    volume: Volume | None
    profile: str | None
    chance: float
    margin_percent: float


@dataclass(frozen=True)
class Suite:
    """Summary of a suite: how many of its expectations refuse, how many warn, and who owns them."""

    name: str
    critical: int
    warning: int
    owners: tuple[str, ...]

    @property
    def expectations(self) -> int:
        """The number of expectations."""
        return self.critical + self.warning


def listed(project: Path) -> list[Suite]:
    """All declared suites, ordered by name; read without loading Great Expectations."""
    found = []
    for path in sorted((project / "expectations").glob("*/*.json")):
        declared = _read(path)["expectations"]
        severities = [each.get("severity") for each in declared]
        owners = {each["meta"]["owner"] for each in declared}
        found.append(
            Suite(
                f"{path.parent.name}/{path.stem}",
                critical=severities.count("critical"),
                warning=severities.count("warning"),
                owners=tuple(sorted(owners)),
            )
        )
    return found


def exists(project: Path, name: str) -> bool:
    """Whether a suite of this name is declared."""
    return _path(project, name).exists()


def load(project: Path, name: str) -> DeclaredSuite:
    """Load the project's suite `name` (`landing/calls`).

    Raises QualityError if Great Expectations rejects any part of the suite, or if an expectation lacks a
    field that its readers need.
    """
    with first_import("great_expectations"):
        from great_expectations import ExpectationSuite
        from great_expectations.exceptions.exceptions import GreatExpectationsError
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    path = _path(project, name)
    declared = _read(path)
    queries = _queries(path)
    # One by one, because a suite read whole only logs an unknown expectation and drops it.
    expectations = []
    for each in declared["expectations"]:
        try:
            expectations.append(ExpectationConfiguration(**each).to_domain_obj())
        except (TypeError, ValueError, GreatExpectationsError) as error:
            name = each.get("meta", {}).get("name", each.get("type"))
            reason = ", ".join(line.strip() for line in str(error).splitlines())
            raise QualityError(f"{_place(path)}: Great Expectations rejects {name}: {reason}") from None
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
    meta = declared.get("meta") or {}
    references = {
        parameter: seed_column(project, column, named_by=_place(path))
        for parameter, column in meta.get("references", {}).items()
    }
    if "seeds" in meta:
        references |= {"seed_names": meta["seeds"], "seed_digests": _digests(project, path, meta["seeds"])}
    suite = ExpectationSuite(name=declared["name"], expectations=expectations, meta=meta)
    shares = {measure: Share(**of) for measure, of in meta.get("shares", {}).items()}
    for each in declared["expectations"]:
        if "odds" in each["meta"] and each["kwargs"]["column"] not in shares:
            raise QualityError(
                f"{_place(path)}: expectation {each['meta']['name']} has `odds`, but "
                f"{each['kwargs']['column']} is not among the suite's shares"
            )
    return DeclaredSuite(
        name=declared["name"],
        queries=queries,
        expectations=suite,
        references=references,
        shares=shares,
        volume=Volume(**meta["volume"]) if "volume" in meta else None,
        profile=meta.get("profile"),
        chance=meta.get("chance", 0.0),
        margin_percent=meta.get("margin_percent", 0.0),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        declared: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise QualityError(f"{_place(path)} cannot be read: {error}") from None
    return declared


def _queries(path: Path) -> dict[str, str]:
    """The queries that measure for a suite, by their place: one file beside it, or a folder of files."""
    one, folder = path.with_suffix(".sql"), path.with_suffix("")
    files = [one] if one.exists() else sorted(folder.glob("*.sql"))
    if not files:
        raise QualityError(
            f"{_place(path)} has no measures: neither {one.name} nor {folder.name}/*.sql beside it"
        )
    try:
        return {f"expectations/{file.relative_to(path.parents[1])}": file.read_text() for file in files}
    except OSError as error:
        raise QualityError(f"{_place(path)} has no measures: {error}") from None


def _path(project: Path, name: str) -> Path:
    return project / "expectations" / f"{name}.json"


def _place(path: Path) -> str:
    return f"expectations/{path.parent.name}/{path.name}"


def seed_column(project: Path, reference: str, *, named_by: str) -> list[str]:
    """The values of `seed.column` in the governed reference data; errors say that `named_by` refers to it.

    Raises QualityError if there is no such column.
    """
    seed, _, column = reference.partition(".")
    try:
        with (project / "dbt_project" / "seeds" / f"{seed}.csv").open(newline="") as file:
            return [row[column] for row in csv.DictReader(file)]
    except (OSError, KeyError):
        raise QualityError(
            f"{named_by} refers to {reference}, but dbt_project/seeds/{seed}.csv has no such column"
        ) from None


def _digests(project: Path, path: Path, seeds: list[str]) -> list[str]:
    """The SHA-256 of each seed's text, the same as a build records."""
    digests = []
    for seed in seeds:
        try:
            text = (project / "dbt_project" / "seeds" / f"{seed}.csv").read_text()
        except OSError:
            raise QualityError(
                f"{_place(path)} names the seed {seed}, but there is no dbt_project/seeds/{seed}.csv"
            ) from None
        digests.append(hashlib.sha256(text.encode()).hexdigest())
    return digests
