"""A delivery's files into a table of its own: read, checked, sent, freed of duplicates; in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

import numpy as np
import polars as pl
from psycopg import Connection, sql

from parc.errors import DeliveryRefused
from parc.feeds import Feed
from parc.loading import binarycopy
from parc.loading.blocks import Block, UnreadableFile
from parc.loading.landing import DeliveredFile
from parc.loading.reader import read
from parc.loading.rows import HOLDS_NUMBER, SHAPE, Change, Changed, Rejected, RowRules, key_hashes
from parc.numbers import MASK
from parc.warehouse import partitions
from parc.warehouse.partitions import Table

MOST_REJECTED_KEPT = 100_000
"""Rejected rows held in memory; a delivery with more of them is refused whatever share they are, and what
comes after them is not read."""

REASONS_NAMED = 3

DUPLICATE = "the row repeats the key of an earlier one"
BLOCKS_AT_ONCE = 2
STATISTICS_TARGET = 10
"""Enough for the planner on a table of one day; the server's default reads ten times the rows."""

FLUSH_AFTER = "1MB"
"""What is written is sent on to the disk at once: else the commit, which waits for it, has it all to send."""


@dataclass
class Loaded:
    """What has been read so far: all rows, those that broke a rule (`rejected` up to a bound), and the values
    that were taken otherwise than they stood. `is_cut`: there is more, and it was not read.
    """

    rows_read: int = 0
    rows_rejected: int = 0
    is_cut: bool = False
    rejected: list[Rejected] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    first_by_reason: dict[str, Rejected] = field(default_factory=dict)
    changed: Counter[tuple[str, Change]] = field(default_factory=Counter)
    first_changed: dict[tuple[str, Change], str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What was made of values, by column."""
        return [
            f"`{column}` {change} in {count:,} rows (first: {self.first_changed[column, change]})"
            for (column, change), count in self.changed.items()
        ]

    def refuse(self, limit: str) -> NoReturn:
        """Raises DeliveryRefused, as more rows break rules than may."""
        share = 100 * self.rows_rejected / self.rows_read
        rows = f"the first {self.rows_read:,}" if self.is_cut else f"{self.rows_read:,}"
        text = f"{self.rows_rejected:,} of {rows} rows ({share:.1f} %) break rules, limit {limit}"
        text += "; the rest was not read" if self.is_cut else ""
        raise DeliveryRefused(f"{text}: {self.top_reasons}")

    @property
    def top_reasons(self) -> str:
        """For what most rows were rejected, with the first of each reason."""
        told = []
        for reason, count in self.reasons.most_common(REASONS_NAMED):
            first = self.first_by_reason[reason]
            value = f", {first.value!r}" if first.value is not None else ""
            told.append(f"{reason} in {count:,} (first: {first.file_name} line {first.line}{value})")
        return "; ".join(told)

    def change(self, file_name: str, changed: Iterable[Changed]) -> None:
        """Count the values of a block that were changed."""
        for each in changed:
            place = each.column, each.change
            self.changed[place] += each.count
            self.first_changed.setdefault(place, f"{file_name} line {each.first_line}")

    def reject(self, rows: Iterable[Rejected], reason: str | None = None) -> None:
        """Count rejected rows under their reason (or `reason`) and keep them."""
        for row in rows:
            self.rows_rejected += 1
            self.reasons[reason or row.reason] += 1
            self.first_by_reason.setdefault(reason or row.reason, row)
            if len(self.rejected) < MOST_REJECTED_KEPT:
                self.rejected.append(row)

    def count_more(self, reason: str, count: int) -> None:
        """Count rejected rows of which nothing else is kept."""
        if count:
            self.rows_rejected += count
            self.reasons[reason] += count


@dataclass(frozen=True)
class _Chunk:
    """A block, ready to be sent: `payload` holds its sound rows, `lines` and `key_hashes` are theirs, and
    `doubtful` the lines of those whose key may be a telephone number."""

    file_number: int
    row_count: int
    rejected: list[Rejected]
    changed: list[Changed]
    doubtful: pl.Series
    lines: pl.Series
    key_hashes: pl.Series
    payload: memoryview


def load(
    connection: Connection[Any],
    feed: Feed,
    business_date: date,
    files: Sequence[DeliveredFile],
    table: Table,
    rules: RowRules,
    loaded: Loaded,
) -> None:
    """Make `table` and fill it with the files' sound rows, in one transaction; `loaded` keeps account.

    Blocks are parsed in threads while others are sent. Rows of a table made in the same transaction need no
    write-ahead log (where `wal_level` is minimal) and are frozen as they are written.

    Raises UnreadableFile where a file is not what it should be, or was written to meanwhile; DeliveryRefused
    as soon as more than MOST_REJECTED_KEPT rows break rules.
    """
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in feed.loaded_columns)
    command = sql.SQL("copy {} ({}) from stdin (format binary, freeze)").format(table.identifier, columns)
    places = []
    doubtful = []
    with connection.transaction():
        connection.execute(f"set local backend_flush_after = '{FLUSH_AFTER}'")
        partitions.create_delivery_table(connection, feed, table, business_date)
        with connection.cursor() as cursor, cursor.copy(command) as copy:
            copy.write(binarycopy.HEADER)
            for chunk in _chunks(feed, business_date, files, rules):
                copy.write(chunk.payload)
                loaded.rows_read += chunk.row_count
                loaded.reject(chunk.rejected)
                if loaded.rows_rejected > MOST_REJECTED_KEPT:
                    loaded.is_cut = True
                    loaded.refuse(f"{MOST_REJECTED_KEPT:,} rows")
                loaded.change(files[chunk.file_number - 1].name, chunk.changed)
                places.append((chunk.file_number, chunk.lines, chunk.key_hashes))
                doubtful.append((chunk.file_number, chunk.doubtful))
            copy.write(binarycopy.TRAILER)
        for file in files:
            if file.has_changed():
                raise UnreadableFile(f"{file.name} was written to while it was read; run it again")
        _set_numbers_aside(connection, feed, files, table, rules, _places(doubtful), loaded)
        suspects = _suspects(places)
        if suspects.height:
            _set_duplicates_aside(connection, feed, files, table, rules, suspects, loaded)
        connection.execute(f"set local default_statistics_target = {STATISTICS_TARGET}")
        connection.execute(sql.SQL("analyze {}").format(table.identifier))


def _chunks(
    feed: Feed, business_date: date, files: Sequence[DeliveredFile], rules: RowRules
) -> Iterator[_Chunk]:
    """The files' blocks in order, each made ready in a thread while others are read and sent."""

    def make_ready(number: int, file: DeliveredFile, block: Block) -> _Chunk:
        found = rules.sort_out(block, number, file.name)
        return _Chunk(
            number,
            block.row_count,
            found.rejected,
            found.changed,
            found.doubtful,
            found.rows["line_number"],
            key_hashes(found.rows, feed),
            binarycopy.encode(found.rows),
        )

    with ThreadPoolExecutor(BLOCKS_AT_ONCE, thread_name_prefix="parse") as pool:
        coming: deque[Future[_Chunk]] = deque()
        failure: UnreadableFile | None = None
        try:
            for number, file in enumerate(files, start=1):
                for block in read(file, feed, business_date):
                    coming.append(pool.submit(make_ready, number, file, block))
                    if len(coming) > BLOCKS_AT_ONCE:
                        yield coming.popleft().result()
        except UnreadableFile as error:
            failure = error  # what was read before it is still to be accounted for
        while coming:
            yield coming.popleft().result()
        if failure:
            raise failure


def _suspects(places: Sequence[tuple[int, pl.Series, pl.Series]]) -> pl.DataFrame:
    """Where rows stand whose key's hash occurs more than once: file_number, line_number."""
    hashes = np.concatenate([hashes.to_numpy() for _, _, hashes in places] or [np.array([], np.uint64)])
    in_order = np.sort(hashes)
    repeated = in_order[1:][in_order[1:] == in_order[:-1]]
    if not repeated.size:
        return pl.DataFrame()
    frame = _places([(number, lines) for number, lines, _ in places])
    return frame.filter(pl.Series(np.isin(hashes, repeated)))


def _places(lines: Sequence[tuple[int, pl.Series]]) -> pl.DataFrame:
    """Lines of files as rows: file_number, line_number."""
    numbers = np.repeat([number for number, _ in lines], [len(each) for _, each in lines])
    return pl.DataFrame(
        {
            "file_number": pl.Series(numbers, dtype=pl.Int16),
            "line_number": pl.concat([pl.Series(dtype=pl.Int32), *(each for _, each in lines)]),
        }
    )


def _set_numbers_aside(
    connection: Connection[Any],
    feed: Feed,
    files: Sequence[DeliveredFile],
    table: Table,
    rules: RowRules,
    doubtful: pl.DataFrame,
    loaded: Loaded,
) -> None:
    """Remove the rows whose key is a telephone number from the table, and reject them.

    Digits alone are an identifier where at least half of the delivery's keys have their shape, and a number
    where they stand out.
    """
    if not doubtful.height or not feed.identifier:
        return
    _send_places(connection, "doubtful", doubtful)
    found = connection.execute(
        sql.SQL(
            "with shapes as ("
            "  select translate({key}, {digits}, {nines}) as shape from {table} group by 1"
            "  having count(*) >= (select count(*) / 2.0 from {table})"
            ") delete from {table} as loaded using doubtful where (loaded.file_number, loaded.line_number)"
            "  = (doubtful.file_number, doubtful.line_number)"
            "  and translate({key}, {digits}, {nines}) not in (select shape from shapes)"
            "  returning loaded.file_number, loaded.line_number"
        ).format(table=table.identifier, key=sql.Identifier(feed.identifier), digits=SHAPE[0], nines=SHAPE[1])
    ).fetchall()
    kept = sorted(found)[:MOST_REJECTED_KEPT]
    texts = _texts(feed, files, rules, set(kept))
    reason = f"`{feed.identifier}` {HOLDS_NUMBER}"
    loaded.reject(
        Rejected(files[number - 1].name, line, feed.identifier, reason, MASK, texts[number, line])
        for number, line in kept
    )
    loaded.count_more(reason, len(found) - len(kept))


def _set_duplicates_aside(
    connection: Connection[Any],
    feed: Feed,
    files: Sequence[DeliveredFile],
    table: Table,
    rules: RowRules,
    suspects: pl.DataFrame,
    loaded: Loaded,
) -> None:
    """Remove the later copies of each key from the table, and reject them.

    The hashes only narrow the search: PostgreSQL compares the keys themselves. The text of a copy is read
    again from its file.
    """
    names = {"table": table.identifier, "key": sql.SQL(", ").join(map(sql.Identifier, feed.loaded_key))}
    _send_places(connection, "suspect", suspects)
    connection.execute(
        sql.SQL(
            "create temp table duplicate on commit drop as "
            "select place, file_number, line_number, first_file, first_line from ("
            "  select loaded.ctid as place, file_number, line_number, row_number() over same_key as copy,"
            "    first_value(file_number) over same_key as first_file,"
            "    first_value(line_number) over same_key as first_line"
            "  from {table} as loaded join suspect using (file_number, line_number)"
            "  window same_key as (partition by {key} order by file_number, line_number)"
            ") as ranked where copy > 1"
        ).format(**names)
    )
    connection.execute(
        sql.SQL("delete from {table} as loaded using duplicate where loaded.ctid = duplicate.place").format(
            **names
        )
    )
    row = connection.execute("select count(*) from duplicate").fetchone()
    assert row
    found = connection.execute(
        "select file_number, line_number, first_file, first_line from duplicate order by 1, 2 limit %s",
        [MOST_REJECTED_KEPT],
    ).fetchall()
    texts = _texts(feed, files, rules, {(number, line) for number, line, _, _ in found})
    duplicates = (
        Rejected(
            files[number - 1].name,
            line,
            None,
            f"duplicate of {files[first_file - 1].name} line {first_line}",
            None,
            texts[number, line],
        )
        for number, line, first_file, first_line in found
    )
    loaded.reject(duplicates, DUPLICATE)
    loaded.count_more(DUPLICATE, row[0] - len(found))


def _send_places(connection: Connection[Any], name: str, places: pl.DataFrame) -> None:
    """Make a temporary table of places (file_number, line_number), gone with the transaction."""
    table = sql.Identifier(name)
    connection.execute(
        sql.SQL("create temp table {} (file_number smallint, line_number integer) on commit drop").format(
            table
        )
    )
    command = sql.SQL("copy {} from stdin (format binary)").format(table)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for part in (binarycopy.HEADER, binarycopy.encode(places), binarycopy.TRAILER):
            copy.write(part)
    connection.execute(sql.SQL("analyze {}").format(table))


def _texts(
    feed: Feed, files: Sequence[DeliveredFile], rules: RowRules, wanted: set[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """The masked texts of the rows at these places (file_number, line), read again."""
    texts: dict[tuple[int, int], str] = {}
    for number, file in enumerate(files, start=1):
        lines = [line for wanted_number, line in wanted if wanted_number == number]
        for block in read(file, feed, rules.business_date) if lines else ():
            is_wanted = np.isin(block.lines, lines)
            shown = rules.show(block.rows.filter(pl.Series(is_wanted)))
            texts |= {
                (number, line): text
                for line, text in zip(block.lines[is_wanted].tolist(), shown, strict=True)
            }
    return texts
