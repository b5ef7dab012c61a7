"""Makes untrusted text safe to print: it cannot control a terminal or the writing direction, or run in a
spreadsheet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

KEPT = "\n\t"
_TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence of ECMA-48."""
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")


def printable(text: str) -> str:
    """The text with characters that control a terminal or the writing direction escaped (`\\x1b`, `\\u202e`);
    line feeds and tabs are kept."""
    if text.isprintable():
        return text
    return "".join(sign if sign in KEPT or _is_seen(sign) else repr(sign)[1:-1] for sign in text)


def uncoloured(text: str) -> str:
    """The text without the codes with which programs colour and move on a terminal."""
    return _TERMINAL_CODE.sub("", text)


def printable_json(text: str) -> str:
    """Equivalent JSON that has only visible characters."""
    if text.isprintable():
        return text
    return "".join(sign if sign == "\n" or _is_seen(sign) else _json_escape(sign) for sign in text)


def csv_cell(value: Any) -> Any:
    """A value as a CSV cell; a text that a spreadsheet would evaluate gets a leading apostrophe."""
    if not isinstance(value, str):
        return printable(str(value)) if isinstance(value, list | Mapping) else value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _is_seen(sign: str) -> bool:
    return sign.isprintable() or unicodedata.category(sign) == "Zs"


def _json_escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
