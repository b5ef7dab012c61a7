"""Loads a delivery's files into their own table: reads, checks, sends, removes duplicates; in bounded
memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from psycopg import Connection, Copy, Cursor, sql

from parc.feeds import Feed
from parc.loading import binarycopy
from parc.loading.blocks import Block, UnreadableFile
from parc.loading.landing import DeliveredFile
from parc.loading.limits import MOST_REJECTED_ROWS, MOST_ROWS
from parc.loading.reader import read
from parc.loading.rows import (
    HOLDS_NUMBER,
    SHAPE,
    ChangedValues,
    RowRejection,
    RowRules,
    ValueChange,
    key_hashes,
)
from parc.numbers import MASK
from parc.warehouse import partitions
from parc.warehouse.partitions import Table
from parc.wording import counted

DUPLICATE = "the row repeats the key of an earlier one"
BLOCKS_AT_ONCE = 2
STATISTICS_TARGET = 10
"""Enough for the planner on one day's table; the server's default would read ten times as many rows."""

FLUSH_AFTER = "1MB"
"""Flush written pages to disk early; otherwise the commit would have to flush them all and wait."""


@dataclass
class LoadProgress:
    """What has been read so far: the number of rows, the rows that broke a rule (`rejected`, up to a limit),
    and the values that were changed. `is_cut`: so many rows broke rules that the rest was not read.
    """

    rows_read: int = 0
    is_cut: bool = False
    rows_rejected: int = 0
    rejected: list[RowRejection] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    first_by_reason: dict[str, RowRejection] = field(default_factory=dict)
    changed: Counter[tuple[str, ValueChange]] = field(default_factory=Counter)
    first_changed: dict[tuple[str, ValueChange], str] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """How values were changed, by column."""
        return [
            f"`{column}` {change} in {counted(count, 'row')} (first: {self.first_changed[column, change]})"
            for (column, change), count in self.changed.items()
        ]

    def change(self, file_name: str, changed: Iterable[ChangedValues]) -> None:
        """Count the changed values of a block."""
        for each in changed:
            place = each.column, each.change
            self.changed[place] += each.count
            self.first_changed.setdefault(place, f"{file_name} line {each.first_line}")

    def reject(self, rows: Iterable[RowRejection], reason: str | None = None) -> None:
        """Count rejected rows by their reason (or `reason`) and keep them."""
        for row in rows:
            self.rows_rejected += 1
            self.reasons[reason or row.reason] += 1
            self.first_by_reason.setdefault(reason or row.reason, row)
            if len(self.rejected) < MOST_REJECTED_ROWS:
                self.rejected.append(row)

    def count_more(self, reason: str, count: int) -> None:
        """Count rejected rows without keeping them."""
        if count:
            self.rows_rejected += count
            self.reasons[reason] += count


@dataclass(frozen=True)
class _Chunk:
    """A block, ready to be sent: `payload` holds its sound rows, `lines` and `key_hashes` belong to them,
    `repeat_count` is how many repeat an earlier key, and `doubtful` has the lines of rows whose key may be a
    telephone number."""

    file_number: int
    row_count: int
    rejected: list[RowRejection]
    changed: list[ChangedValues]
    doubtful: pl.Series
    lines: pl.Series
    key_hashes: pl.Series
    repeat_count: int
    payload: memoryview


def load(
    connection: Connection[Any],
    feed: Feed,
    business_date: date,
    files: Sequence[DeliveredFile],
    table: Table,
    rules: RowRules,
    loaded: LoadProgress,
) -> None:
    """Create `table` and fill it with the files' sound rows, in one transaction; `loaded` keeps the counts.

    Blocks are parsed in threads while others are sent. Rows of a table created in the same transaction need
    no write-ahead log (if `wal_level` is minimal) and are written already frozen. Once more rows have broken
    rules than any delivery may have, the rest is not read.

    Raises UnreadableFile if a file is invalid, exceeds a limit, or was written to while it was read.
    """
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in feed.loaded_columns)
    command = sql.SQL("copy {} ({}) from stdin (format binary, freeze)").format(table.identifier, columns)
    places = []
    doubtful = []
    with connection.transaction():
        connection.execute(f"set local backend_flush_after = '{FLUSH_AFTER}'")
        partitions.create_delivery_table(connection, feed, table, business_date)
        with connection.cursor() as cursor, _copying(cursor, command) as copy:
            copy.write(binarycopy.HEADER)
            repeat_count = 0
            for chunk in _chunks(feed, business_date, files, rules):
                copy.write(chunk.payload)
                loaded.rows_read += chunk.row_count
                loaded.reject(chunk.rejected)
                loaded.change(files[chunk.file_number - 1].name, chunk.changed)
                places.append((chunk.file_number, chunk.lines, chunk.key_hashes))
                doubtful.append((chunk.file_number, chunk.doubtful))
                repeat_count += chunk.repeat_count
                if loaded.rows_read > MOST_ROWS:
                    raise UnreadableFile(
                        f"there are more than {MOST_ROWS:,} rows; deliver each day separately"
                    )
                if max(loaded.rows_rejected, repeat_count) > MOST_REJECTED_ROWS:
                    loaded.is_cut = True
                    break
            copy.write(binarycopy.TRAILER)
        for file in files:
            if file.has_changed():
                raise UnreadableFile(f"{file.name} was written to while it was read; run it again")
        _set_numbers_aside(connection, feed, files, table, rules, _places(doubtful), loaded)
        suspects, copies = _suspects(places)
        if copies > MOST_REJECTED_ROWS:
            number, line = suspects.row(0)
            first = RowRejection(files[number - 1].name, line, None, DUPLICATE, None, MASK)
            loaded.reject([first], DUPLICATE)
            loaded.count_more(DUPLICATE, copies - 1)
        elif copies:
            _set_duplicates_aside(connection, feed, files, table, rules, suspects, loaded)
        connection.execute(f"set local default_statistics_target = {STATISTICS_TARGET}")
        connection.execute(sql.SQL("analyze {}").format(table.identifier))


class _CopyAborted(Exception):
    """A COPY ends early; the cause says why."""


@contextmanager
def _copying(cursor: Cursor[Any], command: sql.Composed) -> Iterator[Copy]:
    """A COPY that fails with a short message: psycopg sends the message to the server, which closes the
    connection if it is longer than 10,000 bytes."""
    try:
        with cursor.copy(command) as copy:
            try:
                yield copy
            except BaseException as error:
                raise _CopyAborted from error
    except _CopyAborted as given_up:
        assert given_up.__cause__
        raise given_up.__cause__ from None


def _chunks(
    feed: Feed, business_date: date, files: Sequence[DeliveredFile], rules: RowRules
) -> Iterator[_Chunk]:
    """The files' blocks in order, prepared in threads while others are read and sent."""

    def make_ready(number: int, file: DeliveredFile, block: Block) -> _Chunk:
        found = rules.check_block(block, number, file.name)
        hashes = key_hashes(found.rows, feed)
        return _Chunk(
            number,
            block.row_count,
            found.rejected,
            found.changed,
            found.doubtful,
            found.rows["line_number"],
            hashes,
            len(hashes) - hashes.n_unique(),
            binarycopy.encode(found.rows),
        )

    with ThreadPoolExecutor(BLOCKS_AT_ONCE, thread_name_prefix="parse") as pool:
        pending: deque[Future[_Chunk]] = deque()
        failure: UnreadableFile | None = None
        try:
            for number, file in enumerate(files, start=1):
                for block in read(file, feed, business_date):
                    pending.append(pool.submit(make_ready, number, file, block))
                    if len(pending) > BLOCKS_AT_ONCE:
                        yield pending.popleft().result()
        except UnreadableFile as error:
            failure = error  # first account for what was read before it
        while pending:
            yield pending.popleft().result()
        if failure:
            raise failure


