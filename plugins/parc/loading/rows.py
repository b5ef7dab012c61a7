"""The rules that a feed's declaration sets for each row, and what is stored of a row."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import combinations

import polars as pl

from parc.feeds import LONGEST_VALUE, Column, Derivation, Derived, Feed, Personal, Type
from parc.instants import PARIS
from parc.loading import casts
from parc.loading.blocks import Block
from parc.loading.casts import EXPECTED, cast
from parc.numbers import (
    MASK,
    is_certain,
    is_code,
    masked,
    masked_with_serials,
    may_be_number,
    may_hold_number,
    national_prefix,
)
from parc.pseudonyms import Pseudonyms, identity

LONGEST_TEXT = 2_000
"""Most characters of a row's text that quarantine keeps; the delivered file has the rest."""

LONGEST_SHOWN = 60
"""Most characters of a value that a message shows."""

SHAPE = ("012345678", "999999999")
"""Digits, and what replaces them in the shape of an identifier."""

_MOMENT = re.compile(r"[0-9]{1,4}[-/.:][0-9TZ:.,+\-/ ]*[A-Z]{0,5}")
"""What may be meant as a date or time, and cannot contain a name."""

HOLDS_NUMBER = "holds a telephone number"
HOLDS_REFERENCE = "holds a reference to a person"
_OF_NUMBERS = "+0123456789 \t\u00a0.-/()_,"
"""A possible beginning of a telephone number at the end of a truncated text."""
_CUT = "…" * (LONGEST_VALUE + 1)
"""Ends a truncated text, so that it is not a value of any type, and is too long whatever is masked in it."""
_DOUBTFUL = "key may be a telephone number"


@dataclass(frozen=True)
class RowRejection:
    """A row that broke a rule; `value` is the value of `column`, masked like the text. `columns` are those of
    the text, none where it is masked as a whole."""

    file_name: str
    line: int
    column: str | None
    reason: str
    value: str | None
    text: str
    columns: tuple[str, ...] = ()


class ValueChange(StrEnum):
    """How values were changed, as warnings say it."""

    EMPTIED = "holds placeholders, read as empty,"
    MASKED = "held telephone numbers, now masked,"
    NO_SERVICE = "is neither a service number nor a short code, so masked,"
    NO_CODE = "is not a code (one word, at most six digits), so masked,"
    REFERENCE = "repeated the row's reference to a person, so masked,"


@dataclass(frozen=True)
class ChangedValues:
    """Values of one column of a block that were changed in the same way: their number and the first line."""

    column: str
    change: ValueChange
    count: int
    first_line: int


@dataclass(frozen=True)
class CheckedBlock:
    """A block's rows: sound ones in the form in which they are loaded (`Feed.loaded_columns`), others by
    line.

    `doubtful` has the lines of sound rows whose key is a telephone number, unless the feed's keys look like
    that.
    """

    rows: pl.DataFrame
    rejected: list[RowRejection]
    changed: list[ChangedValues]
    doubtful: pl.Series


@dataclass(frozen=True)
class _Rule:
    """`refines`: the rule only explains what another rule finds, and is applied to rejected rows alone."""

    column: str
    reason: str
    broken: pl.Expr
    refines: bool = False


