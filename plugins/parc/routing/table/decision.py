"""How a table routes one call, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from parc.instants import shown
from parc.numbers import e164, national_prefix
from parc.routing.table.content import INSTANT, NATIONAL_ZONE, SHAPES, Content
from parc.routing.table.lookups import with_band, with_routes


@dataclass(frozen=True)
class Decision:
    """How one table routes a call; `steps` say it in words, in the order in which they are taken.

    `table` is the table's name. `by` is what decided the zone: exception, prefix, unknown or withheld.
    `where` is the (zone_code, market, band) whose sites take the call, `sites` are (priority, site_code,
    weight), best first.
    """

    table: str
    steps: tuple[str, ...]
    zone_code: str
    by: str
    market: str | None
    band: str
    where: tuple[str, str, str] | None
    sites: tuple[tuple[int, str, int], ...]


def decide(content: Content, name: str, number: str, dialled_number: str, at: datetime) -> Decision:
    """The route that a table gives to a call of `number` (any spelling, or `anonymous`) at an instant."""
    steps: list[str] = []
    zone, by = _zone(content, number, steps)
    market = _market(content, dialled_number, steps)
    band = _band(content, zone, market, at, steps)
    where, sites = None, pl.DataFrame(schema=SHAPES["routes"].columns)
    if market:
        call = pl.DataFrame({"zone_code": [zone], "market": [market], "band": [band]})
        sites = with_routes(call, content.frames["routes"])
    if market and sites.height:
        where = (str(sites["route_zone_code"][0]), market, band)
        if where[0] != zone:
            steps.append(f"route     none for zone {zone}, so the national default's")
    place = pl.col("priority").rank("dense").cast(pl.Int32)
    ordered = tuple(
        sites.select(place, "site_code", "weight")
        .sort("priority", -pl.col("weight"), "site_code")
        .iter_rows()
    )
    for priority in sorted({each[0] for each in ordered}):
        shares = ", ".join(f"{site} {weight}" for rank, site, weight in ordered if rank == priority)
        steps.append(f"sites     {'first' if priority == 1 else 'then'}: {shares} (weights)")
    steps.append("sites     " + ("in the end" if ordered else "nothing but") + ": the switch's last resort")
    return Decision(name, tuple(steps), zone, by, market, band, where, ordered)


def _zone(content: Content, number: str, steps: list[str]) -> tuple[str, str]:
    normalised = pl.DataFrame({"number": [number]}).select(number=e164(pl.col("number")))
    known, prefix = normalised.select("number", prefix=national_prefix(pl.col("number"))).row(0)
    if known is None:
        steps.append("zone      *, the national default: the number is withheld")
        return NATIONAL_ZONE, "withheld"
    exact = content.frames["exceptions"].filter(number=known)
    if exact.height:
        zone = str(exact["zone_code"][0])
        steps.append(f"zone      {zone}: the exact number is among the exceptions")
        return zone, "exception"
    lengths = range(len(prefix or ""), 0, -1)
    for candidate in ((prefix or "")[:size] for size in lengths):
        found = content.frames["prefixes"].filter(prefix=candidate)
        if found.height:
            zone = str(found["zone_code"][0])
            steps.append(f"zone      {zone}: the longest prefix that matches is {candidate}")
            return zone, "prefix"
    steps.append("zone      *, the national default: no exception, no prefix matches")
    return NATIONAL_ZONE, "unknown"


def _market(content: Content, dialled_number: str, steps: list[str]) -> str | None:
    services = content.frames["services"].filter(dialled_number=dialled_number)
    if not services.height:
        steps.append(f"market    none: {dialled_number} is no service number of this table")
        return None
    market = str(services["market"][0])
    steps.append(f"market    {market}: the service of {dialled_number}")
    return market


def _band(content: Content, zone: str, market: str | None, at: datetime, steps: list[str]) -> str:
    at = at.astimezone(UTC)
    call = pl.DataFrame(
        [(zone, market, at)],
        schema={"zone_code": pl.String(), "market": pl.String(), "half_hour_at": INSTANT},
        orient="row",
    )
    band, by = with_band(call, "zone_code", content.frames, "band").select("band", "band_by").row(0)
    if by != zone:
        steps.append(_hours(content, zone, f"zone {zone}", at, "open"))
    whose = f"zone {zone}" if by == zone else "the national default, as the route is its,"
    steps.append(_hours(content, by, whose, at, band))
    return str(band)


def _hours(content: Content, zone: str, whose: str, at: datetime, band: str) -> str:
    windows = content.frames["windows"].filter(zone_code=zone).sort("opens_at")
    if band == "open":
        opens, closes = windows.filter(pl.col("opens_at") <= at).select("opens_at", "closes_at").row(-1)
        return f"band      open: {whose} opened {shown(opens)}, closes {shown(closes)}"
    later = windows.filter(pl.col("opens_at") > at)["opens_at"].min()
    last = windows["closes_at"].max()
    if isinstance(later, datetime):
        return f"band      closed: {whose} opens next {shown(later)}"
    if isinstance(last, datetime):
        return f"band      closed: {whose} closed for the last time {shown(last)}"
    return f"band      closed: {whose} has no opening windows"
