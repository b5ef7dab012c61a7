"""The types with which each feed is declared, once.

The reader, the row rules, the raw table with its comments, and the reference documentation all follow from
these declarations. Nothing here reads or writes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property

from parc.errors import ParcError


class Type(StrEnum):
    """How a column's text is read, and as which PostgreSQL type it is stored."""

    TEXT = "text"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    INSTANT = "timestamptz"  # ISO 8601 with an explicit offset
    DATE = "date"  # YYYY-MM-DD
    MONTH = "month"  # YYYY-MM or YYYY-MM-DD, stored as the month's first day
    UUID = "uuid"  # derived here, never delivered

    @property
    def sql(self) -> str:
        """Name of the PostgreSQL type."""
        return "date" if self is Type.MONTH else self.value


class Personal(StrEnum):
    """Why a column is personal data. Its text is never stored, and is masked wherever a row is shown."""

    NUMBER = "telephone number"
    REFERENCE = "reference to a person"


@dataclass(frozen=True)
class Form:
    """What a whole text must look like: a regular expression, and the same in words.

    `spellings` are other accepted forms: regular expressions for the text in capitals, each with its
    replacement.
    """

    pattern: str
    words: str
    spellings: tuple[tuple[str, str], ...] = ()


LONGEST_VALUE = 500
"""Longest text in characters, so that any text fits in an index: 2,000 bytes at most."""


@dataclass(frozen=True)
class Window:
    """Which dates an instant or a date may have: from some days before the delivery's date to some days
    after it (local dates, Europe/Paris, both inclusive). This also bounds the durations that the marts add
    up."""

    days_before: int
    days_after: int

    def dates(self, business_date: date) -> tuple[date, date]:
        """The first and the last allowed date, for a delivery of this date."""
        first, last = timedelta(days=self.days_before), timedelta(days=self.days_after)
        return business_date - first, business_date + last


DEPARTMENT = Form(
    "2[AB]|[0-9]{2}|[1-9][0-9]{2}",
    "a department code (35, 2A, 971)",
    spellings=(  # 2a, 035, FR-35, and what spreadsheets make of 01: 1, 1.0
        (r"^(?:FR[- ]?)?0?(2[AB]|[0-9]{2}|9[78][0-9])(?:\.0)?$", "${1}"),
        (r"^(?:FR[- ]?)?([1-9])(?:\.0)?$", "0${1}"),
    ),
)
MARKETS = ("fixe", "internet", "open")


@dataclass(frozen=True)
class Column:
    """A column of the delivered files.

    A value must be present unless `nullable`, be one of `one_of` (if given; with `any_case`, capitals,
    accents, hyphens and spaces may differ), lie between `at_least` and `at_most` (numbers) or in the `window`
    (instants and dates), and have the `form`, which no placeholder for "not known" may match.

    A value is masked if it lacks the `masked_unless` form, or if `is_code` and it is not a single word with
    at most six digits; values listed in the seed's column `listed_in` (`seed.column`) are not masked.
    A key column must not be masked: masked texts are all the same, so rows would be lost as duplicates.

    With `open_ended`, a date at the end of time (9999-12-31) means "none". A stored text has at most
    LONGEST_VALUE characters. Files for dates from `since` and before `until` must have the column; others may
    leave it out, and it is then empty.
    """

    name: str
    type: Type
    description: str
    nullable: bool = False
    one_of: tuple[str, ...] = ()
    any_case: bool = False
    at_least: int | None = None
    at_most: int | None = None
    window: Window | None = None
    open_ended: bool = False
    form: Form | None = None
    masked_unless: Form | None = None
    is_code: bool = False
    listed_in: str | None = None
    personal: Personal | None = None
    since: date | None = None
    until: date | None = None

    @property
    def is_free(self) -> bool:
        """Whether the column may hold any text."""
        return self.type is Type.TEXT and not (
            self.personal or self.one_of or self.form or self.masked_unless or self.is_code
        )

    def is_due(self, business_date: date) -> bool:
        """Whether files for this date must have the column."""
        return (self.since is None or self.since <= business_date) and (
            self.until is None or business_date < self.until
        )


class Derivation(StrEnum):
    """How a stored column is derived from a column of the files."""

    KEY = "pseudonym: first 16 bytes of an HMAC-SHA256, encrypted once the key has been rotated"
    IDENTITY = "first 8 bytes of the pseudonym, as a signed big-endian integer"
    ROW = "first 8 bytes of an HMAC-SHA256, as a signed big-endian integer"
    PREFIX = "six-digit national prefix"


_MADE = {
    Derivation.KEY: Type.UUID,
    Derivation.IDENTITY: Type.BIGINT,
    Derivation.ROW: Type.BIGINT,
    Derivation.PREFIX: Type.TEXT,
}


@dataclass(frozen=True)
class Derived:
    """A stored column derived from the file's column `source`; an identity is derived from a pseudonym.

    It is null if any of the columns `unless` has a value.
    """

    name: str
    source: str
    by: Derivation
    description: str
    unless: tuple[str, ...] = ()

    @property
    def type(self) -> Type:
        """Type of the stored column."""
        return _MADE[self.by]


@dataclass(frozen=True)
class Needs:
    """A row whose `column` is `value` must have a value in every column of `needed`."""

    column: str
    value: str
    needed: tuple[str, ...]


class Keeping(StrEnum):
    """How published rows are stored."""

    DAYS = "one partition per business date"
    SNAPSHOTS = "one partition per snapshot date"
    RANGES = "validity ranges, merged from snapshots"


