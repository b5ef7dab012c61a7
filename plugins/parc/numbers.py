"""Telephone numbers as suppliers spell them: brought to E.164 so that one number has one key, and found in
any text so that none is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

MASK = "***"

WITHHELD = ("anonymous", "restricted", "unavailable", "+266696687", "")  # +266696687 spells ANONYMOUS

# French overseas departments share the national numbering plan (0262...) and have country codes of their
# own, mobile blocks (0639, 069x) included. The numbers of Saint-Pierre-et-Miquelon (0508...) have six
# digits after their country code.
_OVERSEAS = {
    "262": "262|269|639|692|693",
    "590": "590|690|691",
    "594": "594|694",
    "596": "596|696",
}
_MAINLAND = r"^\+33[1-9][0-9]{8}$"
_OVERSEAS_AS_MAINLAND = rf"^\+33(?:508|{'|'.join(_OVERSEAS.values())})"
_STEPS = (
    (r"^00([1-9])", "+${1}"),
    (r"^0?([1-9][0-9]{8})$", "+33${1}"),
    (r"^33(0?[1-9][0-9]{8})$", "+33${1}"),
    (r"^([1-9][0-9]{10,14})$", "+${1}"),  # ten digits might also be an American's without their code
    (r"^\+330([1-9][0-9]{8})$", "+33${1}"),  # +33 (0)2 99...
    (r"^\+(262|590|594|596)0([1-9][0-9]{8})$", "+${1}${2}"),
    (r"^\+(?:33508|5080?508)([0-9]{6})$", "+508${1}"),
    *((rf"^\+33((?:{blocks})[0-9]{{6}})$", f"+{code}${{1}}") for code, blocks in _OVERSEAS.items()),
)
_FRENCH_CODE = r"^\+(?:33|262|508|590|594|596)"
_FRENCH = r"^\+(?:33[1-9][0-9]{8}|(?:262|590|594|596)[1-9][0-9]{8}|508[0-9]{6})$"
_LONG_OVERSEAS = rf"^\+(?:{'|'.join(_OVERSEAS)})"
_FOREIGN = r"^\+[1-9][0-9]{6,14}$"


def is_plain(text: pl.Expr) -> pl.Expr:
    """Whether a text already is the E.164 form of a mainland number: the usual case, cheap to tell."""
    return text.str.contains(_MAINLAND) & ~text.str.contains(_OVERSEAS_AS_MAINLAND)


def e164(text: pl.Expr) -> pl.Expr:
    """The number in E.164: null where withheld, empty where the text is no telephone number."""
    number = bare = _bare(text)
    for pattern, replacement in _STEPS:
        number = number.str.replace(pattern, replacement)
    is_number = (
        pl.when(number.str.contains(_FRENCH_CODE))
        .then(number.str.contains(_FRENCH))
        .otherwise(number.str.contains(_FOREIGN))
    )
    return (
        pl.when(bare.is_null() | bare.is_in(WITHHELD))
        .then(None)
        .when(is_number)
        .then(number)
        .otherwise(pl.lit(""))
    )


def _bare(text: pl.Expr) -> pl.Expr:
    plain = text.str.normalize("NFKC").str.to_lowercase()
    return plain.str.replace(r"^(?:tel|sip):", "").str.replace_all(_BETWEEN, "")


def national_prefix(number: pl.Expr) -> pl.Expr:
    """First six digits of the national form (`029912`) of a number in E.164; null for a foreign one."""
    # 0299... is +33 299...; 0262... is +262 262...; 0508 41... is +508 41...
    offset = (
        pl.when(number.str.starts_with("+33"))
        .then(3)
        .when(number.str.contains(_LONG_OVERSEAS))
        .then(4)
        .when(number.str.starts_with("+508"))
        .then(1)
    )
    return pl.lit("0") + number.str.slice(offset, 5)


@dataclass(frozen=True)
class _Edge:
    """What must not stand beside a number: for Python as a look-around; for Polars, which has none, as the
    character that may."""

    python: str
    polars: str


_OPEN = _Edge("", "")
_NO_DIGIT_BEFORE = _Edge(r"(?<![0-9])", r"(?:^|[^0-9])")
_NO_DIGIT_AFTER = _Edge(r"(?![0-9])", r"(?:$|[^0-9])")
# `04-25-0800` of `2012-04-25-080000` begins no number.
_NO_GROUP_BEFORE = _Edge(r"(?<![0-9])(?<![0-9][-./_,])", r"(?:^|[^0-9\-./_,]|(?:^|[^0-9])[-./_,])")
_NO_WORD_BEFORE = _Edge(r"(?<![\w.\-/+,])", r"(?:^|[^\w.\-/+,])")
_NO_WORD_AFTER = _Edge(r"(?![\w\-/])(?![.,][0-9])", r"(?:$|[^\w\-/.,]|[.,](?:$|[^0-9]))")

_BETWEEN = r"(?:[\s.\-/()_,·\u00AD\u200B-\u200F\u2010-\u2015\u2060\u2212\uFEFF]|&nbsp;|%20)"
_MAYBE = rf"{_BETWEEN}{{0,3}}"
_GAP = rf"{_BETWEEN}{{1,3}}"
_PAIR = rf"{_GAP}[0-9]{{2}}"
_ZERO = r"0[\s)\-/_]{0,3}"  # no point behind it: 0.123456789 is none, nor the fraction of 08:00:00.1234567890
_CODE = "(?:33|262|590|594|596)"
_OTHER_DIGIT = "０-９٠-٩۰-۹"
_NAMED = "t[eé]l|fax|gsm|mobile|portable|phone|num[eé]ro"

# French numbers have ten digits, the first a zero; nine after the country code; nine where a program took the
# zero away, which is believed of a word of its own and of the usual groups alone.
_SPELLINGS = (
    (_OPEN, rf"[+＋]{_MAYBE}[1-9](?:{_MAYBE}[0-9]){{6,}}", _OPEN),
    (
        _NO_DIGIT_BEFORE,
        rf"0{_ZERO}(?:[1-9](?:{_MAYBE}[0-9]){{9,13}}|508(?:{_MAYBE}[0-9]){{6}})",
        _NO_DIGIT_AFTER,
    ),
    (_NO_DIGIT_BEFORE, rf"(?:0|{_CODE}0?)[1-9][0-9]{{8}}", _NO_DIGIT_AFTER),
    (
        _NO_GROUP_BEFORE,
        rf"(?:{_ZERO}|{_CODE}{_MAYBE}(?:{_ZERO})?)[1-9](?:{_MAYBE}[0-9]){{8}}",
        _NO_DIGIT_AFTER,
    ),
    (
        _NO_WORD_BEFORE,
        rf"[1-9](?:[0-9]{{8}}|(?:{_PAIR}){{4}}|[0-9]{{2}}(?:{_PAIR}){{3}}|[0-9]{{2}}(?:[\s.][0-9]{{3}}){{2}})",
        _NO_WORD_AFTER,
    ),
    (_OPEN, rf"(?i:{_NAMED})[^0-9]{{0,10}}[0-9](?:{_MAYBE}[0-9]){{7,}}", _OPEN),
    (_OPEN, rf"[{_OTHER_DIGIT}](?:{_MAYBE}[{_OTHER_DIGIT}0-9]){{6,}}", _OPEN),
)
# In a random identifier of hexadecimal digits a run of ten decimal ones is no number.
_RANDOM = r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{32,}\b"
_NUMBER = re.compile("|".join(f"{left.python}{form}{right.python}" for left, form, right in _SPELLINGS))
_RANDOM_OR_NUMBER = re.compile(f"(?P<random>{_RANDOM})|{_NUMBER.pattern}")
_SURE = re.compile(
    rf"[^0-9\-_/]|^00(?:33|262|508|590|594|596)|^(?:0[1-9]|(?:{_CODE})?[-_/]?[1-9])(?:[-_/]+[0-9]{{2}}){{4}}$"
)
_HOLDS_NUMBER = "|".join(f"(?:{left.polars}{form}{right.polars})" for left, form, right in _SPELLINGS)


def masked(text: str) -> str:
    """The text with MASK for each telephone number in it, however it is spelled."""
    while (shown := _RANDOM_OR_NUMBER.sub(_mask, text)) != text:  # behind a mask another may come to light
        text = shown
    return text


def is_sure(text: str) -> bool:
    """Whether a number in the text is written as only numbers are: with `+`, 00 and a French code, spaces,
    points or brackets, in pairs. Digits alone, or joined to other groups, may be an identifier."""
    return any(_SURE.search(found[0]) for found in _RANDOM_OR_NUMBER.finditer(text) if not found["random"])


def _mask(found: re.Match[str]) -> str:
    return found[0] if found["random"] else MASK


def may_hold_number(text: pl.Expr, *, or_is: str = "") -> pl.Expr:
    """Whether `masked` may change the text: whether it does, but for numbers within random identifiers; or
    whether the text as a whole is of the form `or_is`, a regular expression."""
    return text.str.contains(f"^(?:{or_is})$|{_HOLDS_NUMBER}" if or_is else _HOLDS_NUMBER)
