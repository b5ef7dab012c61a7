"""Telephone numbers in any spelling: normalises them to E.164, so that one number has one key, and finds them
in any text, so that none is shown.
"""

from __future__ import annotations

import html
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl

MASK = "***"

LONGEST_REMARK = 300
"""Most characters kept of a text that a person types."""

WITHHELD = ("anonymous", "restricted", "unavailable", "+266696687", "")  # +266696687 spells ANONYMOUS

_SEPARATORS = r"\s.\-/()_,·\u00AD\u200B-\u200F\u2010-\u2015\u2060\u2212\uFEFF"
_BETWEEN = rf"(?:[{_SEPARATORS}]|&nbsp;|%20)"

# French overseas departments share the national numbering plan (0262...), mobile blocks (0639, 069x)
# included, but have their own country codes. Numbers of Saint-Pierre-et-Miquelon (0508...) have six digits
# after the country code.
_OVERSEAS = {
    "262": "262|269|639|692|693",
    "590": "590|690|691",
    "594": "594|694",
    "596": "596|696",
}
_CODE = "(?:33|262|590|594|596)"
# A foreign number without its plus: the country code and as many digits as may follow it.
_ABROAD = (
    "1[2-9][0-9]{2}[2-9][0-9]{6}|7[0-9]{10}"
    "|(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])[0-9]{9,11}"
    "|(?:2[1-689]|3[578]|42|50|59|6[7-9]|8[0578]|9[679])[0-9]{9,11}"
)
_YMD = r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DATE_FIRST = rf"(?:{_YMD}|(?:19|20)[0-9]{{2}}[-/._](?:0?[1-9]|1[0-2])[-/._](?:0[1-9]|[12][0-9]|3[01]))"
_DATE_LAST = r"(?:(?:0?[1-9]|[12][0-9]|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:19|20)[0-9]{2})"
_DATE = f"(?:{_DATE_FIRST}|{_DATE_LAST})"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP_ADDRESS = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
# Digits that are not a telephone number: dates, texts that begin with a date, decimal fractions, IP
# addresses, amounts and lists with commas.
_NO_NUMBER = (
    rf"(?s)^[^0-9+]*(?:{_DATE}(?:[^0-9].*)?|{_YMD}[0-9]{{2,}}|[1-9].*[^0-9]{_DATE}(?:[^0-9].*)?"
    rf"|(?:0|[1-9][0-9]*)[.,][0-9]+|0[.,][0-9]+, .*|{_IP_ADDRESS}"
    r"|(?:0[^0-9+]*0[^0-9+]*)?[1-9][^+]*,.*)[^0-9]*$"
    r"|^[^0-9+]*[_.\-/,][1-9]"
)
_MAINLAND = r"^\+33[1-9][0-9]{8}$"
_OVERSEAS_AS_MAINLAND = rf"^\+33(?:508|{'|'.join(_OVERSEAS.values())})"
_STEPS = (
    (r"^00([1-9])", "+${1}"),
    (r"^0?([1-9][0-9]{8})$", "+33${1}"),
    (r"^33(0?[1-9][0-9]{8})$", "+33${1}"),
    (rf"^(?:{_ABROAD})$", "+${0}"),  # ten digits could also be a US number without its country code
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
    """Whether a text already is a mainland number in E.164: the usual case, and cheap to check."""
    return text.str.contains(_MAINLAND) & ~text.str.contains(_OVERSEAS_AS_MAINLAND)


def e164(text: pl.Expr) -> pl.Expr:
    """The number in E.164; null if withheld, empty if the text is not a telephone number."""
    plain = text.str.normalize("NFKC").str.to_lowercase().str.replace(r"^(?:tel|sip):", "")
    number = plain.str.replace_all(_BETWEEN, "")
    for pattern, replacement in _STEPS:
        number = number.str.replace(pattern, replacement)
    is_number = (
        pl.when(number.str.contains(_FRENCH_CODE))
        .then(number.str.contains(_FRENCH))
        .otherwise(number.str.contains(_FOREIGN))
    )
    return (
        pl.when(number.is_null() | number.is_in(WITHHELD))
        .then(None)
        .when(is_number & ~plain.str.contains(_NO_NUMBER))
        .then(number)
        .otherwise(pl.lit(""))
    )


def national_prefix(number: pl.Expr) -> pl.Expr:
    """First six digits of the national form (`029912`) of an E.164 number; null for foreign numbers."""
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


_ESCAPE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,10});|(?:%[0-9A-Fa-f]{2})+")
_ZEROS = re.compile(r"(?<![^\W\d_])[Oo]+(?![^\W\d_])")  # O's that stand next to no other letter

