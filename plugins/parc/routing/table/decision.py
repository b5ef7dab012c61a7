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
class Hours:
    """What the windows of a zone say of an instant. Where it is open: since when and until when; else when it
    opens next, or when it closed for the last time. All are None if it has no windows."""

    zone_code: str
    band: str
    opened_at: datetime | None = None
    closes_at: datetime | None = None
    opens_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """How one table routes a call; `steps` say it in words, in the order in which they are taken.

    `table` is the table's name. `by` is what decided the zone: exception, prefix (and which), unknown or
    withheld. `hours` decided the band: those of the zone, then those of the national default if the route is
    its. `where` is the (zone_code, market, band) whose sites take the call, `sites` are (priority, site_code,
    weight), best first.
    """

    table: str
    steps: tuple[str, ...]
    zone_code: str
    by: str
    prefix: str | None
    market: str | None
    band: str
    hours: tuple[Hours, ...]
    where: tuple[str, str, str] | None
    sites: tuple[tuple[int, str, int], ...]


def decide(content: Content, name: str, number: str, dialled_number: str, at: datetime) -> Decision:
    """The route that a table gives to a call of `number` (any spelling, or `anonymous`) at an instant."""
    steps: list[str] = []
    zone, by, found_prefix = _zone(content, number, steps)
    market = _market(content, dialled_number, steps)
    hours = _band(content, zone, market, at, steps)
    band = hours[-1].band
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
    return Decision(name, tuple(steps), zone, by, found_prefix, market, band, hours, where, ordered)


def _zone(content: Content, number: str, steps: list[str]) -> tuple[str, str, str | None]:
    normalised = pl.DataFrame({"number": [number]}).select(number=e164(pl.col("number")))
    known, prefix = normalised.select("number", prefix=national_prefix(pl.col("number"))).row(0)
    if known is None:
        steps.append("zone      *, the national default: the number is withheld")
        return NATIONAL_ZONE, "withheld", None
    exact = content.frames["exceptions"].filter(number=known)
    if exact.height:
        zone = str(exact["zone_code"][0])
        steps.append(f"zone      {zone}: the exact number is among the exceptions")
        return zone, "exception", None
    lengths = range(len(prefix or ""), 0, -1)
    for candidate in ((prefix or "")[:size] for size in lengths):
        found = content.frames["prefixes"].filter(prefix=candidate)
        if found.height:
            zone = str(found["zone_code"][0])
            steps.append(f"zone      {zone}: the longest prefix that matches is {candidate}")
            return zone, "prefix", candidate
    steps.append("zone      *, the national default: no exception, no prefix matches")
    return NATIONAL_ZONE, "unknown", None


def _market(content: Content, dialled_number: str, steps: list[str]) -> str | None:
    services = content.frames["services"].filter(dialled_number=dialled_number)
    if not services.height:
        steps.append(f"market    none: {dialled_number} is no service number of this table")
        return None
    market = str(services["market"][0])
    steps.append(f"market    {market}: the service of {dialled_number}")
    return market


def _band(
    content: Content, zone: str, market: str | None, at: datetime, steps: list[str]
) -> tuple[Hours, ...]:
    at = at.astimezone(UTC)
    call = pl.DataFrame(
        [(zone, market, at)],
        schema={"zone_code": pl.String(), "market": pl.String(), "half_hour_at": INSTANT},
        orient="row",
    )
    band, by = with_band(call, "zone_code", content.frames, "band").select("band", "band_by").row(0)
    own = () if by == zone else (_hours(content, zone, at, "open"),)
    hours = (*own, _hours(content, by, at, band))
    for each in hours:
        is_own = each.zone_code == zone
        whose = f"zone {zone}" if is_own else "the national default, as the route is its,"
        steps.append(f"band      {_in_words(each, whose)}")
    return hours


def _hours(content: Content, zone: str, at: datetime, band: str) -> Hours:
    windows = content.frames["windows"].filter(zone_code=zone).sort("opens_at")
    if band == "open":
        opened, closes = windows.filter(pl.col("opens_at") <= at).select("opens_at", "closes_at").row(-1)
        return Hours(zone, band, opened_at=opened, closes_at=closes)
    later = windows.filter(pl.col("opens_at") > at)["opens_at"].min()
    last = windows["closes_at"].max()
    if isinstance(later, datetime):
        return Hours(zone, band, opens_at=later)
    return Hours(zone, band, closed_at=last if isinstance(last, datetime) else None)


def _in_words(hours: Hours, whose: str) -> str:
    if hours.opened_at and hours.closes_at:
        return f"open: {whose} opened {shown(hours.opened_at)}, closes {shown(hours.closes_at)}"
    if hours.opens_at:
        return f"closed: {whose} opens next {shown(hours.opens_at)}"
    if hours.closed_at:
        return f"closed: {whose} closed for the last time {shown(hours.closed_at)}"
    return f"closed: {whose} has no opening windows"
