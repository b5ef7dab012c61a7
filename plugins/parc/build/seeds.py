"""The governed seeds: their content, and which dates a change affects."""

from __future__ import annotations

import csv
import hashlib
import io
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from parc import seed_rules
from parc.errors import BuildFailed
from parc.findings import BUILD, Step

CHECK = Step("check the seeds again", "parc check seeds")


@dataclass(frozen=True)
class Seed:
    """One seed: its CSV text, and what its rows govern (`config.meta.governs` in its properties).

    `subjects` are the facts that read it; none if every model that reads it is rebuilt by each build. A row
    governs the dates from column `starts` until before column `ends` (empty: for ever); with only `starts`
    just that date, with neither all dates. `margin_days` widens that to allow for local clocks.
    """

    name: str
    content: str
    subjects: tuple[str, ...]
    starts: str | None = None
    ends: str | None = None
    margin_days: int = 0

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    def governed_dates(self, before: str | None, dates: Sequence[date]) -> set[date]:
        """Which of the sorted `dates` have different rows now than with the content `before` (None: unknown).

        Rows are compared as they stand on each date: closing a row and continuing it with the same values
        changes nothing.
        """
        if before is None:
            return set(dates)
        old, new = _rows(before), _rows(self.content)
        if self.starts is None:
            return set(dates) if old != new else set()
        margin = timedelta(days=self.margin_days)
        seen: dict[date, _InForce] = defaultdict(_InForce)
        for row in old ^ new:
            values = frozenset(cell for cell in row if cell[0] not in (self.starts, self.ends))
            for day in _between(dates, *self._span(dict(row)), margin):
                (seen[day].removed if row in old else seen[day].added).append(values)
        return {day for day, rows in seen.items() if rows.is_change(self.margin_days)}

    def _span(self, row: dict[str, str]) -> tuple[date, date]:
        assert self.starts is not None
        start = date.fromisoformat(row[self.starts]) if row.get(self.starts) else date.min
        if self.ends is None:
            return start, start + timedelta(days=1)
        return start, date.fromisoformat(row[self.ends]) if row.get(self.ends) else date.max


@dataclass
class _InForce:
    """Rows removed and rows added on one date."""

    removed: list[frozenset[tuple[str, str]]] = field(default_factory=list)
    added: list[frozenset[tuple[str, str]]] = field(default_factory=list)

    def is_change(self, margin_days: int) -> bool:
        # Within a margin rows of several dates mix, so an equal row may be removed and added.
        return margin_days > 0 or set(self.removed) != set(self.added)


def read(folder: Path) -> dict[str, Seed]:
    """All seeds in the folder, by name.

    Raises BuildFailed if a seed's properties do not declare what it governs, or if a row breaks a rule (see
    `parc.seed_rules`).
    """
    declared = seed_rules.properties(folder)
    paths = sorted(folder.rglob("*.csv"))
    for path in paths:
        if "governs" not in declared.get(path.stem, {}).get("meta", {}):
            raise BuildFailed(
                f"seed {path.stem}: its properties do not say what it governs",
                steps=(
                    Step(f"add config.meta.governs to its properties ({folder}/seeds.yml has examples)"),
                    BUILD,
                ),
            )
    if problems := seed_rules.problems(folder):
        raise BuildFailed(
            f"the seeds are not sound, and nothing is built from them:\n{seed_rules.described(problems)}",
            steps=(Step(f"correct these lines in {folder}"), CHECK, BUILD),
        )
    seeds = {}
    for path in paths:
        governs = declared[path.stem]["meta"]["governs"]
        rule = governs | {"subjects": tuple(governs["subjects"])}
        seeds[path.stem] = Seed(path.stem, path.read_text(), **rule)
    return seeds


def _rows(content: str) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(row.items()) for row in csv.DictReader(io.StringIO(content))}


def _between(dates: Sequence[date], start: date, end: date, margin: timedelta) -> Iterator[date]:
    first = bisect_left(dates, start - margin if start > date.min + margin else date.min)
    last = bisect_left(dates, end + margin if end < date.max - margin else date.max)
    yield from dates[first:last]
