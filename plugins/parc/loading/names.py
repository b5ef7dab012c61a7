"""Suppliers' file names: normalised for comparison, and made safe to show."""

from __future__ import annotations

import re
import unicodedata

from parc.numbers import masked_with_serials

LONGEST_REPORTED = 120
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not represent a byte; they can only come from JSON."""


def plain(name: str) -> str:
    """The name for comparison: in NFC (macOS decomposes names), with bytes that are not UTF-8 replaced."""
    whole = _NO_BYTES.sub("\N{REPLACEMENT CHARACTER}", name)
    known = whole.encode(errors="surrogateescape").decode(errors="replace")
    return unicodedata.normalize("NFC", known)


def reported(name: str) -> str:
    """The name as messages and the ledger show it: in one line, without control characters, telephone numbers
    and serial numbers that may be a reference to a person."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in plain(name))
    text = masked_with_serials(text)
    half = LONGEST_REPORTED // 2
    return text if len(text) <= LONGEST_REPORTED else f"{text[:half]}...{text[-half:]}"
