"""BINRPC, as Kamailio's `ctl` module speaks it."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from parc.routing.switches.binrpc import decode, encode

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=2_000)


@given(st.integers(0, 2**31), texts, st.lists(texts | st.integers(0, 2**31), min_size=1, max_size=20))
def test_encoding_round_trips(cookie: int, method: str, params: list[str | int]) -> None:
    assert decode(encode(cookie, method, *params)) == (cookie, {"result": [method, *params]})


@given(st.binary(max_size=200).map(b"\xa1".__add__) | st.binary(max_size=50))
def test_arbitrary_bytes_decode_or_raise_known_errors(data: bytes) -> None:
    with contextlib.suppress(IndexError, UnicodeDecodeError):
        decode(data)


def test_replies_of_the_switch() -> None:
    """As Kamailio 5.6.3 sends them: one structure, several values, names that come twice, an error."""
    entry = b"\x03\x55item\0\x03\x65value\0\x2153\x83\x83".replace(b"\x2153", b"\x3153\0")
    assert decode(b"\xa1\x10\x16\x07" + entry) == (7, {"result": {"item": {"value": "53"}}})
    twice = b"\x03" + b"\x75socket\0\x10\x01" + b"\x75socket\0\x10\x02" + b"\x83"
    assert decode(b"\xa1\x10\x16\x01" + twice) == (1, {"result": [{"socket": 1}, {"socket": 2}]})
    assert decode(b"\xa1\x10\x04\x01\x10\x01\x10\x02") == (1, {"result": [1, 2]})
    assert decode(b"\xa1\x30\x08\x02\x20\x01\xf4\x31No\0") == (2, {"error": "No"})