class RowRules:
    """The row rules of a feed for one business date, and its derived columns, made with `pseudonyms`.

    `listed` has the values of the seed columns that the feed's columns name in `listed_in`.
    """

    def __init__(
        self,
        feed: Feed,
        business_date: date,
        pseudonyms: Pseudonyms,
        listed: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._columns = {column.name: column for column in feed.file_columns}
        self._key = feed.key
        self._references = [
            column.name for column in feed.file_columns if column.personal is Personal.REFERENCE
        ]
        self.business_date = business_date
        self._secret = pseudonyms.secret
        self._listed = listed or {}
        self._rules = list(_rules(feed, business_date))
        finding = [rule.broken for rule in self._rules if not rule.refines]
        self._any_broken = pl.any_horizontal(finding).fill_null(False)
        # Built once, because Polars takes longer to build most expressions than to apply them to a block.
        self._usual = [
            cast(column, pl.col(_text_of(name))).alias(name) for name, column in self._columns.items()
        ]
        self._odd = {
            name: self._is_odd(column, pl.col(_text_of(name))) for name, column in self._columns.items()
        }
        self._has_odd = [self._has_odd_texts(column).alias(name) for name, column in self._columns.items()]
        self._other_ways = {
            name: casts.other_ways(column, pl.col("text"), self._listed.get(column.listed_in or "", ()))
            for name, column in self._columns.items()
        }
        self._repeats = {
            name: pl.any_horizontal(
                pl.col(_text_of(name)) == pl.col(_text_of(reference)) for reference in self._references
            ).fill_null(False)
            & ~pl.col(name).is_in(list(self._listed.get(column.listed_in or "", ())))
            for name, column in self._columns.items()
            if column.is_code and self._references
        }
        self._stored = [column.name for column in feed.loaded_columns]
        stored = {*self._stored}
        self._derived = [
            [expression for expression in step if expression.meta.output_name() in stored]
            for step in derived(feed, pseudonyms)
        ]

    def check_block(self, block: Block, file_number: int, file_name: str) -> CheckedBlock:
        """Read the block's rows and separate those that break a rule."""
        frame, changed = self._typed(
            self._cut(block.rows).with_columns(
                pl.lit(self.business_date).alias("business_date"),
                pl.lit(file_number, pl.Int16).alias("file_number"),
                pl.Series("line_number", block.lines, pl.Int32),
            )
        )
        broken = frame.select(self._any_broken).to_series()
        rejected = [
            RowRejection(file_name, line, None, f"the row {reason}", None, MASK)
            for line, reason in block.unreadable
        ]
        if broken.any():
            rejected += self._rejected(frame.filter(broken), block.rows.columns, file_name)
            rejected.sort(key=lambda row: row.line)
            frame = frame.filter(~broken)
        doubtful = frame.filter(pl.col(_DOUBTFUL))["line_number"]
        for step in self._derived:
            frame = frame.with_columns(step)
        return CheckedBlock(frame.select(self._stored), rejected, changed, doubtful)

    def show(self, rows: pl.DataFrame) -> list[str]:
        """The rows as CSV lines, masked."""
        return [self._shown_row(row) for row in rows.iter_rows(named=True)]

    def _cut(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Truncate texts that are far too long for any column, since every rule reads them. References keep
        their full length, because their pseudonym is made from it."""
        cut = []
        for name in rows.columns:
            if self._columns[name].personal is Personal.REFERENCE:
                continue
            size, text = rows[name].str.len_bytes(), pl.col(name)
            if (size > LONGEST_TEXT).any():
                begins = text.str.slice(0, LONGEST_TEXT).str.strip_chars_end(_OF_NUMBERS) + _CUT
                cut.append(pl.when(text.str.len_chars() > LONGEST_TEXT).then(begins).otherwise(text))
        return rows.with_columns(cut) if cut else rows

    def _typed(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[ChangedValues]]:
        """The rows with each column both as text and typed; and which values were changed."""
        delivered = [name for name in self._columns if name in rows.columns]
        left_out = [
            pl.lit(None, pl.String).alias(_text_of(name)) for name in self._columns.keys() - {*delivered}
        ]
        frame = rows.rename({name: _text_of(name) for name in delivered}).with_columns(
            *left_out, pl.lit(False).alias(_DOUBTFUL)
        )
        frame = frame.with_columns(self._usual)
        changed: list[ChangedValues] = []
        for name, has_odd in frame.select(self._has_odd).row(0, named=True).items():
            if has_odd:
                frame, found = self._reread(frame, self._columns[name])
                changed += found
        for name, has_repeats in self._with_repeats(frame):
            if has_repeats:
                repeats = frame.select(self._repeats[name].arg_true()).to_series()
                frame = frame.with_columns(frame[name].scatter(repeats, MASK))
                first_line = int(frame["line_number"][int(repeats[0])])
                changed.append(ChangedValues(name, ValueChange.REFERENCE, repeats.len(), first_line))
        return frame, changed

    def _with_repeats(self, frame: pl.DataFrame) -> Iterator[tuple[str, bool]]:
        """The columns of codes, and whether any row repeats its own reference to a person there."""
        if self._repeats:
            found = frame.select(repeats.any().alias(name) for name, repeats in self._repeats.items())
            yield from found.row(0, named=True).items()

    def _has_odd_texts(self, column: Column) -> pl.Expr:
        """Whether any text of the column needs a second look. Codes repeat, so each distinct one is checked
        once."""
        text = pl.col(_text_of(column.name))
        is_code = column.type is Type.TEXT and not column.personal and column.name not in self._key
        return self._is_odd(column, text.unique() if is_code else text).any()

    def _is_odd(self, column: Column, text: pl.Expr) -> pl.Expr:
        return casts.is_odd(column, text, pl.col(column.name), is_key=column.name in self._key)

    def _reread(self, frame: pl.DataFrame, column: Column) -> tuple[pl.DataFrame, list[ChangedValues]]:
        """Read a column's odd texts in the other possible ways."""
        name, is_key, text = column.name, column.name in self._key, pl.col("text")
        at = frame.select(self._odd[name].arg_true()).to_series()
        odd = pl.DataFrame({"text": frame[_text_of(name)].gather(at)}).with_columns(
            casts.is_placeholder(column, text, is_key=is_key).alias("placeholder"),
            casts.is_agreed_empty(column, text).alias("nothing"),
        )
        odd = odd.with_columns(
            pl.col("nothing") | pl.col("placeholder"), line=frame["line_number"].gather(at)
        )
        values = pl.Series(name, [None], casts.POLARS[column.type]).new_from_index(0, odd.height)
        for way in self._other_ways[name]:
            left = (values.is_null() & ~odd["nothing"]).arg_true()
            if left.len():
                # Lazy evaluation computes repeated subexpressions once.
                values = values.scatter(left, odd[left].lazy().select(way).collect().to_series())
        if column.personal is Personal.NUMBER:
            odd = odd.with_columns(pl.col("nothing") | values.is_null())
            values = values.set(values == "", None)
        if column.is_free:
            texts = values.unique().drop_nulls()
            if is_key:
                doubtful = [text for text in texts if may_be_number(text)]
                frame = frame.with_columns(
                    frame[_DOUBTFUL].scatter(at, values.is_in(doubtful).fill_null(False))
                )
                values = values.set(values.is_in([text for text in doubtful if is_certain(text)]), None)
            elif hidden := {text: shown for text in texts if (shown := masked_with_serials(text)) != text}:
                values = values.replace(hidden)
        frame = frame.with_columns(frame[name].scatter(at, values))
        if odd["nothing"].any():
            nothing = at.filter(odd["nothing"])
            frame = frame.with_columns(frame[_text_of(name)].scatter(nothing, None))
        return frame, list(_changed(column, odd.with_columns(value=values), is_key=is_key))

    def _rejected(self, frame: pl.DataFrame, names: list[str], file_name: str) -> Iterator[RowRejection]:
        first_broken = pl.coalesce(
            pl.when(rule.broken).then(pl.lit(number)) for number, rule in enumerate(self._rules)
        )
        rules = frame.select(first_broken).to_series()
        texts = frame.select(pl.col(_text_of(name)).alias(name) for name in names)
        rows = zip(rules, frame["line_number"], texts.iter_rows(named=True), strict=True)
        columns = tuple(names)
        for number, line, row in rows:
            rule = self._rules[number]
            yield RowRejection(
                file_name,
                line,
                rule.column,
                rule.reason,
                self._shown_value(rule.column, row),
                self._shown_row(row),
                columns,
            )

    def _shown_value(self, name: str, row: Mapping[str, str | None]) -> str | None:
        shown = self._shown(name, row.get(name), self._persons(row))
        if shown is None or len(shown) <= LONGEST_SHOWN:
            return shown
        return f"{shown[: LONGEST_SHOWN - 1]}…"

    def _persons(self, row: Mapping[str, str | None]) -> set[str]:
        return {reference for name in self._references if (reference := row.get(name))}

    def _shown(self, name: str, value: str | None, persons: set[str]) -> str | None:
        """A value as it may be shown outside the database: a digest for a key that may be a number; a mask
        for anything that is neither a code nor an instant. `persons` are the row's references to persons."""
        if value is None:
            return None
        column = self._columns[name]
        if column.personal or value in persons:
            return MASK
        if not column.is_free:
            is_seen = (is_code(value) or _MOMENT.fullmatch(value)) and masked(value) == value
            return value if is_seen else MASK
        if name not in self._key:
            return masked_with_serials(value)
        shown = masked(value)
        if shown != value and not is_certain(value):
            digest = hmac.new(self._secret, f"key:{value}".encode(), hashlib.sha256).hexdigest()
            return f"#{digest[:12]}"
        return shown

    def _shown_row(self, row: Mapping[str, str | None]) -> str:
        line, persons = io.StringIO(), self._persons(row)
        csv.writer(line).writerow(self._shown(name, value, persons) for name, value in row.items())
        return line.getvalue().rstrip("\r\n")[:LONGEST_TEXT]


def with_derived(rows: pl.DataFrame, feed: Feed, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Add the feed's derived columns to rows that have the columns of the files."""
    first, then = derived(feed, pseudonyms)
    return rows.with_columns(first).with_columns(then)


def derived(feed: Feed, pseudonyms: Pseudonyms) -> tuple[list[pl.Expr], list[pl.Expr]]:
    """The feed's derived columns: first those derived from the files' columns, then those derived from
    them."""
    made = {True: list[pl.Expr](), False: list[pl.Expr]()}
    for column in feed.derived_columns:
        expression = _derive(column, pseudonyms).alias(column.name)
        made[column.by is Derivation.IDENTITY].append(expression)
    return made[False], made[True]


def key_hashes(rows: pl.DataFrame, feed: Feed) -> pl.Series:
    """A 64-bit hash of each row's key: equal keys have equal hashes, different keys almost never."""
    return rows.select(pl.struct(feed.loaded_key).hash()).to_series()


def _changed(column: Column, odd: pl.DataFrame, *, is_key: bool) -> Iterator[ChangedValues]:
    """The changes to a column's odd texts; `odd` has each one's text, value and line, and whether it is a
    placeholder."""
    changes = {}
    if column.nullable:
        changes[ValueChange.EMPTIED] = pl.col("placeholder")
    if column.masked_unless:
        changes[ValueChange.NO_SERVICE] = pl.col("value") == MASK
    elif column.is_code:
        is_masked = pl.col("value") == MASK
        texts = odd.filter(is_masked & may_hold_number(pl.col("text")))["text"].unique()
        holds = pl.col("text").is_in([text for text in texts if masked(text) != text])
        changes |= {ValueChange.MASKED: is_masked & holds, ValueChange.NO_CODE: is_masked & ~holds}
    elif column.is_free and not is_key:
        changes[ValueChange.MASKED] = pl.col("value") != pl.col("text")
    for change, is_changed in changes.items():
        lines = odd.filter(is_changed)["line"]
        if lines.len():
            yield ChangedValues(column.name, change, lines.len(), int(lines[0]))


def _text_of(name: str) -> str:
    return f"{name} as delivered"


def _rules(feed: Feed, business_date: date) -> Iterator[_Rule]:
    for column in feed.file_columns:
        yield from _column_rules(column, is_key=column.name in feed.key)
        if column.personal is Personal.REFERENCE and feed.identifier:
            same = pl.col(_text_of(feed.identifier)) == pl.col(_text_of(column.name))
            yield _Rule(feed.identifier, f"`{feed.identifier}` {HOLDS_REFERENCE}", same)
    if feed.dated_by:
        reason = f"`{feed.dated_by}` is not on {business_date} ({PARIS.key})"
        yield _Rule(feed.dated_by, reason, ~_is_on(pl.col(feed.dated_by), business_date, business_date))
    for column in feed.file_columns:
        if window := column.window:
            first, last = window.dates(business_date)
            if column.type is Type.MONTH:
                first = first.replace(day=1)
            is_within = _is_on if column.type is Type.INSTANT else pl.Expr.is_between
            reason = f"`{column.name}` is not from {first} to {last}"
            yield _Rule(column.name, reason, ~is_within(pl.col(column.name), first, last))
    for sequence in feed.in_order:
        # Rules that name the nearest earlier instant come first.
        for earlier, later in sorted(
            combinations(range(len(sequence)), 2), key=lambda pair: (pair[1], pair[1] - pair[0])
        ):
            before, after = sequence[earlier], sequence[later]
            yield _Rule(after, f"`{after}` is before `{before}`", pl.col(after) < pl.col(before))
    for need in feed.needs:
        for name in need.needed:
            missing = (pl.col(need.column) == need.value) & pl.col(name).is_null()
            yield _Rule(name, f"`{name}` is empty though `{need.column}` is {need.value}", missing)


def _column_rules(column: Column, *, is_key: bool) -> Iterator[_Rule]:
    name, value, text = column.name, pl.col(column.name), pl.col(_text_of(column.name))
    if not column.nullable:
        is_number = column.personal is Personal.NUMBER
        yield _Rule(name, f"`{name}` is empty{' or withheld' if is_number else ''}", text.is_null())
    unread = text.is_not_null() & value.is_null()
    if limit := casts.LIMITS.get(column.type):
        lowest = -limit if column.at_least is None else column.at_least
        highest = limit - 1 if column.at_most is None else column.at_most
        too_large = unread & casts.is_whole_number(text)
        yield _Rule(name, f"`{name}` is outside {lowest}..{highest}", too_large, refines=True)
    yield _Rule(name, f"`{name}` {_unread(column, is_key=is_key)}", unread)
    if column.at_least is not None and column.at_most is not None:
        outside = ~value.is_between(column.at_least, column.at_most)
        yield _Rule(name, f"`{name}` is outside {column.at_least}..{column.at_most}", outside)
    elif column.at_least is not None:
        yield _Rule(name, f"`{name}` is below {column.at_least}", value < column.at_least)
    elif column.at_most is not None:
        yield _Rule(name, f"`{name}` is above {column.at_most}", value > column.at_most)
    if column.is_free or column.is_code or column.masked_unless:
        too_long = (text if column.is_code else value).str.len_chars() > LONGEST_VALUE
        yield _Rule(name, f"`{name}` has more than {LONGEST_VALUE} characters", too_long)


def _unread(column: Column, *, is_key: bool) -> str:
    """Why a text cannot be read as the column's value."""
    if column.personal is Personal.NUMBER:
        return "is not a telephone number"
    if column.one_of:
        return f"is outside {'|'.join(column.one_of)}"
    if column.form:
        return f"is not {column.form.words}"
    return f"is not {EXPECTED[column.type]}" if column.type in EXPECTED else HOLDS_NUMBER


def _is_on(instant: pl.Expr, first: date, last: date) -> pl.Expr:
    """Whether an instant's local date lies between two dates, inclusive."""
    start, end = (
        datetime.combine(day, time(), PARIS).astimezone(UTC) for day in (first, last + timedelta(days=1))
    )
    return (instant >= start) & (instant < end)


def _derive(column: Derived, pseudonyms: Pseudonyms) -> pl.Expr:
    source = pl.col(column.source)
    if column.unless:
        source = pl.when(pl.all_horizontal(pl.col(name).is_null() for name in column.unless)).then(source)
    match column.by:
        case Derivation.PREFIX:
            return national_prefix(source)
        case Derivation.KEY:
            return pseudonyms.expression(source)
        case Derivation.IDENTITY:
            return identity(source)
        case Derivation.ROW:
            return identity(Pseudonyms(pseudonyms.secret).expression(pl.lit("row:") + source))
