"""Data Docs: a page for each run of a suite and an index, as files that open in a browser without a server.

They are rendered here because the library's own pages fetch styles and scripts from nine external hosts
(without a network the index stays empty) and copy 4 MB of assets on every build.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from parc.instants import shown
from parc.printable import printable
from parc.quality.verdict import ExpectationResult, figure

INDEXED_RUNS = 200
INDEX = "index.json"
"""What the index page shows, so that a new run is added without reading the older ones again."""
INDEXED = ("suite", "subject", "checked_at", "status", "messages")
IndexEntry = dict[str, Any]
"""A run in the index: these parts of its summary, and the path of its page."""
DRAFT = ".draft-"


@dataclass(frozen=True)
class Report:
    """One run of a suite; `result` is the library's own validation result."""

    suite: str
    subject: str
    checked_at: datetime
    parameters: dict[str, Any]
    measures: dict[str, Any]
    judgements: list[ExpectationResult]
    result: dict[str, Any]

    @property
    def status(self) -> str:
        """`refused`, `passed with warnings`, or `passed`."""
        found = {judgement.status for judgement in self.judgements}
        return "refused" if "refuses" in found else "passed with warnings" if "warns" in found else "passed"

    @property
    def messages(self) -> list[str]:
        """The violations' messages, those that refuse first."""
        found = [judgement.violation for judgement in self.judgements if judgement.violation]
        return [each.message for each in sorted(found, key=lambda each: each.severity != "fail")]


def write(folder: Path, report: Report) -> Path:
    """Save a run under `folder` (page, summary, library result) and update the index; returns the page."""
    place = folder / report.suite / re.sub(r"[^\w.-]+", "_", report.subject)
    name = f"{report.checked_at:%Y%m%dT%H%M%S%f}Z"
    page = place / f"{name}.html"
    home = "../" * (len(place.relative_to(folder).parts))
    text = _template("run").render(report=report, home=home)
    summary = {
        "suite": report.suite,
        "subject": report.subject,
        "checked_at": report.checked_at.isoformat(),
        "status": report.status,
        "messages": report.messages,
        "parameters": report.parameters,
        "measures": report.measures,
    }
    with _alone(folder):
        place.mkdir(parents=True, exist_ok=True)
        _replace(page, text)
        _replace(place / f"{name}.result.json", json.dumps(report.result, indent=1, default=str))
        _replace(place / f"{name}.json", json.dumps(summary, indent=1, default=str))
        _index(folder, [*_indexed(folder), _entry(folder, page, summary)])
    return page


def prune(folder: Path, date_count: int, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete all runs except those of each suite's newest `date_count` business dates, and update the index.

    For a subject without a business date the newest run is kept. Files left by runs that died are deleted
    too. Returns the number of deleted runs and their bytes.
    """
    if not folder.exists():
        return 0, 0
    with _alone(folder):
        subjects: dict[Path, dict[Path, list[Path]]] = {}
        for page in sorted(folder.rglob("*Z.html"), reverse=True):
            subjects.setdefault(page.parent.parent, {}).setdefault(page.parent, []).append(page)
        expired = [page for suite in subjects.values() for page in _past(suite, date_count)]
        files = [
            file
            for page in expired
            for file in (page, page.with_suffix(".json"), page.with_suffix(".result.json"))
            if file.exists()
        ] + [file for file in folder.rglob(f"{DRAFT}*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        if not dry_run and files:
            for file in files:
                file.unlink()
            for place in {page.parent for page in expired}:
                if not any(place.iterdir()):
                    place.rmdir()
            _index(folder, _saved(folder))
    return len(expired), size


def _past(subjects: dict[Path, list[Path]], date_count: int) -> list[Path]:
    """A suite's pages to delete; `subjects` has each subject's pages, newest first."""
    dates = {place: _business_date(pages) for place, pages in subjects.items()}
    kept = sorted({day for day in dates.values() if day}, reverse=True)[:date_count]
    expired = []
    for place, pages in subjects.items():
        expired += pages[1:] if dates[place] is None else [] if dates[place] in kept else pages
    return expired


def _business_date(pages: list[Path]) -> str | None:
    """Business date (ISO) of these pages' subject; None if it has none."""
    for page in pages:
        summary = page.with_suffix(".json")
        if summary.exists():  # a killed run has none
            parameters: dict[str, str | None] = json.loads(summary.read_text())["parameters"]
            return parameters.get("business_date")
    return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Allow one process at a time, so that none overwrites a newer index or writes where another deletes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".index.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _index(folder: Path, entries: Iterable[IndexEntry]) -> None:
    """Write the index: each suite's newest run, then the newest runs of all suites."""
    known = {entry["page"]: entry for entry in entries}
    newest_first = sorted(known.values(), key=lambda entry: entry["page"].rpartition("/")[2], reverse=True)
    newest_by_suite = {entry["suite"]: entry for entry in reversed(newest_first)}
    by_suite = [entry for _, entry in sorted(newest_by_suite.items())]
    runs = newest_first[:INDEXED_RUNS]
    others = [entry for entry in by_suite if entry not in runs]
    _replace(folder / INDEX, json.dumps([*runs, *others]))
    text = _template("index").render(newest_by_suite=by_suite, runs=runs, limit=INDEXED_RUNS)
    _replace(folder / "index.html", text)


def _indexed(folder: Path) -> list[IndexEntry]:
    """The entries of the index as it is; of all saved runs if there is none."""
    try:
        indexed: list[IndexEntry] = json.loads((folder / INDEX).read_text())
    except FileNotFoundError:
        return _saved(folder)
    return indexed


def _saved(folder: Path) -> list[IndexEntry]:
    """The entries of all saved runs."""
    found = folder.rglob("*Z.json")
    return [_entry(folder, path.with_suffix(".html"), json.loads(path.read_text())) for path in found]


def _entry(folder: Path, page: Path, summary: dict[str, Any]) -> IndexEntry:
    return {name: summary[name] for name in INDEXED} | {"page": page.relative_to(folder).as_posix()}


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new content."""
    draft = path.with_name(f"{DRAFT}{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("parc.quality"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"figure": figure, "instant": datetime.fromisoformat, "shown": shown}
    return environment.get_template(f"{name}.html.j2")
