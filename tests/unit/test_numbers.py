"""Telephone numbers are found in any text, and what is none is left as it is."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parc.numbers import MASK, is_sure, masked, may_hold_number
from spellings import NBSP, SPELLINGS

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
def test_inside_words_and_beside_other_numbers(spelling: str) -> None:
    texts = [f"x{spelling}y", f"_{spelling}_1", f"{spelling} {spelling}", f"{spelling}/{spelling}"]
    texts += [f"le 25 {spelling}", f"35, {spelling}. 12"]
    texts += [f"20120425-{spelling}", f"25,{spelling},3"] if spelling.isdigit() else []
    for text in texts:
        assert "12345" not in masked(text).replace(" ", "") and "99" not in masked(text), text
        assert holds(text)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_stays(text: str) -> None:
    assert masked(text) == text
    assert not holds(text)


def test_random_identifiers_hold_none() -> None:
    for text in ("0299123456ab".join(("5f0c0299-1234-4567-8901-", "")), "a0299123456b" * 3):
        assert masked(text) == text


def test_what_is_surely_a_number() -> None:
    sure = ["+33299123456", "02 99 12 34 56", "02.99.12.34.56", "02-99-12-34-56", "(02)99123456"]
    sure += ["0033299123456", "call 02 99 12 34 56", "2-99-12-34-56", "33-2-99-12-34-56"]
    sure += ["tel 299123456", "+44 20 7946 0958"]
    assert [text for text in sure if not is_sure(text)] == []
    perhaps = (
        "0299123456",
        "33299123456",
        "299123456",
        "05-2012-1234",
        "call-0299123456",
        "0299123456-2",
        "3900",
    )
    assert [text for text in perhaps if is_sure(text)] == []


ALPHABET = st.text(st.sampled_from([*"0123456789+-./() _,:;aé\n", NBSP, "٢", "９"]), max_size=30)


@given(ALPHABET | st.lists(st.sampled_from(SPELLINGS + NO_NUMBERS)).map("-".join))
@example("0 299123456")
@example("1-0299-123456")
def test_both_engines_find_the_same(text: str) -> None:
    assert holds(text) == (masked(text) != text), text
    assert masked(masked(text)) == masked(text)
