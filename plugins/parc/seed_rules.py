"""The rules of the governed seeds, and the rows that break them.

`dbt_project/seeds/seeds.yml` declares both: `config.column_types` are a seed's columns; in `config.meta`

- `key`: columns that together are unique
- `optional`: columns whose cells may be empty
- `allowed`: the values of a column, or `seed.column` for those of another seed; `parc.feed` are the feeds,
  `parc.market` the markets, `iana.time_zone` the time zones
- `period`: the columns in which a row begins and ends (by default those of `governs`); rows whose key is the
  same but for the begin must not overlap
- `covers`: `seed.column`, each of whose values must have rows without a gap
- `may_be_empty`: the seed needs no rows
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from parc.feeds import FEEDS
from parc.feeds.declaration import MARKETS
from parc.wording import counted

PROBLEMS_SHOWN = 10
VALUES_SHOWN = 8
END_OF_DAY = 24 * 3600
Read = Callable[[str], Any]
"""Reads a cell; None if it has another form."""
Row = dict[str, str]


@dataclass(frozen=True)
class Rules:
    """What a seed's properties declare. See the module's description."""

    types: dict[str, str]
    key: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    allowed: dict[str, list[str]] = field(default_factory=dict)
    period: list[str] = field(default_factory=list)
    covers: str | None = None
    may_be_empty: bool = False


@dataclass(frozen=True)
class Problem:
    """A broken rule: the seed, the line of its file (1 is the header) and the column, where there is one."""

    seed: str
    line: int | None
    column: str | None
    text: str

    def to_text(self, more_count: int = 0) -> str:
        """One line, such as `sites.csv, line 3, column time_zone: ...`."""
        place = f"{self.seed}.csv" + (f", line {self.line}" if self.line else "")
        place += f" and {counted(more_count, 'more line')}" if more_count else ""
        place += f", column {self.column}" if self.column else ""
        return f"{place}: {self.text}"


def properties(folder: Path) -> dict[str, dict[str, Any]]:
    """The `config` of each seed that is declared in the folder, by name."""
    return _declared(path.read_text() for path in sorted(folder.rglob("*.yml")))


def problems(folder: Path) -> list[Problem]:
    """Everything in the folder's seeds that breaks a rule."""
    texts = tuple(path.read_text() for path in sorted(folder.rglob("*.yml")))
    files = tuple((path.stem, path.read_bytes()) for path in sorted(folder.rglob("*.csv")))
    return list(_problems(texts, files))


@lru_cache(maxsize=4)
def _problems(texts: tuple[str, ...], contents: tuple[tuple[str, bytes], ...]) -> list[Problem]:
    """The problems of seeds with these properties and contents, each with its name."""
    declared = {name: _rules(config) for name, config in _declared(texts).items()}
    files = dict(contents)
    found = [
        Problem(name, None, None, "the file is missing; restore it") for name in declared if name not in files
    ]
    tables: dict[str, dict[int, Row]] = {}
    for name in declared:
        if name in files:
            tables[name], broken = _table(name, files[name], tuple(declared[name].types))
            found += broken
    values = {
        f"{name}.{column}": {row[column]: None for row in rows.values() if column in row}
        for name, rows in tables.items()
        for column in declared[name].types
    } | {
        "parc.feed": dict.fromkeys(FEEDS),
        "parc.market": dict.fromkeys(MARKETS),
        "iana.time_zone": dict.fromkeys(sorted(available_timezones())),
    }
    for name, rows in tables.items():
        if not rows:
            if not declared[name].may_be_empty and all(each.seed != name for each in found):
                found.append(Problem(name, 1, None, "there are no rows after the header"))
            continue
        found += _Check(name, declared[name], rows, values).problems()
    return found


def described(found: list[Problem]) -> str:
    """The problems as lines for people; a value that breaks the same rule in several lines is named once."""
    lines: dict[tuple[str, str | None, str], list[Problem]] = defaultdict(list)
    for each in found:
        lines[each.seed, each.column, each.text].append(each)
    shown = [each[0].to_text(len(each) - 1) for each in lines.values()]
    rest = len(shown) - PROBLEMS_SHOWN
    more = [f"and {counted(rest, 'more problem')}"] if rest > 0 else []
    return "\n".join([*shown[:PROBLEMS_SHOWN], *more])


