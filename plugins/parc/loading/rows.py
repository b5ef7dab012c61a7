"""What a feed's declaration demands of each row, and what is stored of a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import polars as pl
import polars_hash as plh

from parc.feeds import LONGEST_VALUE, Column, Derivation, Derived, Feed, Personal, Type
from parc.loading.blocks import Block
from parc.loading.casts import EXPECTED, cast, cast_rest
from parc.numbers import MASK, masked, national_prefix

BUSINESS_ZONE = ZoneInfo("Europe/Paris")
LONGEST_TEXT = 2_000
"""Characters of a row's text that quarantine keeps; the raw file has the rest."""


@dataclass(frozen=True)
class Rejected:
    """A row that broke a rule; `value` is what stood in `column`, masked like the text where personal."""

    file_name: str
    line: int
    column: str | None
    reason: str
    value: str | None
    text: str


@dataclass(frozen=True)
class _Rule:
    column: str
    reason: str
    broken: pl.Expr


class RowRules:
    """The row rules of one feed for one business date, and the columns derived with one secret."""

    def __init__(self, feed: Feed, business_date: date, secret: bytes) -> None:
        self._columns = {column.name: column for column in feed.file_columns}
        self._business_date = business_date
        self._rules = list(_rules(feed, business_date))
        self._any_broken = pl.any_horizontal([rule.broken for rule in self._rules]).fill_null(False)
        derived = {column.name: _derive(column, secret.decode()) for column in feed.derived_columns}
        self._stored = [
            derived.get(column.name, pl.col(column.name)).alias(column.name) for column in feed.loaded_columns
        ]

    def sort_out(self, block: Block, file_number: int, file_name: str) -> tuple[pl.DataFrame, list[Rejected]]:
        """The sound rows as they are loaded (`Feed.loaded_columns`), and the others, each by line."""
        frame = self._typed(block.rows).with_columns(
            pl.lit(self._business_date).alias("business_date"),
            pl.lit(file_number, pl.Int16).alias("file_number"),
            pl.Series("line_number", block.lines, pl.Int32),
        )
        broken = frame.select(self._any_broken).to_series()
        rejected = [
            Rejected(file_name, line, None, f"the row {reason}", None, MASK)
            for line, reason in block.unreadable
        ]
        if broken.any():
            rejected += self._rejected(frame.filter(broken), block.rows.columns, file_name)
            rejected.sort(key=lambda row: row.line)
            frame = frame.filter(~broken)
        return frame.select(self._stored), rejected

    def show(self, rows: pl.DataFrame) -> list[str]:
        """The rows as CSV lines, personal columns masked."""
        return [self._shown_row(rows.columns, row) for row in rows.iter_rows()]

    def _typed(self, rows: pl.DataFrame) -> pl.DataFrame:
        texts = rows.rename({name: _text_of(name) for name in rows.columns})
        frame = texts.with_columns(
            cast(column, pl.col(_text_of(name))).alias(name) for name, column in self._columns.items()
        )
        for name, column in self._columns.items():
            text = pl.col(_text_of(name))
            second_way = cast_rest(column, text)
            if second_way is None or frame[name].null_count() == frame[_text_of(name)].null_count():
                continue
            rest = frame.select((text.is_not_null() & pl.col(name).is_null()).arg_true()).to_series()
            values = frame.select(_text_of(name))[rest].select(second_way).to_series()
            frame = frame.with_columns(frame[name].scatter(rest, values))
        return frame

    def _rejected(self, frame: pl.DataFrame, names: list[str], file_name: str) -> Iterator[Rejected]:
        first_broken = pl.coalesce(
            pl.when(rule.broken).then(pl.lit(number)) for number, rule in enumerate(self._rules)
        )
        rules = frame.select(first_broken).to_series()
        texts = frame.select(pl.col(_text_of(name)).alias(name) for name in names)
        rows = zip(rules, frame["line_number"], texts.iter_rows(named=True), strict=True)
        for number, line, row in rows:
            rule = self._rules[number]
            yield Rejected(
                file_name,
                line,
                rule.column,
                rule.reason,
                self._shown(rule.column, row[rule.column]),
                self._shown_row(names, tuple(row.values())),
            )

    def _shown(self, name: str, value: str | None) -> str | None:
        if value is None:
            return None
        return MASK if self._columns[name].personal else masked(value)

    def _shown_row(self, names: list[str], row: tuple[str | None, ...]) -> str:
        line = io.StringIO()
        csv.writer(line).writerow(self._shown(name, value) for name, value in zip(names, row, strict=True))
        return line.getvalue().rstrip("\r\n")[:LONGEST_TEXT]


