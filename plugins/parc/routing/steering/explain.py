"""Where a call would go, and which rule decides each step: by the live table, and by the planned one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from parc.errors import ParcError
from parc.instants import shown
from parc.numbers import e164, national_prefix
from parc.routing.steering.night import newest_business_date
from parc.routing.switches import Answer, Question, open_switch, readable
from parc.routing.table.content import NATIONAL_ZONE, SHAPES, Content
from parc.routing.table.desired import desired_state, effective_date
from parc.routing.table.inputs import read_inputs
from parc.routing.table.lookups import own_pairs
from parc.settings import Settings


@dataclass(frozen=True)
class Decision:
    """How one table routes a call: the steps in the order in which they are taken.

    `table` says which table; `by` is what decided the zone (exception, prefix, unknown, withheld); `where`
    the (zone, market, band) whose sites it takes; `sites` are (priority, site_code, weight), best first.
    """

    table: str
    steps: tuple[str, ...]
    zone_code: str
    by: str
    market: str | None
    band: str
    where: tuple[str, str, str] | None
    sites: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True)
class Explanation:
    """A call, and where it would go; `live` is None where the switch is empty. `answer` is what the switch
    itself says of it, where it can be asked, and `disagreement` in what that is not what its table says."""

    call: str
    live: Decision | None
    planned: Decision | None
    not_planned: str | None
    answer: Answer | None
    disagreement: str | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        if self.answer:
            values["answer"]["at"] = self.answer.at.isoformat()
        return values

    def to_text(self) -> str:
        """The steps, one to a line."""
        lines = [self.call]
        if self.live is None:
            lines += ["", "No live table: the switch is empty (`parc routing apply --bootstrap`)"]
        for decision in (self.live, self.planned):
            if decision:
                lines += ["", f"{decision.table}:", *(f"  {step}" for step in decision.steps)]
        if self.not_planned:
            lines += ["", f"No planned table: {self.not_planned}"]
        if self.answer:
            said = f"{self.answer.site_code} ({self.answer.address}), by slot {self.answer.slot}"
            lines += ["", f"The switch itself, asked about that instant, would try first: {said}"]
        if self.disagreement:
            lines.append(f"WRONG: {self.disagreement}; `parc routing verify`")
        return "\n".join(lines)


def explain(
    settings: Settings,
    number: str,
    dialled_number: str,
    at: datetime,
    business_date: date | None = None,
) -> Explanation:
    """Where a call of `number` (any spelling, or "anonymous") at an instant goes by the live table, and by
    the release of a business date (None: the newest built) where one can be planned.

    Raises RoutingRefused when the switch holds a table that cannot be read.
    """
    switch = open_switch(settings)
    live = switch.read_live()
    content, decision = None, None
    if live:
        content = readable(live)
        decision = decide(content, f"Live table {live.version}", number, dialled_number, at)
    planned, why_not = None, None
    try:
        day = effective_date(business_date or newest_business_date(settings))
        desired = desired_state(read_inputs(settings, day - timedelta(days=1), day)[0], day)
        if content and desired.digest == content.digest:
            why_not = f"the release for {day} would be the live table"
        else:
            planned = decide(desired, f"Release planned for {day}", number, dialled_number, at)
    except ParcError as error:
        why_not = str(error)
    caller = pl.select(e164(pl.lit(number))).item() or number  # the switch takes no other spelling
    answer = switch.ask(Question(caller, dialled_number, at)) if live else None
    return Explanation(
        call=f"A call of {number} to {dialled_number} at {shown(at)} ({at.astimezone(UTC):%H:%M} UTC)",
        live=decision,
        planned=planned,
        not_planned=why_not,
        answer=answer,
        disagreement=_disagreement(decision, answer) if decision and answer else None,
    )


def decide(content: Content, name: str, number: str, dialled_number: str, at: datetime) -> Decision:
    """The route that a table gives to a call; the same rules as the switch's, told step by step."""
    steps: list[str] = []
    zone, by = _zone(content, number, steps)
    market, where, sites = None, None, pl.DataFrame(schema=SHAPES["routes"].columns)
    services = content.frames["services"].filter(dialled_number=dialled_number)
    if services.height:
        market = str(services["market"][0])
        steps.append(f"market    {market}: the service of {dialled_number}")
    else:
        steps.append(f"market    none: {dialled_number} is no service number of this table")
    band = _band(content, zone, market, at, steps)
    for candidate in (zone, NATIONAL_ZONE) if market else ():
        sites = content.frames["routes"].filter(zone_code=candidate, market=market, band=band)
        if sites.height:
            where = (candidate, str(market), band)
            break
    if where and where[0] != zone:
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
    spelt = pl.DataFrame({"number": [number]}).select(number=e164(pl.col("number")))
    known, prefix = spelt.select("number", prefix=national_prefix(pl.col("number"))).row(0)
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


def _band(content: Content, zone: str, market: str | None, at: datetime, steps: list[str]) -> str:
    """Open in the hours of the zone, and on the national route in those of the national default as well."""
    band = _band_of(content, zone, f"zone {zone}", at, steps)
    if band == "closed" or zone == NATIONAL_ZONE or (zone, market) in own_pairs(content.frames):
        return band
    return _band_of(content, NATIONAL_ZONE, "the national default, as the route is its,", at, steps)


def _band_of(content: Content, zone: str, whose: str, at: datetime, steps: list[str]) -> str:
    at = at.astimezone(UTC)
    windows = content.frames["windows"].filter(zone_code=zone)
    inside = windows.filter((pl.col("opens_at") <= at) & (pl.col("closes_at") > at))
    if inside.height:
        opens, closes = inside.select("opens_at", "closes_at").row(0)
        steps.append(f"band      open: {whose} opened {shown(opens)}, closes {shown(closes)}")
        return "open"
    later = windows.filter(pl.col("opens_at") > at)["opens_at"].min()
    last = windows["closes_at"].max()
    if isinstance(later, datetime):
        steps.append(f"band      closed: {whose} opens next {shown(later)}")
    elif isinstance(last, datetime):
        steps.append(f"band      closed: {whose} closed for the last time {shown(last)}")
    else:
        steps.append(f"band      closed: {whose} has no opening windows")
    return "closed"


def _disagreement(decision: Decision, answer: Answer) -> str | None:
    told = {
        "zone": (decision.zone_code, answer.zone_code),
        "decided by": (decision.by, answer.by),
        "band": (decision.band, answer.band),
        "sites": (set(decision.sites), set(answer.sites)),
    }
    different = [
        f"{what} {theirs}, its table says {ours}" for what, (ours, theirs) in told.items() if ours != theirs
    ]
    return "the switch answers " + "; ".join(different) if different else None