@dataclass(frozen=True)
class Stored:
    """A column of the raw table."""

    name: str
    type: Type
    nullable: bool
    description: str


@dataclass(frozen=True)
class Retention:
    """How long raw rows are kept, and why.

    They are kept for `days` business dates, counted back from the feed's newest published one; None keeps
    them for ever.
    """

    days: int | None
    reason: str


@dataclass(frozen=True)
class Feed:
    """One feed, declared once.

    `columns` lists the columns of the files and those derived from them, in the order of the raw table;
    personal columns exist in the files only. The instants of each sequence in `in_order`, where present, must
    not go backwards.
    `dated_by` is the instant whose local date (Europe/Paris) must be the delivery's business date.
    A delivery is refused as a whole if more than `reject_limit` (a share of its rows) break rules.
    `number_table` is the table in schema `routing` that holds the raw numbers of a feed of ranges.
    `governs` names the fact feeds that are read together with the snapshot in force on their date. However
    old, such a snapshot is kept as long as a date that it governs is kept.
    """

    name: str
    grain: str
    keeping: Keeping
    columns: tuple[Column | Derived, ...]
    key: tuple[str, ...]
    retention: Retention
    in_order: tuple[tuple[str, ...], ...] = ()
    needs: tuple[Needs, ...] = ()
    dated_by: str | None = None
    reject_limit: float = 0.01
    number_table: str | None = None
    governs: tuple[str, ...] = ()

    @property
    def is_daily(self) -> bool:
        """Whether every day is needed. Otherwise, if a snapshot is missing, the one before it stays in
        force."""
        return self.keeping is Keeping.DAYS

    @cached_property
    def file_columns(self) -> tuple[Column, ...]:
        """The columns of the files, which may have them in any order."""
        return tuple(column for column in self.columns if isinstance(column, Column))

    @cached_property
    def identifier(self) -> str | None:
        """The key column that holds free text, if any."""
        free = [column.name for column in self.file_columns if column.is_free and column.name in self.key]
        return free[0] if free else None

    @cached_property
    def derived_columns(self) -> tuple[Derived, ...]:
        """The columns derived from the files' columns."""
        return tuple(column for column in self.columns if isinstance(column, Derived))

    @cached_property
    def row_columns(self) -> tuple[Stored, ...]:
        """The stored columns of a row, without its origin and without any personal text."""
        files = {column.name: column for column in self.file_columns}
        sources = files | {
            column.name: files[column.source]
            for column in self.derived_columns
            if column.by is Derivation.KEY
        }
        stored = []
        for column in self.columns:
            if isinstance(column, Derived):
                source = sources[column.source]
                # A withheld number has no key, even if the column may not be empty.
                nullable = source.nullable or column.by is Derivation.PREFIX or bool(column.unless)
                stored.append(Stored(column.name, column.type, nullable, column.description))
            elif column.personal is None:
                stored.append(Stored(column.name, column.type, column.nullable, column.description))
        return tuple(stored)

    @cached_property
    def stored_columns(self) -> tuple[Stored, ...]:
        """Columns of the raw table, in order."""
        if self.keeping is Keeping.RANGES:
            return (*self.row_columns, *VALIDITY)
        return (*ORIGIN, *self.row_columns)

    @cached_property
    def loaded_columns(self) -> tuple[Stored, ...]:
        """Columns of the table that a delivery is loaded into before it is published."""
        if self.keeping is Keeping.RANGES:
            return (*ORIGIN, *self._number_columns, *self.value_columns)
        return self.stored_columns

    @cached_property
    def number_table_columns(self) -> tuple[Stored, ...]:
        """Columns of `number_table`, in order."""
        return (*self._number_columns, *self.value_columns, *VALIDITY)

    @cached_property
    def value_columns(self) -> tuple[Stored, ...]:
        """The stored columns that hold a row's delivered values."""
        made = {column.name for column in self.derived_columns}
        return tuple(column for column in self.row_columns if column.name not in made)

    @cached_property
    def _number_columns(self) -> tuple[Stored, ...]:
        numbers = (column for column in self.file_columns if column.personal is Personal.NUMBER)
        return tuple(Stored(column.name, column.type, False, column.description) for column in numbers)

    @cached_property
    def stored_key(self) -> tuple[str, ...]:
        """The key columns in the raw table; a personal column is replaced by its HMAC."""
        personal = {column.name for column in self.file_columns if column.personal}
        keys = {column.source: column.name for column in self.derived_columns if column.by is Derivation.KEY}
        return tuple(keys[name] if name in personal else name for name in self.key)

    @cached_property
    def loaded_key(self) -> tuple[str, ...]:
        """The key columns in the table that a delivery is loaded into."""
        return self.key if self.keeping is Keeping.RANGES else self.stored_key


ORIGIN = (
    Stored("business_date", Type.DATE, False, "Date of the delivery (local, Europe/Paris)."),
    Stored("file_number", Type.SMALLINT, False, "Number of the file in its delivery, by name, from 1."),
    Stored("line_number", Type.INTEGER, False, "Line on which the row begins, from 1 (Parquet: row)."),
)
VALIDITY = (
    Stored("valid_from", Type.DATE, False, "First date on which the row holds: that of a snapshot."),
    Stored("valid_to", Type.DATE, True, "First date on which it no longer holds; null = still holds."),
)


class UnknownFeed(ParcError):
    """No feed is declared under this name."""

    exit_code = 2
