"""Converts text to typed values, with Polars expressions: the usual spelling of a value, and other spellings
that are unambiguous.

`cast` reads the usual spelling, which is fast and fits nearly every value. `is_odd` finds the texts that need
a second look, and only on those `other_ways` are tried. So the result for a value depends on its text alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_lowercase

import polars as pl

from parc import numbers
from parc.feeds import Column, Form, Personal, Type

_CLOCK = r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
_INSTANT = rf"^{_CLOCK}(?:\.[0-9]{{1,6}})?(?:Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)$"
_PARIS_INSTANT = rf"^{_CLOCK}\+0[12]:00$"
# Basic or extended format; hours alone or with minutes and seconds; up to nine digits of a fraction after a
# point or comma; UTC or a zone name, as databases and Java append them.
_ANY_INSTANT = (
    r"^([1-9][0-9]{3})-?([0-9]{2})-?([0-9]{2})[Tt ]([0-2][0-9])"
    r"(?::?([0-5][0-9])(?::?([0-5][0-9]|60)(?:[.,]([0-9]{1,6})[0-9]{0,3})?)?)?"
    r" ?(Z|z|UTC|[+\-−][0-9]{2}(?::?[0-9]{2})?)(?:\[[A-Za-z_/+\-0-9]+\])?$"
)
_DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_MIDNIGHT = r"[T ]00:00(?::00(?:[.,]0{1,9})?)?(?: ?(?:Z|UTC|[+\-−][0-9]{2}(?::?[0-9]{2})?))?$"
_BASIC_DATE = r"^([1-9][0-9]{3})([0-9]{2})([0-9]{2})$"
_MONTH = r"^[1-9][0-9]{3}-[0-9]{2}(?:-[0-9]{2})?$"
_WHOLE = r"^[+-]?[0-9]+(?:\.0*)?$"
_END_OF_TIME = r"^(?:9999|2999|2099)-?12-?31(?:$|[T ])"

_PLACEHOLDER = (
    r"(?i:null|\(null\)|<null>|\[null\]|\\n|#?n\s*/\s*a|na|n\.a\.?|none|nil|nan|nat|undefined"
    r"|<na>|#(?:ref|value|null|num|div/0)!|#name\?|n\.?[cd]\.?|\(?vide\)?|sans|non renseignée?|x{2,20}"
    rf"|{'|'.join(f'{letter}{{4,20}}' for letter in ascii_lowercase)}|[\p{{Pd}}?._−]+|\s+)"
)
_NOBODY = (
    rf"^(?:{_PLACEHOLDER}|(?i:unknown|(?:client |numéro )?inconnue?|aucune?|anonym(?:e|ous)|test"
    r"|private|privée?|(?:appel |numéro )?masquée?|masked|hidden|withheld)|0[0.\-/ ]*)$"
)
_NOTHING = f"^{_PLACEHOLDER}$"

POLARS = {
    Type.TEXT: pl.String(),
    Type.SMALLINT: pl.Int16(),
    Type.INTEGER: pl.Int32(),
    Type.BIGINT: pl.Int64(),
    Type.INSTANT: pl.Datetime("us", "UTC"),
    Type.DATE: pl.Date(),
    Type.MONTH: pl.Date(),
    Type.UUID: pl.UInt128(),
}
"""The Polars type that holds each declared type; PostgreSQL's type has the same width."""

LIMITS = {Type.SMALLINT: 2**15, Type.INTEGER: 2**31, Type.BIGINT: 2**63}
"""Whole numbers of each type range from minus this value to just below it."""

EXPECTED = {
    Type.SMALLINT: "a whole number",
    Type.INTEGER: "a whole number",
    Type.BIGINT: "a whole number",
    Type.INSTANT: "an ISO 8601 instant with an offset",
    Type.DATE: "a date YYYY-MM-DD",
    Type.MONTH: "a month YYYY-MM",
}
"""What a text must be to be read as the type."""


