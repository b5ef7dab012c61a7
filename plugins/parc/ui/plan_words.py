"""The title and the reasons of a plan in the language of a page, with names for the codes of zones and sites.

The ledger keeps them in English, as the command line says them. What matches none of the forms below is shown
as it was kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import partial

from parc.ui.figures import Marts
from parc.ui.language import Texts

NAMES = """
select
    zone_code as code,
    case when count(*) over (partition by region_code) = 1 then region_name
        else region_name || ' (' || zone_code || ')' end as name
from reference.zones inner join marts.dim_region using (region_code)
union all
select site_code, site_name from marts.dim_site
"""
"""The names of zones and of sites."""
PlanNames = dict[str, str]

_PAIRS, _ZONES, _SITE = r"[\w*`,; -]+?", r"[\w*, -]+?", r"[A-Z]\w+"
_SHARE, _DAY = r"[\d.]+%", r"\d{4}-\d\d-\d\d"
_TITLE = re.compile(
    rf"(?:go-live of (?P<live>{_PAIRS}))?(?: and )?(?:return to the national route of (?P<back>{_PAIRS}))?"
    rf"(?P<change>routing change)?(?P<first>first routing table)?"
    rf"(?: on (?P<day>{_DAY}))?(?:: (?P<share>{_SHARE}) of calls move)?",
    re.IGNORECASE,
)
_REASONS = {
    name: re.compile(rf"(?:rule \d: )?{form}")
    for name, form in {
        "moved": rf"(?P<share>{_SHARE}) of calls would move \(limit (?P<limit>{_SHARE})\)",
        "moved_too_many": rf"(?P<share>{_SHARE}) of calls would move; more than (?P<limit>{_SHARE}) "
        r"is refused: .*",
        "no_volumes": r"no recent volumes are known: .*",
        "rows": rf"(?P<share>{_SHARE}) of the (?P<n>[\d,]+) rows? of (?P<table>\w+) would be "
        rf"changed or removed \(limit (?P<limit>{_SHARE})\)",
        "live": rf"go-live of (?P<pairs>{_PAIRS})",
        "back": rf"back to the national route: (?P<pairs>{_PAIRS})",
        "national": r"the national default changes",
        "partners": rf"the off-hours partners change for (?P<zones>{_ZONES})",
        "overseas": rf"overseas routing changes: (?P<zones>{_ZONES})",
        "late_calls": rf"the calls of (?P<day>{_DAY}) are not in the marts: limits and gates use the "
        rf"volumes up to (?P<until>{_DAY})",
        "no_positions": rf"(?P<site>{_SITE}) has no row in site_positions, so it is unknown whether it "
        r"can take (?P<n>[\d,]+) more calls a week",
        "empty_switch": r"the switch is empty: .*",
        "unreadable": r"the table on the switch cannot be read, .*",
        "run": r"Airflow run (?P<run>\S+)",
        "approved": r"approved by (?P<who>[^;]+)",
    }.items()
}


def names(marts: Marts) -> PlanNames:
    """The name of each zone and site; none while no build is published."""
    return {row["code"]: row["name"] for row in marts.rows(NAMES)}


def spoken(marts: Marts, t: Texts) -> Callable[[str | None], str]:
    """`plain_words` for a page."""
    return partial(plain_words, t=t, names=names(marts))


def plain_words(text: str | None, t: Texts, names: PlanNames) -> str:
    """A title, a reason, or several reasons with semicolons between."""
    if not text:
        return ""
    title = _TITLE.fullmatch(text)
    if title:
        return _title(title.groupdict(), t, names)
    whole = _reason(text, t, names)
    return whole or "; ".join(_reason(part, t, names) or part for part in text.split("; "))


def _title(found: dict[str, str | None], t: Texts, names: PlanNames) -> str:
    parts = [
        t(f"plan.{name}", pairs=pairs_named(found[name] or "", t, names))
        for name in ("live", "back")
        if found[name]
    ]
    parts += [t(f"plan.{name}") for name in ("change", "first") if found[name]]
    said = t("plan.and").join(parts)
    said += t("plan.on", day=_day(found["day"], t)) if found["day"] else ""
    said += t("plan.share", share=_share(found["share"], t)) if found["share"] else ""
    return said[:1].upper() + said[1:]


def _reason(text: str, t: Texts, names: PlanNames) -> str | None:
    for name, form in _REASONS.items():
        match = form.fullmatch(text)
        if match:
            return t(
                f"plan_reason.{name}",
                **{key: _value(key, value, t, names) for key, value in match.groupdict().items()},
            )
    return None


def _value(kind: str, value: str, t: Texts, names: PlanNames) -> str:
    match kind:
        case "share" | "limit":
            return _share(value, t)
        case "pairs":
            return pairs_named(value, t, names)
        case "zones":
            return ", ".join(named(each, t, names) for each in value.split(", "))
        case "day" | "until":
            return _day(value, t)
        case "n":
            return t.number(int(value.replace(",", "")))
        case "table":
            return t(f"routing_table.{value}")
        case "site":
            return named(value, t, names)
    return value


def named(code: str, t: Texts, names: PlanNames) -> str:
    """The name of a zone or site; its code where it has none."""
    bare = code.strip("`")
    return t("explain.nation") if bare == "*" else names.get(bare, bare)


def pairs_named(text: str, t: Texts, names: PlanNames) -> str:
    """`53 fixe, internet; 52 fixe`, or `53 fixe, 53 internet`, with names; of many only their number."""
    many = re.fullmatch(r"(\d+) zones and markets", text)
    if many:
        return t("plan.many", n=many[1])
    markets = t.at("market")

    def said(word: str) -> str:
        return markets[word].lower() if word in markets else named(word, t, names)

    return re.sub(r"[^ ,;]+", lambda found: said(found[0]), text)


def _share(value: str | None, t: Texts) -> str:
    number = (value or "0%").rstrip("%")
    return t.share(float(number) / 100, len(number.partition(".")[2]))


def _day(value: str | None, t: Texts) -> str:
    return t.day(date.fromisoformat(value or ""))
