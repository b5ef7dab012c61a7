"""Good files, damaged at random: each row is published exactly, or reported by file, line and column.

Each mutation has a seed, so a failure names what reproduces it. What a mutation may affect is known from how
it was made; everything else must come out as it does from the good file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from psycopg import sql

from parc import feeds
from parc.feeds import Feed, Keeping
from parc.loading import Outcome, ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, partitions
from support.deliveries import deliver, query

DAY = date(2012, 4, 25)
ROWS = 300
VALUES = (
    "",
    " ",
    "x",
    "-1",
    "0",
    "99999999999999999999",
    "1e5",
    "NaN",
    "null",
    "é",
    "\u0000",
    "\ufeff",
    "a,b",
    'a"b',
    "2012-04-25",
    "2012-04-25T10:00:00",
    "2012-04-25T10:00:00+99:00",
    "2011-01-01T10:00:00Z",
    "12/04/2012",
    "anonymous",
    "+33299123456",
    "0299123456",
    "0033299123456",
    "00",
    "' or 1=1 --",
    "=1+1",
    "x" * 5_000,
)
BYTES = b'",\n\r\0;\xe9\xff\xc3 0aZ'


@dataclass(frozen=True)
class Good:
    """A feed's good file: header and rows as text, and the rows that are published of it, all and by line."""

    feed: Feed
    header: list[str]
    rows: list[list[str]]
    published: Counter[tuple[Any, ...]]
    by_line: dict[int, tuple[Any, ...]]

    @property
    def content(self) -> bytes:
        return written([self.header, *self.rows])


@dataclass(frozen=True)
class Mutation:
    """A damaged delivery. `touched`: the lines of the good file whose rows may come out differently."""

    what: str
    name: str
    content: bytes
    must: Literal["be the same", "be refused", "differ there"]
    touched: frozenset[int] = frozenset()
    column: str | None = None
    control: dict[str, Any] | None = None