def cast(column: Column, text: pl.Expr) -> pl.Expr:
    """The column's typed values where the spelling is usual; for a column of text, the text."""
    if column.personal is Personal.NUMBER:
        return pl.when(numbers.is_plain(text)).then(text)
    match column.type:
        case Type.TEXT:
            return text
        case Type.INSTANT:
            return _paris_instant(text)
        case Type.DATE if column.open_ended:
            return pl.when(~text.str.contains(_END_OF_TIME)).then(_date(text))
        case Type.DATE:
            return _date(text)
        case Type.MONTH:
            return _month(text)
        case _:
            return text.cast(POLARS[column.type], strict=False)


def is_odd(column: Column, text: pl.Expr, value: pl.Expr, *, is_key: bool) -> pl.Expr:
    """Whether a text needs a second look: an unusual spelling, a telephone number in it, or no value.

    For a column of text the answer is the same for equal texts, and `value` is not used. Columns of codes
    pass `text.unique()`, whose order changes with every evaluation, so `text` must be used only once.
    """
    if column.type is not Type.TEXT or column.personal is Personal.NUMBER:
        return text.is_not_null() & value.is_null()
    if column.personal:
        return text.str.contains(_NOBODY)
    if column.one_of:
        return ~text.is_in(column.one_of)
    if form := column.form or column.masked_unless:
        return ~_has(form, text)
    if column.is_code:
        return text.str.contains(
            f"{numbers.NO_CODE}|^(?:{_PLACEHOLDER})$" if column.nullable else numbers.NO_CODE
        )
    may_hold = numbers.may_hold_number(text, or_is=_PLACEHOLDER if column.nullable or is_key else "")
    return may_hold & ~numbers.is_usual_identifier(text) if is_key else may_hold


def is_placeholder(column: Column, text: pl.Expr, *, is_key: bool) -> pl.Expr:
    """Whether an odd text means "no value" although nobody has agreed on it: `NULL`, `-`.

    Required codes and names are never placeholders: `N/A` may be one of them.
    """
    if column.personal:
        return text.str.contains(_NOBODY) & ~is_agreed_empty(column, text)
    if (column.is_free or column.is_code or column.masked_unless) and not column.nullable and not is_key:
        return pl.lit(False)
    return text.str.contains(_NOTHING)


def is_agreed_empty(column: Column, text: pl.Expr) -> pl.Expr:
    """Whether an odd text means "no value" by agreement: a withheld number, the end of time."""
    if column.personal is Personal.NUMBER:
        return text.str.to_lowercase().is_in(numbers.WITHHELD)
    return text.str.contains(_END_OF_TIME) if column.open_ended else pl.lit(False)


def other_ways(column: Column, text: pl.Expr, listed: Collection[str]) -> Sequence[pl.Expr]:
    """Other ways to read an odd text, in the order to try them: each gives the typed value, or null if it
    fails.

    A number that turns out to be withheld is null; one that cannot be read is empty. `listed` are the texts
    that a seed lists for the column. Free text is its own value; `numbers.masked` does the rest.
    """
    if column.personal:
        return [numbers.e164(text)]
    match column.type:
        case Type.INSTANT:  # many programs write a space instead of the T
            return [_instant(text.str.replace(" ", "T", literal=True)), _any_instant(text)]
        case Type.DATE:
            return [_date(text.str.replace(_MIDNIGHT, "").str.replace(_BASIC_DATE, "${1}-${2}-${3}"))]
        case Type.MONTH:
            return [_month(text.str.replace(_MIDNIGHT, ""))]
        case Type.TEXT if column.one_of:
            if not column.any_case:
                return []
            named = [pl.when(_fold(text) == _fold(pl.lit(name))).then(pl.lit(name)) for name in column.one_of]
            return [pl.coalesce(named)]
        case Type.TEXT if column.form:
            respelled = [
                pl.when(text.str.to_uppercase().str.contains(pattern)).then(
                    text.str.to_uppercase().str.replace(pattern, replacement)
                )
                for pattern, replacement in column.form.spellings
            ]
            return [pl.when(_has(column.form, each)).then(each) for each in respelled]
        case Type.TEXT if column.masked_unless:
            bare = text.str.replace(r"\.0$", "").str.replace_all(r"[\s.\-/()]", "")
            for pattern, replacement in column.masked_unless.spellings:
                bare = bare.str.replace(pattern, replacement)
            return [
                pl.when(text.is_in(list(listed))).then(text),
                pl.when(_has(column.masked_unless, bare)).then(bare).otherwise(pl.lit(numbers.MASK)),
            ]
        case Type.TEXT if column.is_code:
            is_none = text.str.contains(numbers.NO_CODE) & ~text.is_in(list(listed))
            return [pl.when(is_none).then(pl.lit(numbers.MASK)).otherwise(text)]
        case Type.TEXT:
            return [text]
        case _:
            whole = pl.when(text.str.contains(_WHOLE)).then(text.str.replace(r"\.0*$", ""))
            return [whole.cast(POLARS[column.type], strict=False)]