# Ten decimal digits in a row within a random hexadecimal identifier are not a telephone number.
_RANDOM = r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{32,}\b"
_OFFSET = r"(?:Z|[+\-−][01][0-9]:?[0-5][0-9])?"
_CLOCK = rf"(?:[01][0-9]|2[0-4]):[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]+)?)?{_OFFSET}"
_HMS = rf"(?:[01][0-9]|2[0-4])[0-5][0-9](?:[0-5][0-9](?:[.,][0-9]+)?)?{_OFFSET}"
_H_M_S = r"(?:[01][0-9]|2[0-4])[-._][0-5][0-9][-._][0-5][0-9]"
# What a number begins with; four groups behind it are no IP address: 02 99.12.34.56, +33 (0)2 99.12.34.56.
_BEGINNING = "".join(
    rf"(?<!\b{begun}[{_SEPARATORS}]{{{gap}}})"
    for begun in ("0[1-9]", "00[0-9]", "[1-9]")
    for gap in (1, 2, 3)
)
# Digits that are never part of a telephone number, except after 0X: 02 20120425.
_NO_PART = re.compile(
    rf"{_RANDOM}|(?<![\w.]){_BEGINNING}{_IP_ADDRESS}(?!\.?\w)"
    rf"|(?<![0-9])(?<!\b0[1-9][ .)\-/]){_DATE_FIRST}"
    rf"(?:[T_ -]?{_HMS}(?![0-9])|[T_ -]{_H_M_S}(?![-._/ ]?[0-9])|(?![0-9]))"
    rf"|(?<![0-9])(?<![0-9][-./_ ]){_DATE_LAST}(?![0-9])"
    rf"|(?<![0-9:]){_CLOCK}(?![:.,]?[0-9])"
    r"|(?:(?<![\s\S])|(?<=[A-Za-z,]\s))0[.,][0-9]+(?![0-9]|,[0-9]|[^\w,]+[0-9])"
)
_NAMED = re.compile(
    rf"(?:t[eé]l|fax|gsm|mobile|portable|phone|num[eé]ro)[^0-9]{{0,10}}[0-9](?:[{_SEPARATORS}]{{0,3}}[0-9]){{7,}}",
    re.IGNORECASE,
)

_GAP = rf"(?:[{_SEPARATORS}]+|[\W_]{{1,6}})"
_RUN = re.compile(rf"(?:\+{_GAP}?)?[0-9]+(?:{_GAP}[0-9]+)*")
_GROUP = re.compile("[0-9]+")
_PLAIN_GAP = re.compile(f"[{_SEPARATORS.replace(',', '')}]*")
_JOINTS = frozenset("-./_,")
_WORD_BEFORE, _WORD_BEHIND = frozenset("_.-/+,"), frozenset("_-/")
_DECIMAL_ZERO = re.compile(r"\.0(?![.,]?[0-9])")
_FEWEST_DIGITS, _MOST_DIGITS = 9, 17
_FEWEST_BEHIND_PLUS, _MOST_BEHIND_PLUS = 7, 15
_FRENCH_OR_LONG = re.compile(f"0[1-9][0-9]{{8}}|{_CODE}0?[1-9][0-9]{{8}}|00[1-9][0-9]{{9,14}}")
_ALONE = re.compile(f"[1-9][0-9]{{8}}|00[1-9][0-9]{{6,8}}|{_ABROAD}")
_USUAL_SIZES = ((1, 2, 2, 2, 2), (3, 2, 2, 2))
_SURE = re.compile(
    rf"[^0-9\-_/]|^00(?:33|262|508|590|594|596)|^(?:0[1-9]|(?:{_CODE})?[-_/]?[1-9])(?:[-_/]+[0-9]{{2}}){{4}}$"
)

# Seven digits with anything but letters between them: every telephone number has at least as many.
_DIGIT = "(?:[\\p{N}Oo]|&#[xX]0*3[0-9];)"
_HOLDS_DIGITS = rf"{_DIGIT}(?:(?:[^\p{{L}}\p{{N}}]|&[#0-9A-Za-z]{{2,10}};|%[0-9A-Fa-f]{{2}})*{_DIGIT}){{6}}"
_USUAL_ID = rf"^(?:[A-NP-Za-np-z]?{_YMD}-[0-9]{{1,8}}|[A-NP-Za-np-z][124-9][0-9]{{10}})$"


