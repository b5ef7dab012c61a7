"""Untrusted text in print: it cannot control a terminal or the writing direction, or run in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parc.build.broken import FailingRows, without_persons
from parc.printable import csv_cell, printable, printable_json

SIGNS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "\x1b\x07\x9b\x7f\u202e\u2066\u200f\ufeff\r"
)


@given(st.text(SIGNS))
def test_control_characters_are_removed(text: str) -> None:
    shown = printable(text)
    assert all(sign.isprintable() or sign in "\n\t\u00a0\u202f\u3000" or sign.isspace() for sign in shown)
    assert not set(shown) & set("\x1b\x9b\x7f\u202e\u2066\u200f\r")
    if text.isprintable():
        assert shown == text


@given(st.recursive(st.text(SIGNS), st.lists))
def test_escaped_json_is_equivalent(value: object) -> None:
    shown = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert not set(shown) & set("\x1b\x9b\x7f\u202e\u2066\u200f\r")


@given(st.text(SIGNS))
def test_csv_cells_are_never_formulas(text: str) -> None:
    line = io.StringIO()
    csv.writer(line).writerow([csv_cell(text)])
    [[cell]] = csv.reader(io.StringIO(line.getvalue())) if line.getvalue().strip("\r\n") else [[""]]
    assert not cell.startswith(tuple("=@\t\r"))
    assert not cell.startswith(tuple("+-")) or cell[1:].replace(".", "").replace(",", "").isdigit()


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+33 2 99", "'+33 2 99"),
        ("-5", "-5"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("Rennes", "Rennes"),
        (-5, -5),
        (None, None),
        (["\x1b"], "['\\x1b']"),
    ],
)
def test_cells(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_failing_rows_identify_nobody() -> None:
    """Enough to distinguish two persons in a message, and no more."""
    key, identity = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", -4611686018427387905
    row = {
        "identity_key": identity,
        "caller_key": key,
        "reason_code": f"see {key}",
        "site_code": "RENNES",
        "call_id": "call-1",
        "offered_count": 12_345_678_901,
        "row": {"customer_key": key},
    }
    shown = FailingRows([row]).shown
    assert shown is not None
    assert key not in str(shown) and str(identity) not in str(shown)
    assert shown[0]["caller_key"] == "3f2504…" and shown[0]["identity_key"] == "-46116…"
    assert shown[0]["row"] == {"customer_key": "3f2504…"}
    assert (shown[0]["site_code"], shown[0]["call_id"]) == ("RENNES", "call-1")
    assert shown[0]["offered_count"] == 12_345_678_901
    message = f"Key (identity_key, caller_key)=({identity}, {key}) already exists, 2012-04-25 10:00:00.123456"
    assert without_persons(message) == (
        "Key (identity_key, caller_key)=(-461168…, 3f2504…) already exists, 2012-04-25 10:00:00.123456"
    )