def is_whole_number(text: pl.Expr) -> pl.Expr:
    """Whether a text is a whole number, however large."""
    return text.str.contains(_WHOLE)


def _has(form: Form, text: pl.Expr) -> pl.Expr:
    return text.str.contains(f"^(?:{form.pattern})$")


def _fold(text: pl.Expr) -> pl.Expr:
    """A text in lower case without accents, hyphens and spaces."""
    bare = text.str.normalize("NFKD").str.to_lowercase()
    return bare.str.replace_all(r"[^a-z0-9]", "")


def _date(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_DATE)).then(text.str.to_date("%Y-%m-%d", strict=False))


def _month(text: pl.Expr) -> pl.Expr:
    day = pl.when(text.str.len_bytes() == len("2012-04")).then(text + "-01").otherwise(text)
    month = day.str.to_date("%Y-%m-%d", strict=False).dt.month_start()
    return pl.when(text.str.contains(_MONTH)).then(month)


def _paris_instant(text: pl.Expr) -> pl.Expr:
    """An instant with an offset of French local time; three times as fast as parsing any offset."""
    clock = text.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, cache=False)
    offset = pl.when(text.str.ends_with("+02:00")).then(pl.duration(hours=2)).otherwise(pl.duration(hours=1))
    return pl.when(text.str.contains(_PARIS_INSTANT)).then((clock - offset).dt.replace_time_zone("UTC"))


def _instant(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_INSTANT)).then(_to_instant(text))


def _any_instant(text: pl.Expr) -> pl.Expr:
    part = text.str.extract_groups(_ANY_INSTANT).struct
    seconds = part.field("6").fill_null("00") + "." + part.field("7").fill_null("0")
    offset = part.field("8").replace({"z": "Z", "UTC": "Z"}).str.replace("−", "-", literal=True)
    date = part.field("1") + "-" + part.field("2") + "-" + part.field("3")
    hour, minute = part.field("4"), part.field("5").fill_null("00")
    # 24:00, the end of a day, is the start of the next; a leap second is the start of the next minute.
    is_end = (hour == "24") & (minute == "00") & seconds.str.contains("^00[.]0+$")
    is_leap = (minute == "59") & seconds.str.starts_with("60.")
    hour = pl.when(is_end).then(pl.lit("00")).otherwise(hour)
    seconds = pl.when(is_leap).then(pl.lit("59.0")).otherwise(seconds)
    instant = _to_instant(date + "T" + hour + ":" + minute + ":" + seconds + offset)
    late = pl.when(is_end).then(pl.duration(days=1)).when(is_leap).then(pl.duration(seconds=1))
    return pl.when(is_leap | ~seconds.str.starts_with("60")).then(instant + late.otherwise(pl.duration()))


def _to_instant(text: pl.Expr) -> pl.Expr:
    return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)