NO_CODE = r"[^\w.\-/+&:#*]|[0-9](?:[\s\S]*?[0-9]){6}"
"""What a code never contains: a character that is not part of a word, or seven digits."""
_NO_CODE = re.compile(NO_CODE)
_SERIAL = re.compile("[0-9]{7,}")
_SEVEN_DIGITS = re.compile("(?:[^0-9Oo&%]*[0-9Oo&%]){7}")  # or what may stand for one


class _Found(NamedTuple):
    """The position of a number in a plain text; `is_loose` if a key like it could also be an identifier."""

    start: int
    end: int
    is_loose: bool


def masked(text: str) -> str:
    """The text with each telephone number, in any spelling, replaced by MASK."""
    if not _has_seven_digits(text):
        return text
    while (shown := _masked_once(text)) != text:  # masking one number may reveal another
        text = shown
    return text


def masked_with_serials(text: str) -> str:
    """The text as `masked`, with serial numbers of seven digits or more replaced by MASK too, because a
    reference to a person may be one. Dates, times, IP addresses and random identifiers are kept."""
    if not _has_seven_digits(text):
        return text
    shown = masked(text)
    bare = _NO_PART.sub(lambda found: "x" * len(found[0]), shown)
    parts, at = [], 0
    for serial in _SERIAL.finditer(bare):
        parts += [shown[at : serial.start()], MASK]
        at = serial.end()
    return "".join((*parts, shown[at:]))


def is_code(text: str) -> bool:
    """Whether a text, ignoring dates and times, is a code: a single word with at most six digits. Text typed
    by people has spaces, and references to people have more digits."""
    return not _NO_CODE.search(text.strip()) or not _NO_CODE.search(_NO_PART.sub("", text).strip())


def remark(text: str) -> str:
    """Text typed by a person in the form in which it is stored and shown: one line, masked and truncated."""
    shown = masked(" ".join(text.split()))
    return shown if len(shown) <= LONGEST_REMARK else f"{shown[: LONGEST_REMARK - 1]}…"


def may_be_number(text: str) -> bool:
    """Whether a key is or contains a telephone number, rather than groups of digits that could be one."""
    return any(not found.is_loose for found in _find(_plain(text)[0]))


def is_certain(text: str) -> bool:
    """Whether the text has a number written as only telephone numbers are: with `+`, 00 and a French code,
    spaces, points or brackets, or in pairs. Plain or joined digits may be an identifier."""
    plain = _plain(text)[0]
    return any(_SURE.search(plain[start:end]) for start, end, is_loose in _find(plain) if not is_loose)


def may_hold_number(text: pl.Expr, *, or_is: str = "") -> pl.Expr:
    """A quick test that is true whenever `masked` changes the text, and rarely otherwise; also true if the
    whole text matches the regular expression `or_is`."""
    return text.str.contains(f"^(?:{or_is})$|{_HOLDS_DIGITS}" if or_is else _HOLDS_DIGITS)


def is_usual_identifier(text: pl.Expr) -> pl.Expr:
    """Whether a text is an identifier of a usual form, which `masked` does not change: a date and a number
    within that day, or a letter and eleven digits."""
    return text.str.contains(_USUAL_ID)


def _has_seven_digits(text: str) -> bool:
    """A quick test that is true whenever a text holds a telephone number or a serial number."""
    return not text.isascii() or bool(_SEVEN_DIGITS.match(text))


def _masked_once(text: str) -> str:
    plain, places = _plain(text)
    parts, at = [], 0
    for start, end, _ in sorted(_find(plain)):
        first, last = (places[start][0], places[end - 1][1]) if places else (start, end)
        if first >= at:
            parts += [text[at:first], MASK]
        at = max(at, last)
    return "".join((*parts, text[at:])) if parts else text


