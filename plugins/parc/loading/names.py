"""File names as suppliers' systems write them: compared whatever their spelling, and told without harm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from parc.numbers import masked

LONGEST_TOLD = 120
MOST_LISTED = 10
_OF_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates, as JSON may hold them, that stand for no byte of a name."""


def plain(name: str) -> str:
    """The name as it is compared: composed (NFC; macOS decomposes), bytes that are not UTF-8 replaced."""
    known = _OF_NO_BYTE.sub("\N{REPLACEMENT CHARACTER}", name)
    known = known.encode(errors="surrogateescape").decode(errors="replace")
    return unicodedata.normalize("NFC", known)


def told(name: str) -> str:
    """The name as messages and the ledger show it: no telephone number, no control character, one line."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in plain(name))
    text = masked(text)
    half = LONGEST_TOLD // 2
    return text if len(text) <= LONGEST_TOLD else f"{text[:half]}...{text[-half:]}"


def listed(names: Iterable[str]) -> str:
    """Names as a message shows them: the first few, and how many more there are."""
    shown = [told(name) for name in names]
    more = len(shown) - MOST_LISTED
    return ", ".join(shown[:MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")