def _declared(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {seed["name"]: seed.get("config", {}) for text in texts for seed in _yaml(text).get("seeds", [])}


@lru_cache(maxsize=8)
def _yaml(text: str) -> dict[str, Any]:
    return yaml.load(text, yaml.CSafeLoader) or {}


def _rules(config: Mapping[str, Any]) -> Rules:
    meta = config.get("meta", {})
    governs = meta.get("governs", {})
    declared = {name: meta[name] for name in Rules.__dataclass_fields__ if name in meta}
    if "ends" in governs:
        declared.setdefault("period", [governs["starts"], governs["ends"]])
    return Rules(types=config.get("column_types", {}), **declared)


@lru_cache(maxsize=64)
def _table(name: str, content: bytes, columns: tuple[str, ...]) -> tuple[dict[int, Row], list[Problem]]:
    """The rows by their line, and what keeps the file from being read as a table of these columns."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return {}, [Problem(name, line, None, "this is not UTF-8; save the file as UTF-8")]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(reader, [])
    if not header:
        return {}, [Problem(name, 1, None, f"the file is empty; its header is {','.join(columns)}")]
    broken = [
        Problem(name, 1, each, f"there is no such column{_nearest(each, set(columns) - set(header))}")
        for each in header
        if each not in columns
    ]
    broken += [Problem(name, 1, each, "this column is missing") for each in columns if header.count(each) < 1]
    broken += [
        Problem(name, 1, each, "this column is there twice") for each in columns if header.count(each) > 1
    ]
    if broken:
        return {}, broken
    rows: dict[int, Row] = {}
    line = reader.line_num + 1
    try:
        for cells in reader:
            if len(cells) == len(header):
                rows[line] = dict(zip(header, cells, strict=True))
            elif cells:  # a blank line is no row
                text = f"{counted(len(cells), 'cell')} instead of {len(header)}"
                broken.append(Problem(name, line, None, text))
            line = reader.line_num + 1
    except csv.Error as error:
        broken.append(Problem(name, line, None, f"this cannot be read as CSV ({error})"))
    return rows, broken


@dataclass(frozen=True)
class _Check:
    """The rows of one seed, and the values that others refer to."""

    name: str
    rules: Rules
    rows: dict[int, Row]
    values: dict[str, dict[str, None]]

    def problems(self) -> list[Problem]:
        cells = list(self._cells())
        unsound = {each.line for each in cells}
        sound = {line: row for line, row in self.rows.items() if line not in unsound}
        return [*cells, *self._keys(), *self._periods(sound), *(() if cells else self._uncovered())]

    def _cells(self) -> Iterator[Problem]:
        for column, kind in self.rules.types.items():
            allowed = self._allowed(column)
            known: dict[str, str] = {}
            for line, row in self.rows.items():
                value = row[column]
                if value not in known:
                    known[value] = self._why_not(column, kind, value, allowed)
                if known[value]:
                    yield Problem(self.name, line, column, known[value])

    def _allowed(self, column: str) -> dict[str, None] | None:
        declared = self.rules.allowed.get(column)
        if declared is None or any("." in each and each not in self.values for each in declared):
            return None
        allowed: dict[str, None] = {}
        for each in declared:
            allowed |= self.values[each] if "." in each else {each: None}
        return allowed

    def _why_not(self, column: str, kind: str, value: str, allowed: dict[str, None] | None) -> str:
        """Why a cell may not have this value; empty if it may."""
        if not value:
            return "" if column in self.rules.optional else "the cell is empty"
        if value != value.strip():
            return f"'{value}' begins or ends with a space"
        parse, form = TYPES[kind]
        parsed = parse(value)
        if parsed is None or (parsed == END_OF_DAY and kind == "time" and [column] != self.rules.period[-1:]):
            return f"'{value}' is not {form}"
        if allowed is not None and value not in allowed:
            places = [each for each in self.rules.allowed[column] if "." in each]
            of = f" of {' or '.join(places)}" if places else " of its values"
            return f"'{value}' is none{of}{_nearest(value, allowed)}"
        return ""

    def _keys(self) -> Iterator[Problem]:
        first: dict[tuple[str, ...], int] = {}
        for line, row in self.rows.items() if self.rules.key else ():
            key = tuple(row[column] for column in self.rules.key)
            if key in first:
                names = ", ".join(self.rules.key)
                text = f"{names} = {', '.join(key)} is already in line {first[key]}"
                yield Problem(self.name, line, None, text)
            first.setdefault(key, line)

    def _periods(self, sound: dict[int, Row]) -> Iterator[Problem]:
        """Rows that end before they begin; rows that overlap; gaps, where the seed must have none."""
        if not self.rules.period:
            return
        starts, ends = self.rules.period
        parse, _ = TYPES[self.rules.types[starts]]
        others = [column for column in self.rules.key if column != starts]
        spans: dict[tuple[str, ...], list[tuple[Any, Any, int]]] = defaultdict(list)
        for line, row in sound.items():
            start, end = parse(row[starts]), parse(row[ends]) if row[ends] else None
            if end is not None and end <= start:
                text = f"'{row[ends]}' is not after {starts} '{row[starts]}'"
                yield Problem(self.name, line, ends, text)
            elif starts in self.rules.key and others:
                spans[tuple(row[column] for column in others)].append((start, end, line))
        for key, rows in spans.items():
            of = ", ".join(f"{column} {value}" for column, value in zip(others, key, strict=True))
            rows.sort(key=lambda each: (each[0], each[2]))
            for (_, end, earlier), (start, _, line) in pairwise(rows):
                began = sound[line][starts]
                if end is None or start < end:
                    text = f"'{began}' lies within the period of line {earlier} ({of})"
                    yield Problem(self.name, line, starts, text)
                elif start > end and self.rules.covers:
                    text = (
                        f"{of} has no row from {sound[earlier][ends]}, where line {earlier} ends, to {began}"
                    )
                    yield Problem(self.name, line, starts, text)
            if self.rules.covers and rows[-1][1] is not None:
                line = rows[-1][2]
                text = f"{of} has no row from '{sound[line][ends]}' on; leave the cell of its last row empty"
                yield Problem(self.name, line, ends, text)

    def _uncovered(self) -> Iterator[Problem]:
        """Values of another seed that have no row here, or none from the beginning."""
        if self.rules.covers not in self.values:
            return
        [column] = [each for each in self.rules.key if each not in self.rules.period]
        starts = self.rules.period[0]
        first: dict[str, tuple[str, int]] = {}
        for line, row in self.rows.items():
            first[row[column]] = min(first.get(row[column], (row[starts], line)), (row[starts], line))
        beginning = min(start for start, _ in first.values())
        for value in self.values[self.rules.covers]:
            if value not in first:
                text = f"no row for '{value}' of {self.rules.covers}; add one from {beginning} on"
                yield Problem(self.name, None, column, text)
            elif first[value][0] > beginning:
                start, line = first[value]
                text = f"{column} {value} has no row from {beginning}, where others begin, to {start}"
                yield Problem(self.name, line, starts, text)


def _nearest(value: str, allowed: Mapping[str, None] | set[str]) -> str:
    if found := get_close_matches(value, allowed, n=1, cutoff=0.5):
        return f"; the nearest is '{found[0]}'"
    return f"; there are {', '.join(sorted(allowed))}" if 0 < len(allowed) <= VALUES_SHOWN else ""


def _matching(pattern: str, parse: Read) -> Read:
    """A reader of values of this form; it gives None for others."""
    form = re.compile(pattern, re.ASCII)

    def read(value: str) -> Any:
        try:
            return parse(value) if form.fullmatch(value) else None
        except ValueError:
            return None

    return read


def seconds_of_day(value: str) -> int:
    """Seconds since midnight of a local time such as 08:00; 24:00 is the end of the day."""
    hours, minutes, seconds = map(int, f"{value}:00".split(":")[:3])
    return hours * 3600 + minutes * 60 + seconds


TYPES: dict[str, tuple[Read, str]] = {
    "text": (_matching(r"(?s).+", str), "text"),
    "boolean": (_matching("true|false", lambda value: value == "true"), "true or false"),
    "date": (_matching(r"\d{4}-\d\d-\d\d", date.fromisoformat), "a date such as 2012-04-25"),
    "time": (
        _matching(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?|24:00(:00)?", seconds_of_day),
        "a time from 00:00 to 23:59 (24:00 only where a row ends)",
    ),
    "timestamptz": (
        _matching(r"\d{4}-.*T.*([+-]\d\d:\d\d|Z)", datetime.fromisoformat),
        "an instant such as 2012-12-21T18:00:00+01:00",
    ),
    "smallint": (_matching(r"-?\d{1,4}", int), "a whole number of at most four digits"),
    "integer": (_matching(r"-?\d{1,9}", int), "a whole number of at most nine digits"),
}
"""By dbt's type of a column: how a cell is read, and its form in words."""