def key_hashes(rows: pl.DataFrame, feed: Feed) -> pl.Series:
    """A 64-bit hash of each row's key: equal keys have equal hashes, unequal ones nearly never."""
    return rows.select(pl.struct(feed.stored_key).hash()).to_series()


def _text_of(name: str) -> str:
    return f"{name} as delivered"


def _rules(feed: Feed, business_date: date) -> Iterator[_Rule]:
    for column in feed.file_columns:
        yield from _column_rules(column)
    for sequence in feed.in_order:
        # The nearest moment before is named first.
        for earlier, later in sorted(
            combinations(range(len(sequence)), 2), key=lambda pair: (pair[1], pair[1] - pair[0])
        ):
            before, after = sequence[earlier], sequence[later]
            yield _Rule(after, f"`{after}` is before `{before}`", pl.col(after) < pl.col(before))
    for need in feed.needs:
        for name in need.needed:
            missing = (pl.col(need.column) == need.value) & pl.col(name).is_null()
            yield _Rule(name, f"`{name}` is empty though `{need.column}` is {need.value}", missing)
    for limit in feed.lasting:
        too_long = pl.col(limit.last) - pl.col(limit.first) > timedelta(days=limit.days)
        yield _Rule(
            limit.last, f"`{limit.last}` is more than {limit.days:,} days after `{limit.first}`", too_long
        )
    if feed.dated_by:
        start, end = (
            datetime.combine(day, time(), BUSINESS_ZONE).astimezone(UTC)
            for day in (business_date, business_date + timedelta(days=1))
        )
        instant = pl.col(feed.dated_by)
        reason = f"`{feed.dated_by}` is not on {business_date} ({BUSINESS_ZONE.key})"
        yield _Rule(feed.dated_by, reason, (instant < start) | (instant >= end))


def _column_rules(column: Column) -> Iterator[_Rule]:
    name, value, text = column.name, pl.col(column.name), pl.col(_text_of(column.name))
    if column.personal is Personal.NUMBER:
        yield _Rule(name, f"`{name}` is not a telephone number", value == "")
        if not column.nullable:
            yield _Rule(name, f"`{name}` is empty or withheld", value.is_null())
        return
    if not column.nullable:
        yield _Rule(name, f"`{name}` is empty", text.is_null())
    if column.type in EXPECTED:
        unread = text.is_not_null() & value.is_null()
        yield _Rule(name, f"`{name}` is not {EXPECTED[column.type]}", unread)
    if column.one_of:
        yield _Rule(name, f"`{name}` is outside {'|'.join(column.one_of)}", ~value.is_in(column.one_of))
    if column.at_least is not None and column.at_most is not None:
        outside = ~value.is_between(column.at_least, column.at_most)
        yield _Rule(name, f"`{name}` is outside {column.at_least}..{column.at_most}", outside)
    elif column.at_least is not None:
        yield _Rule(name, f"`{name}` is below {column.at_least}", value < column.at_least)
    elif column.at_most is not None:
        yield _Rule(name, f"`{name}` is above {column.at_most}", value > column.at_most)
    if column.form:
        unlike = ~value.str.contains(f"^(?:{column.form.pattern})$")
        yield _Rule(name, f"`{name}` is not {column.form.words}", unlike)
    elif column.type is Type.TEXT and not (column.personal or column.one_of):
        too_long = value.str.len_chars() > LONGEST_VALUE
        yield _Rule(name, f"`{name}` has more than {LONGEST_VALUE} characters", too_long)


def _derive(column: Derived, secret: str) -> pl.Expr:
    source = pl.col(column.source)
    if column.by is Derivation.PREFIX:
        return national_prefix(source)
    text = plh.concat_str(pl.lit(column.namespace), source) if column.namespace else plh.col(column.source)
    digest = text.chash.hmac_sha256(key=secret)
    if column.by is Derivation.KEY:
        return digest.str.head(32).str.to_integer(base=16, dtype=pl.UInt128)
    return digest.str.head(16).str.to_integer(base=16, dtype=pl.UInt64).reinterpret(signed=True)