def _plain(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text with ASCII digits and plus signs and without escapes; and the original position of each
    character, or an empty list if none moved."""
    places: list[tuple[int, int]] = []
    if not text.isascii() or "&" in text or "%" in text:
        signs: list[str] = []
        at = 0
        for escape in (*_ESCAPE.finditer(text), None):
            start, end = escape.span() if escape else (len(text), len(text))
            signs += map(_plain_sign, text[at:start])
            places += [(number, number + 1) for number in range(at, start)]
            if escape:
                unescaped = _unescaped(escape[0])
                signs += unescaped
                whole = [(start, end)] * len(unescaped)
                places += whole if unescaped != escape[0] else [(n, n + 1) for n in range(start, end)]
            at = end
        text = "".join(signs)
    return _ZEROS.sub(lambda letters: "0" * len(letters[0]), text), places


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    digit = unicodedata.digit(sign, None)
    if digit is not None:
        return str(digit)
    return "+" if unicodedata.normalize("NFKC", sign) == "+" else sign


def _unescaped(escape: str) -> str:
    """The character that an HTML or URL escape stands for, if it is a digit or not a letter; else the
    escape."""
    sign = html.unescape(escape) if escape[0] == "&" else unquote(escape, errors="replace")
    is_taken = sign in "0123456789" if escape[0] == "&" else sign.isspace()
    is_between = not any(each.isalnum() for each in sign) and (sign.isprintable() or sign.isspace())
    return sign if is_taken or is_between else escape


def _find(plain: str) -> Iterator[_Found]:
    for named in _NAMED.finditer(plain):
        yield _Found(named.start(), named.end(), False)
    bare = _NO_PART.sub(lambda found: "x" * len(found[0]), plain)
    for run in _RUN.finditer(bare):
        if run.end() - run.start() >= 7:
            yield from _find_in_run(bare, run.start(), run.end())


def _find_in_run(text: str, start: int, end: int) -> Iterator[_Found]:
    """The telephone numbers among the groups of digits of a run; they may overlap."""
    groups = [group.span() for group in _GROUP.finditer(text, start, end)]
    gaps = [text[left:right] for left, right in itertools.pairwise((start, *itertools.chain(*groups)))][::2]
    # A number without leading zero or plus is a single group, or all groups joined by plain gaps.
    ends = [not number or not _PLAIN_GAP.fullmatch(gap) for number, gap in enumerate(gaps)] + [True]
    for first, (begin, _) in enumerate(groups):
        if "+" in gaps[first] and (stop := _end_behind_plus(text, groups[first:])):
            yield _Found(text.rindex("+", 0, begin), stop, False)
        is_joined = first > 0 and gaps[first] in _JOINTS
        digits = ""
        for last in range(first, len(groups)):
            stop = groups[last][1]
            digits += text[groups[last][0] : stop]
            if len(digits) > _MOST_DIGITS:
                break
            within = gaps[first + 1 : last + 1]
            sizes = tuple(right - left for left, right in groups[first : last + 1])
            is_together = not any(ends[first + 1 : last + 1])
            is_french = bool(_FRENCH_OR_LONG.fullmatch(digits))
            is_fraction = within in (["."], [","]) and (digits[0] != "0" or sizes[0] == 1)
            is_fraction = is_fraction and not (is_french and text[stop - 2 : stop] == ".0")
            if len(digits) < _FEWEST_DIGITS or is_fraction:
                continue
            if is_french:
                is_outline = sizes[0] == 1 and "." in within[0]  # 1.2.0.299.123456
                yield _Found(begin, stop, is_outline or (is_joined and first < last))
            elif sizes in _USUAL_SIZES and digits[0] != "0" and is_together and not is_joined:
                is_spaced = any(gap.isspace() for gap in within)
                yield _Found(begin, stop, not is_spaced and _is_part(text, begin, stop, strictly=True))
            elif (
                (first == last or (is_together and ends[first] and ends[last + 1]))
                and _ALONE.fullmatch(digits)
                and not _is_part(text, begin, stop)
            ):
                is_usual = first == last or (sizes == (3, 3, 3) and {*within} <= {" ", "."})
                is_loose = len(digits) != 9 or not is_usual or _is_part(text, begin, stop, strictly=True)
                yield _Found(begin, stop, is_loose)


def _end_behind_plus(text: str, groups: Sequence[tuple[int, int]]) -> int | None:
    """The end of the number after a plus sign that begins with these groups of digits, if there is one."""
    if text[groups[0][0]] == "0":
        return None
    count, stop = 0, groups[0][0]
    for begin, end in groups:
        if count and (count + end - begin > _MOST_BEHIND_PLUS or "+" in text[stop:begin]):
            break
        count, stop = count + end - begin, end
    return stop if count >= _FEWEST_BEHIND_PLUS else None


def _is_part(text: str, start: int, end: int, *, strictly: bool = False) -> bool:
    """Whether digits are part of a word, an amount or an identifier; `strictly` also if an identifier
    continues after them. `.0` is no amount: programs that take a number for a decimal add it."""
    before, behind = text[max(start - 1, 0) : start], text[end : end + 2]
    return (
        before.isalnum()
        or before in _WORD_BEFORE
        or behind[:1].isalnum()
        or (behind[:1] in {".", ","} and behind[1:].isdigit() and not _DECIMAL_ZERO.match(text, end))
        or (strictly and behind[:1] in _WORD_BEHIND)
    )
