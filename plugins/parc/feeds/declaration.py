"""What a feed is: the shapes in which each feed is declared once.

The reader, the row rules, the raw table with its comments, and the reference documentation all come from
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
    INSTANT = "timestamptz"  # ISO 8601, explicit offset demanded
    DATE = "date"  # YYYY-MM-DD
    MONTH = "month"  # YYYY-MM or YYYY-MM-DD, stored as the month's first day
    UUID = "uuid"  # made here, never delivered

    @property
    def sql(self) -> str:
        """Name of the PostgreSQL type."""
        return "date" if self is Type.MONTH else self.value


class Personal(StrEnum):
    """Why a column is personal data: its text is never stored and is masked wherever a row is shown."""

    NUMBER = "telephone number"
    REFERENCE = "reference to a person"


@dataclass(frozen=True)
class Form:
    """What a text must look like as a whole: a regular expression, and the same in words.

    `spellings` are others that are read all the same: regular expressions over the text in capitals, each
    with what is put in its place.
    """

    pattern: str
    words: str
    spellings: tuple[tuple[str, str], ...] = ()


LONGEST_VALUE = 500
"""Characters that a text may have, so that any of them can stand in an index: 2,000 bytes at most."""


@dataclass(frozen=True)
class Window:
    """Where a moment may lie: from so many days before the delivery's date to so many after it (local dates,
    Europe/Paris, both included). So times between moments are bounded too: the marts add them up."""

    days_before: int
    days_after: int

    def dates(self, business_date: date) -> tuple[date, date]:
        """The first and the last date for a delivery of this date."""
        first, last = timedelta(days=self.days_before), timedelta(days=self.days_after)
        return business_date - first, business_date + last


DEPARTMENT = Form(
    "2[AB]|[0-9]{2}|[1-9][0-9]{2}",
    "a department code (35, 2A, 971)",
    spellings=(  # 2a, 035, FR-35, and what spreadsheets leave of 01: 1, 1.0
        (r"^(?:FR[- ]?)?0?(2[AB]|[0-9]{2}|9[78][0-9])(?:\.0)?$", "${1}"),
        (r"^(?:FR[- ]?)?([1-9])(?:\.0)?$", "0${1}"),
    ),
)
MARKETS = ("fixe", "internet", "open")


@dataclass(frozen=True)
class Column:
    """A column of the delivered files.

    A value must be present unless `nullable`, be one of `one_of` (where given; in `any_case`, also with other
    capitals, accents, hyphens or spaces), lie between `at_least` and `at_most` (numbers) or in the `window`
    (moments), and have the `form`. What has not the `masked_unless` form, or, where it `is_code`, is not one
    word with six digits at most, is masked, unless the column of a seed that `listed_in` names
    (`seed.column`) lists it. With `open_ended`, a date at the end of time (9999-12-31) means that there is
    none. A text that is stored has at most LONGEST_VALUE characters.

    Files of the dates from `since` on and before `until` must hold the column; others may leave it out, and
    it is empty.
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
        """Whether it holds whatever text there may be."""
        return self.type is Type.TEXT and not (
            self.personal or self.one_of or self.form or self.masked_unless or self.is_code
        )

    def is_due(self, business_date: date) -> bool:
        """Whether the files of this date must hold the column."""
        return (self.since is None or self.since <= business_date) and (
            self.until is None or business_date < self.until
        )


class Derivation(StrEnum):
    """How a column that is not in the files comes from one that is."""

    KEY = "pseudonym: first 16 bytes of an HMAC-SHA256, enciphered after a change of keys"
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
    """A stored column made from the file's column `source`, an identity from a pseudonym.

    It is null where one of the columns `unless` is filled.
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
    """A row whose `column` is `value` must fill every column of `needed`."""

    column: str
    value: str
    needed: tuple[str, ...]


class Keeping(StrEnum):
    """How published rows are kept."""

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

    `days` business dates, counted back from the feed's newest published one; None keeps them for good.
    """

    days: int | None
    reason: str


@dataclass(frozen=True)
class Feed:
    """One feed, declared once.

    `columns` lists the columns of the files and those derived from them in the order of the raw table;
    personal columns are in the files only. Where present, the moments of each sequence of `in_order` must not
    go backwards.
    `dated_by` is the instant whose local date (Europe/Paris) must be the delivery's business date.
    A delivery of which more than `reject_limit` (a share of its rows) breaks rules is refused as a whole.
    `number_table` names the table of schema `routing` that keeps the raw numbers of a feed of ranges.
    `governs` names the fact feeds of which a date is read by the snapshot in force on it; however old, such a
    snapshot is kept while it governs a date that is.
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

    @cached_property
    def file_columns(self) -> tuple[Column, ...]:
        """What the files hold, by name, in any order."""
        return tuple(column for column in self.columns if isinstance(column, Column))

    @cached_property
    def identifier(self) -> str | None:
        """The column of the key that holds free text, if there is one."""
        free = [column.name for column in self.file_columns if column.is_free and column.name in self.key]
        return free[0] if free else None

    @cached_property
    def derived_columns(self) -> tuple[Derived, ...]:
        """What is made from the files' columns."""
        return tuple(column for column in self.columns if isinstance(column, Derived))

    @cached_property
    def row_columns(self) -> tuple[Stored, ...]:
        """What is stored of a row: neither its origin nor any personal text."""
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
                # A withheld number has no key, whether or not the column may be empty.
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
        """Columns of the table a delivery is loaded into before it is published."""
        if self.keeping is Keeping.RANGES:
            return (*ORIGIN, *self._number_columns, *self.value_columns)
        return self.stored_columns

    @cached_property
    def number_table_columns(self) -> tuple[Stored, ...]:
        """Columns of `number_table`, in order."""
        return (*self._number_columns, *self.value_columns, *VALIDITY)

    @cached_property
    def value_columns(self) -> tuple[Stored, ...]:
        """What is stored of a row as it was delivered."""
        made = {column.name for column in self.derived_columns}
        return tuple(column for column in self.row_columns if column.name not in made)

    @cached_property
    def _number_columns(self) -> tuple[Stored, ...]:
        numbers = (column for column in self.file_columns if column.personal is Personal.NUMBER)
        return tuple(Stored(column.name, column.type, False, column.description) for column in numbers)

    @cached_property
    def stored_key(self) -> tuple[str, ...]:
        """The key as the raw table knows it: a personal column stands there as its HMAC."""
        personal = {column.name for column in self.file_columns if column.personal}
        keys = {column.source: column.name for column in self.derived_columns if column.by is Derivation.KEY}
        return tuple(keys[name] if name in personal else name for name in self.key)

    @cached_property
    def loaded_key(self) -> tuple[str, ...]:
        """The key as the table knows it that a delivery is loaded into."""
        return self.key if self.keeping is Keeping.RANGES else self.stored_key


ORIGIN = (
    Stored("business_date", Type.DATE, False, "Date of the delivery (local, Europe/Paris)."),
    Stored("file_number", Type.SMALLINT, False, "Number of the file in its delivery, by name, from 1."),
    Stored("line_number", Type.INTEGER, False, "Line on which the row begins, from 1 (Parquet: row)."),
)
VALIDITY = (
    Stored("valid_from", Type.DATE, False, "First date on which the row holds: that of a snapshot."),
    Stored("valid_to", Type.DATE, True, "First date on which it no longer holds; null = holds still."),
)


class UnknownFeed(ParcError):
    """No feed is declared under this name."""

    exit_code = 2