def _suspects(places: Sequence[tuple[int, pl.Series, pl.Series]]) -> tuple[pl.DataFrame, int]:
    """The places (file_number, line_number) of rows whose key hash occurs more than once, and how many of
    these rows repeat an earlier one."""
    hashes = np.concatenate([hashes.to_numpy() for _, _, hashes in places] or [np.array([], np.uint64)])
    in_order = np.sort(hashes)
    repeated = in_order[1:][in_order[1:] == in_order[:-1]]
    if not repeated.size:
        return pl.DataFrame(), 0
    frame = _places([(number, lines) for number, lines, _ in places])
    return frame.filter(pl.Series(np.isin(hashes, repeated))), repeated.size


def _places(lines: Sequence[tuple[int, pl.Series]]) -> pl.DataFrame:
    """Lines of files as rows of (file_number, line_number)."""
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
    loaded: LoadProgress,
) -> None:
    """Remove rows whose key is a telephone number from the table, and reject them.

    A key of only digits counts as an identifier if at least half of the delivery's keys look like it, and as
    a number otherwise.
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
    kept = sorted(found)[:MOST_REJECTED_ROWS]
    texts = _texts(feed, files, rules, set(kept))
    reason = f"`{feed.identifier}` {HOLDS_NUMBER}"
    loaded.reject(
        RowRejection(files[number - 1].name, line, feed.identifier, reason, MASK, *texts[number, line])
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
    loaded: LoadProgress,
) -> None:
    """Remove the later copies of each key from the table, and reject them.

    The hashes only narrow the search; PostgreSQL compares the keys themselves. The text of a copy is read
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
        [MOST_REJECTED_ROWS],
    ).fetchall()
    texts = _texts(feed, files, rules, {(number, line) for number, line, _, _ in found})
    duplicates = (
        RowRejection(
            files[number - 1].name,
            line,
            None,
            f"duplicate of {files[first_file - 1].name} line {first_line}",
            None,
            *texts[number, line],
        )
        for number, line, first_file, first_line in found
    )
    loaded.reject(duplicates, DUPLICATE)
    loaded.count_more(DUPLICATE, row[0] - len(found))


def _send_places(connection: Connection[Any], name: str, places: pl.DataFrame) -> None:
    """Create a temporary table of places (file_number, line_number), dropped at commit."""
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
) -> dict[tuple[int, int], tuple[str, tuple[str, ...]]]:
    """The masked texts of the rows at these places (file_number, line), read again from the files, each with
    its columns."""
    texts: dict[tuple[int, int], tuple[str, tuple[str, ...]]] = {}
    for number, file in enumerate(files, start=1):
        lines = [line for wanted_number, line in wanted if wanted_number == number]
        for block in read(file, feed, rules.business_date) if lines else ():
            is_wanted = np.isin(block.lines, lines)
            shown = rules.show(block.rows.filter(pl.Series(is_wanted)))
            texts |= {
                (number, line): (text, tuple(block.rows.columns))
                for line, text in zip(block.lines[is_wanted].tolist(), shown, strict=True)
            }
    return texts
