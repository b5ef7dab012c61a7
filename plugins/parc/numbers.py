"""Telephone numbers as suppliers spell them, brought to E.164 so that one number has one key."""

from __future__ import annotations

import polars as pl

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
    (r"^0([1-9][0-9]{8})$", "+33${1}"),
    (r"^33([1-9][0-9]{8})$", "+33${1}"),
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
    bare = text.str.replace_all(r"[\s.\-/()]", "").str.to_lowercase()
    number = bare
    for pattern, replacement in _STEPS:
        number = number.str.replace(pattern, replacement)
    is_number = (
        pl.when(number.str.contains(_FRENCH_CODE))
        .then(number.str.contains(_FRENCH))
        .otherwise(number.str.contains(_FOREIGN))
    )
    withheld = bare.is_null() | bare.is_in(WITHHELD)
    return pl.when(withheld).then(None).when(is_number).then(number).otherwise(pl.lit(""))


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