def written(rows: list[list[str]], end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


def a_field(good: Good, chance: random.Random) -> Mutation:
    rows = [list(row) for row in good.rows]
    at, column = chance.randrange(len(rows)), chance.randrange(len(good.header))
    rows[at][column] = chance.choice(VALUES)
    name, content = good.header[column], written([good.header, *rows])
    return Mutation(
        f"{name} of line {at + 2} is {rows[at][column][:30]!r}",
        "a.csv",
        content,
        "differ there",
        frozenset({at + 2}),
        name,
    )


def bytes_of_the_body(good: Good, chance: random.Random) -> Mutation:
    content = bytearray(good.content)
    body = content.index(b"\n") + 1
    reported, touched = [], set[int]()
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(body, len(content))
        line = content.count(b"\n", 0, at) + 1
        touched |= {line - 1, line, line + 1}  # a row end that came or went joins neighbours
        kind, byte = chance.choice(("set", "insert", "delete")), chance.choice(BYTES)
        reported.append(f"{kind} {byte:#x} at {at}")
        if kind == "insert":
            content.insert(at, byte)
        elif kind == "delete":
            del content[at]
        else:
            content[at] = byte
    return Mutation(", ".join(reported), "a.csv", bytes(content), "differ there", frozenset(touched))


def a_ragged_row(good: Good, chance: random.Random) -> Mutation:
    rows = [list(row) for row in good.rows]
    at = chance.randrange(len(rows))
    rows[at] = chance.choice((rows[at][:-1], [*rows[at], ""], [*rows[at], "x", "y"], [], ["x"]))
    content = written([good.header, *rows])
    return Mutation(f"line {at + 2} ragged", "a.csv", content, "differ there", frozenset({at + 2}))


def repeated_rows(good: Good, chance: random.Random) -> Mutation:
    at = chance.randrange(len(good.rows))
    rows = [*good.rows, good.rows[at]]
    return Mutation(f"line {at + 2} again at the end", "a.csv", written([good.header, *rows]), "be the same")


def another_header(good: Good, chance: random.Random) -> Mutation:
    header, rows = list(good.header), [list(row) for row in good.rows]
    at = chance.randrange(len(header))
    name = header[at]
    kind = chance.choice(("lacks", "renames", "adds", "repeats", "has none"))
    if kind == "lacks":
        header, rows = header[:at] + header[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]
    elif kind == "renames":
        header[at] = name.upper()
    elif kind == "adds":
        header, rows = [*header, "loyalty"], [[*row, "1"] for row in rows]
    elif kind == "repeats":
        header, rows = [*header, name], [[*row, row[at]] for row in rows]
    else:
        header, rows = rows[0], rows[1:]
    content = written([header, *rows])
    return Mutation(f"the header {kind} {name}", "a.csv", content, "be refused")


def another_layout(good: Good, chance: random.Random) -> Mutation:
    """The same rows, written in another way that CSV allows."""
    order = chance.sample(range(len(good.header)), len(good.header))
    shuffled = [[row[at] for at in order] for row in [good.header, *good.rows]]
    quoted = io.StringIO()
    csv.writer(quoted, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([good.header, *good.rows])
    lines = good.content.splitlines(keepends=True)
    lines.insert(chance.randrange(1, len(lines)), b"\n")
    name, content = chance.choice(
        [
            ("columns in another order", written(shuffled)),
            ("CRLF", written([good.header, *good.rows], "\r\n")),
            ("a BOM", b"\xef\xbb\xbf" + good.content),
            ("no last newline", good.content.rstrip(b"\n")),
            ("a blank line", b"".join(lines)),
            ("everything quoted", quoted.getvalue().encode()),
        ]
    )
    return Mutation(name, "a.csv", content, "be the same")


def control_mismatch(good: Good, chance: random.Random) -> Mutation:
    """The control file knows that something is missing or has changed."""
    cut = good.content[: chance.randrange(len(good.content) - 1)]
    control = chance.choice(
        [
            {"rows": len(good.rows)},
            {"rows": len(good.rows), "sha256": {"a.csv": hashlib.sha256(good.content).hexdigest()}},
        ]
    )
    lost = cut.count(b"\n") < len(good.rows)
    return Mutation(
        f"cut to {len(cut)} bytes",
        "a.csv",
        cut,
        "be refused" if lost or "sha256" in control else "differ there",
        frozenset({len(good.rows) + 1}),
        control=control,
    )


def a_gzip_stream(good: Good, chance: random.Random) -> Mutation:
    content = bytearray(gzip.compress(good.content, mtime=0))
    kind = chance.choice(("cut", "flipped", "followed by junk", "two streams", "empty"))
    if kind == "cut":
        del content[chance.randrange(1, len(content)) :]
    elif kind == "flipped":
        at = chance.randrange(12, len(content) - 8)
        content[at] ^= 1 << chance.randrange(8)
    elif kind == "followed by junk":
        content += bytes(chance.randrange(1, 256) for _ in range(9))
    elif kind == "two streams":
        half = good.content.index(b"\n", len(good.content) // 2) + 1
        parts = gzip.compress(good.content[:half], mtime=0), gzip.compress(good.content[half:], mtime=0)
        return Mutation("gzip in two streams", "a.csv.gz", b"".join(parts), "be the same")
    else:
        content.clear()
    return Mutation(f"gzip {kind}", "a.csv.gz", bytes(content), "be refused")


def a_parquet_file(good: Good, chance: random.Random) -> Mutation:
    frame = pl.DataFrame(good.rows, schema=good.header, orient="row")
    at = chance.choice(good.header)
    kind = chance.choice(("good", "cut", "flipped", "lists", "bytes", "lacks a column"))
    if kind == "lists":
        frame = frame.with_columns(pl.concat_list(at).alias(at))
    elif kind == "bytes":
        frame = frame.with_columns(pl.col(at).cast(pl.Binary))
    elif kind == "lacks a column":
        frame = frame.drop(at)
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    content = bytearray(buffer.getvalue())
    if kind == "cut":
        del content[chance.randrange(len(content) - 1) :]
    elif kind == "flipped":  # Parquet has no digest of its own; the control file has
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        said = {"sha256": {"a.parquet": hashlib.sha256(buffer.getvalue()).hexdigest()}}
        control = chance.choice((said, None))
        if control is None:
            every = frozenset(range(2, len(good.rows) + 2))
            return Mutation("parquet flipped", "a.parquet", bytes(content), "differ there", every)
        return Mutation("parquet flipped", "a.parquet", bytes(content), "be refused", control=control)
    must: Literal["be the same", "be refused"] = "be the same" if kind in ("good", "bytes") else "be refused"
    return Mutation(f"parquet {kind} ({at})", "a.parquet", bytes(content), must)


KINDS: list[Callable[[Good, random.Random], Mutation]] = [
    a_field,
    a_field,
    a_field,
    bytes_of_the_body,
    bytes_of_the_body,
    bytes_of_the_body,
    a_ragged_row,
    repeated_rows,
    another_header,
    another_layout,
    control_mismatch,
    a_gzip_stream,
    a_parquet_file,
]


def good_file(settings: Settings, feed: Feed, landing: Path) -> Good:
    """The simulated operator's deliveries, cut to a size that loads quickly, and published once."""
    [path] = [each for each in landing.glob(f"{feed.name}/date=*/*") if not each.name.startswith("_")]
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    header, *rows = itertools.islice(csv.reader(io.StringIO(text)), ROWS + 1)
    deliver(settings, feed.name, DAY, a__csv=written([header, *rows]))
    outcome = ingest(settings, feed.name, DAY)
    assert outcome.status == "published" and outcome.rows_quarantined == 0, outcome
    held = held_by_line(settings, feed, outcome)
    return Good(feed, header, rows, Counter(held.values()), held)


def held_by_line(settings: Settings, feed: Feed, outcome: Outcome) -> dict[int, tuple[Any, ...]]:
    """What is published of a delivery: line, and everything stored that is not the row's place."""
    if feed.keeping is Keeping.RANGES:
        found = query(
            settings,
            "select number, department_code, reason from routing.line_assignment "
            "where valid_from <= %s and (valid_to is null or valid_to >= %s) order by number",
            DAY,
            DAY,
        )
        return dict(enumerate(found))
    places = ("file_number", "line_number")
    names = [column.name for column in feed.loaded_columns if column.name not in places]
    table = partitions.delivery_table(feed, DAY, outcome.delivery_id or 0)
    columns = sql.SQL(", ").join(map(sql.Identifier, ["line_number", *names]))
    with connect(settings, "admin") as connection:
        found = connection.execute(sql.SQL("select {} from {}").format(columns, table.identifier)).fetchall()
    return {line: tuple(values) for line, *values in found}


def check(settings: Settings, good: Good, spoiled: Mutation) -> str:
    """Deliver it and check the outcome; returns the status."""
    name = spoiled.name.replace(".", "__")
    control = {"control": spoiled.control} if spoiled.control else {}
    deliver(settings, good.feed.name, DAY, **{name: spoiled.content}, **control)
    outcome = ingest(settings, good.feed.name, DAY)
    assert outcome.status in ("published", "refused", "unchanged"), outcome
    assert outcome.rows_read == outcome.rows_published + outcome.rows_quarantined
    kept = query(
        settings,
        "select file_name, line_number, column_name, reason, row_text from ops.quarantine "
        "where delivery_id = %s",
        outcome.delivery_id,
    )
    personal = [good.header.index(column.name) for column in good.feed.file_columns if column.personal]
    secrets = {row[at] for row in good.rows for at in personal if len(row[at]) > 6}
    for file_name, line, _, reason, text in kept:
        assert file_name == spoiled.name and line >= 1 and reason
        assert not any(secret in text for secret in secrets), "a person's number or reference is in clear"
    if outcome.status == "refused":
        assert spoiled.must != "be the same", outcome.message
        named = (spoiled.name, "_CONTROL.json", *good.header, "rows", "%")
        assert any(each in outcome.message for each in named), outcome.message
        return "refused"
    assert spoiled.must != "be refused", outcome.message
    held = held_by_line(settings, good.feed, outcome)
    found = Counter(held.values())
    if spoiled.must == "be the same":
        assert found == good.published
        return outcome.status
    if spoiled.name == "a.csv" and b'"' not in spoiled.content:
        lines = spoiled.content.split(b"\n")[1:]
        assert outcome.rows_read == sum(line.strip(b"\r") != b"" for line in lines), (
            "a row is not accounted for"
        )
    if good.feed.keeping is not Keeping.RANGES:
        untouched = Counter(row for line, row in good.by_line.items() if line not in spoiled.touched)
        assert not untouched - found, "rows were lost that nobody touched"
        assert (found - untouched).total() <= len(spoiled.touched)
    if spoiled.column:
        [line] = spoiled.touched
        assert outcome.rows_read == len(good.rows)
        assert [(kept_line, reason) for _, kept_line, _, reason, _ in kept] == (
            [] if found.total() == len(good.rows) else [(line, kept[0][3])]
        )
        lost = good.published.total() - found.total()
        assert lost == len(kept) <= 1
    return outcome.status


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of the simulated operator, all feeds."""
    folder = tmp_path_factory.mktemp("good")
    simulate(DAY, DAY, scale=0.01, seed=1, out=str(folder))
    return folder


@pytest.mark.parametrize("feed", feeds.FEEDS)
@pytest.mark.parametrize("count", [4, pytest.param(1_450, marks=pytest.mark.soak)])
def test_spoiled_files_are_published_exactly_or_reported(
    module_warehouse: Settings, landing: Path, feed: str, count: int
) -> None:
    good = good_file(module_warehouse, feeds.get(feed), landing)
    results: Counter[str] = Counter()
    wrong = []
    for seed in range(count):
        chance = random.Random(f"{feed} {seed}")
        spoiled = chance.choice(KINDS)(good, chance)
        try:
            results[check(module_warehouse, good, spoiled)] += 1
        except Exception as error:  # all are reported together: one failure says little about the next
            wrong.append(f"seed {seed}: {spoiled.what}: {type(error).__name__}: {error}")
    assert not wrong, "\n\n".join(wrong)
    print(f"{feed}: {count} spoiled files: {dict(results)}")
