"""The language of the pages: texts, numbers and dates in French or English.

All texts of a language are in one file, `texts/<code>.toml`. Airflow keeps its language in the browser; the
script of our pages copies it into a cookie (`COOKIE`), so that the server knows it too.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

FOLDER = Path(__file__).with_name("texts")
LANGUAGES = ("en", "fr")
"""The first is spoken to those who prefer none of them."""
COOKIE = "parc_language"
NOTHING = "–"


@dataclass(frozen=True)
class Texts:
    """The texts of a language, by their place in its file (`rollout.title`), and its way to write values."""

    code: str
    found: dict[str, Any]

    def __call__(self, place: str, **values: Any) -> str:
        """The text at this place with the values filled in. Raises KeyError if there is none."""
        text = self.at(place)
        if not isinstance(text, str):
            raise KeyError(place)
        return text.format(**values) if values else text

    def counted(self, place: str, count: int) -> str:
        """The text of one thing or of several, with their number."""
        is_one = count == 1 or (count == 0 and self.code == "fr")
        return str(self.at(place)[0 if is_one else 1]).format(n=self.number(count))

    def at(self, place: str) -> Any:
        """What stands at this place: a text, a list or a table of texts. Raises KeyError."""
        found: Any = self.found
        for key in place.split("."):
            found = found[key]
        return found

    def number(self, value: float | Decimal, digits: int = 0) -> str:
        """A number with this many decimals."""
        return f"{value:,.{digits}f}".translate(self._signs)

    def share(self, value: float | Decimal, digits: int = 1) -> str:
        """A share between 0 and 1 as a percentage."""
        return self("format.share", number=self.number(100 * value, digits))

    def day(self, value: date) -> str:
        """A date as people write it: 25 Apr 2012."""
        month = self.at("format.short_months")[value.month - 1]
        return self("format.day", day=value.day, month=month, year=value.year)

    @cached_property
    def _signs(self) -> dict[int, str]:
        return {ord(","): self("format.thousands"), ord("."): self("format.decimal")}


@cache
def texts(code: str) -> Texts:
    """The texts of one of `LANGUAGES`."""
    return Texts(code, tomllib.loads((FOLDER / f"{code}.toml").read_text()))


ENGLISH = texts(LANGUAGES[0])


def spoken(request: Request) -> Texts:
    """The language of a visitor: that of their Airflow, else the first that their browser asks for."""
    chosen = request.cookies.get(COOKIE)
    accepted = request.headers.get("accept-language", "")
    for wanted in [chosen] if chosen else _preferred(accepted):
        code = wanted.partition("-")[0].lower()
        if code in LANGUAGES:
            return texts(code)
    return ENGLISH


Spoken = Annotated[Texts, Depends(spoken)]


def _preferred(header: str) -> list[str]:
    """The languages of an Accept-Language header, the preferred first."""
    weighted = []
    for part in header.split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), name))
        except ValueError:
            continue
    return [name for _, name in sorted(weighted, key=lambda pair: pair[0])]
