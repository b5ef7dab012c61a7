"""Telephone numbers are found in any text; other digits are left unchanged."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from parc.numbers import (
    MASK,
    e164,
    is_certain,
    is_usual_identifier,
    masked,
    masked_with_serials,
    may_be_number,
    may_hold_number,
)
from support.spellings import NBSP, SPELLINGS

NO_NUMBERS = [
    "",
    "3900",
    "118712",
    "internet",
    "ST_NAZAIRE",
    "20120424-0000001",
    "19990225-AA0101-36055",
    "V20120424-000001",
    "J73461602161",
    "B972-001",
    "2012-04-25T08:00:00+02:00",
    "2012-04-25T08:00:00.123456789+02:00",
    "2012-04-25T08:00:00,123456789+0200",
    "20120425T080000+0200",
    "25/04/2012 08:00:00+02:00",
    "2012-04-25 08:00:00",
    "2012-04-25-080000",
    "calls_20120425_080000.csv",
    "calls-2012-04-25-08-00-00.csv.gz",
    "calls_20120425080000.csv",
    "1335333600",
    "1335333600123",
    "4294967295",
    "80029912345678",
    "5f0c0299-1234-4567-8901-123456789abc",
    "call-123456789",
    "12.5",
    "1234567.89",
    "-0.123456789",
    "1 234 567,89",
    "1.234.567,89 EUR",
    "12,345,678 rows of 123,456,789",
    "deliveries 123, 124, 125",
    "shares 0.12, 0.34, 0.5678",
    "took 12.345678 s",
    "35000 RENNES",
    "81.255.123.200",
    "http://10.200.123.200:8080",
    "2012-04-25, 2012-04-26, 2012-04-27",
    "du 25/04/2012 au 26/04/2012 08:00",
    "05/12/2012 06:30",
    "201204250800",
    "20120425T080000Z",
    "calls_20120425_080000_0001.csv",
    "2012-04-25T08:00:00.1234567890+02:00",
]
"""What has the digits of a number, and is none."""

BESIDE_OTHERS = [
    "RDV 25/04-02 99 12 34 56",
    "rappel 14h30/02.99.12.34.56",
    "25/04/2012-02 99 12 34 56",
    "2012-04-25 10:30:00 02 99 12 34 56",
    "Q1-0299 123 456",
    "35,02 99 12 34 56",
    "x6 12 34 56 78",
    "poste_6.12.34.56.78",
    "299123456-2",
    "299123456_",
    "6 12 34 56 78/9",
]


def holds(text: str) -> bool:
    return bool(pl.select(may_hold_number(pl.lit(text))).item())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_is_found_in_any_spelling_and_inside_a_text(spelling: str) -> None:
    for around in ("{}", "rappeler {}", "x {} y", "({})", "a;{};b", "client={}, 3 fois", "<{}>"):
        text = around.format(spelling)
        shown = masked(text)
        assert MASK in shown and holds(text)
        assert sum(character.isdigit() for character in shown) < 4, shown


@pytest.mark.parametrize("spelling", ["0299123456", "+33299123456", "33299123456", "02 99 12 34 56"])
def test_numbers_inside_words_and_beside_other_numbers(spelling: str) -> None:
    texts = [f"x{spelling}y", f"_{spelling}_1", f"{spelling} {spelling}", f"{spelling}/{spelling}"]
    texts += [f"le 25 {spelling}", f"35, {spelling}. 12"]
    texts += [f"20120425-{spelling}", f"25,{spelling},3"] if spelling.isdigit() else []
    for text in texts:
        assert "12345" not in masked(text).replace(" ", "") and "99" not in masked(text), text
        assert holds(text)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_text_that_is_not_a_number_is_kept(text: str) -> None:
    assert masked(text) == text
    assert not may_be_number(text)


@pytest.mark.parametrize("text", BESIDE_OTHERS)
def test_a_number_is_found_beside_dates_hours_and_identifiers(text: str) -> None:
    shown = masked(text)
    assert MASK in shown and holds(text)
    assert not {"99", "12 34", "12.34", "123"} & {
        shown[at : at + size] for at in range(99) for size in (2, 3, 5)
    }


def test_codes_and_usual_identifiers_skip_the_full_search() -> None:
    codes = ["", "3900", "118712", "internet", "ST_NAZAIRE", "B972-001", "12.5"]
    assert not any(holds(text) for text in codes)
    usual = ["20120424-0000001", "V20120424-000001", "J73461602161"]
    assert pl.Series(usual).to_frame().select(is_usual_identifier(pl.first())).to_series().all()


def test_random_identifiers_contain_no_number() -> None:
    for text in ("0299123456ab".join(("5f0c0299-1234-4567-8901-", "")), "a0299123456b" * 3):
        assert masked(text) == text


def test_certain_numbers_are_recognised() -> None:
    sure = ["+33299123456", "02 99 12 34 56", "02.99.12.34.56", "02-99-12-34-56", "(02)99123456"]
    sure += ["0033299123456", "call 02 99 12 34 56", "2-99-12-34-56", "33-2-99-12-34-56"]
    sure += ["tel 299123456", "+44 20 7946 0958"]
    assert [text for text in sure if not is_certain(text)] == []
    perhaps = (
        "0299123456",
        "33299123456",
        "299123456",
        "05-2012-1234",
        "call-0299123456",
        "0299123456-2",
        "3900",
    )
    assert [text for text in perhaps if is_certain(text)] == []


def test_a_possible_identifier_is_no_number_as_a_key() -> None:
    perhaps = ["2012-12345", "612-345-678", "447911123456", "44 7911 123456", "123456789-FR-0001"]
    perhaps += ["1.2.0.299.123456", "1-0212-345678"]
    for text in perhaps:
        assert masked(text) != text and not may_be_number(text) and not is_certain(text), text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("299123456.0", "***.0"),  # a column of numbers that a program took for decimals
        ("callers 299123456.0, 33299123456.0", "callers ***.0, ***.0"),
        ("447911123456.0", "***.0"),
        ("3310000000.0", "***"),
        ("299123456.00", None),
        ("299123456.01", None),
        ("1335333600.0", None),
        ("3310000000.5", None),
    ],
)
def test_a_number_that_became_a_decimal_is_masked(text: str, shown: str | None) -> None:
    assert masked(text) == (shown or text)
    assert holds(text)


SEPARATORS = [
    *" .-/()_,:;|*'+~=#•\\[]\t\n",
    NBSP,
    "\u202a",
    "\u2066",
    "\u3000",
    "&nbsp;",
    "&#160;",
    "&#xA0;",
    "%20",
]
SEPARATORS += ["%C2%A0", "&ensp;", " - - ", "    ", ""]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "⓪①②③④⑤⑥⑦⑧⑨"]
DIGITS += ["⁰¹²³⁴⁵⁶⁷⁸⁹", "０１２３４５６７８９", "O123456789"]
AROUND = ["{}", "x {} y", "({})", "<{}>", "a;{};b", "Q1: {}, merci", "\n{}\n", "le 25 avril {}"]


@given(st.from_regex(r"(0|0033|\+33|33)[1-9][0-9]{8}", fullmatch=True), st.data())
def test_a_french_number_is_masked_in_any_form(number: str, data: st.DataObject) -> None:
    used = data.draw(st.sampled_from([["", each] for each in SEPARATORS] + [["", *" .-/()_"]]))
    parts = [digit + data.draw(st.sampled_from(used)) for digit in number[:-1]]
    digits = data.draw(st.sampled_from(DIGITS))
    text = "".join([*parts, number[-1]])
    assume(not re.fullmatch("33[0-9]*[.,][0-9]*", text) or text.endswith(".0"))  # a decimal fraction
    if "&" not in text and "%" not in text:
        text = text.translate(str.maketrans("0123456789", digits))
    text = data.draw(st.sampled_from(AROUND)).format(text)
    assert masked(text) != text and holds(text), text


SPELLED = st.text(
    st.sampled_from([*"0123456789" * 3, *"+-./() _,·", NBSP, "\u200b", "２"]), min_size=9, max_size=24
)
WHOLE = st.from_regex(r"(00|\+|0|33)?[1-9][0-9 ._/-]{6,16}", fullmatch=True)


@given(SPELLED | WHOLE, st.sampled_from(AROUND))
@example("447911123456", "{}")
@example("6123 45678", "x {} y")
@example("05/12/2012 06", "{}")
@example("02 99.12.34.56", "{}")
@example("001/0.0.100.0", "{}")
def test_every_text_read_as_a_number_is_masked(text: str, around: str) -> None:
    if pl.select(e164(pl.lit(text))).item():
        text = around.format(text)
        assert masked(text) != text and holds(text), text


ALPHABET = st.lists(
    st.sampled_from(
        [*"0123456789+-./() _,:;aéOo\n", NBSP, "٢", "９", "²", "&#50;", "%20", "&#x30;", "&nbsp;"]
    ),
    max_size=30,
).map("".join)


@given(ALPHABET | st.lists(st.sampled_from(SPELLINGS + NO_NUMBERS)).map("-".join))
@example("0 299123456")
@example("1-0299-123456")
def test_the_quick_test_misses_no_number(text: str) -> None:
    shown = masked(text)
    assert shown == text or holds(text), text
    assert masked(shown) == shown
    if pl.select(is_usual_identifier(pl.lit(text))).item():
        assert shown == text


@given(
    st.from_regex(
        r"[A-NP-Za-np-z]?20120[1-9](0[1-9]|[12][0-9])-[0-9]{1,8}|[A-NP-Z][124-9][0-9]{10}", fullmatch=True
    )
)
def test_a_usual_identifier_is_not_masked(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("calls_C012345678.csv", "calls_C***.csv"),
        ("export_58704610_2.parquet", "export_***_2.parquet"),
        ("calls_20120425_080000.csv", "calls_20120425_080000.csv"),
        ("part-00000-5f0c0299-1234-4567-8901-123456789abc.c000.csv", None),
        ("calls_123456.csv", None),
        ("0299123456 et C012345678", "*** et C***"),
    ],
)
def test_serial_numbers_are_masked_but_dates_are_not(text: str, shown: str | None) -> None:
    assert masked_with_serials(text) == (shown or text)
