"""Rule 3, validation: is the table fit for a switch?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import polars as pl

from parc.instants import shown
from parc.routing.judges.proposal import Effect, Proposal, Ruling
from parc.routing.table.content import BANDS, NATIONAL_ZONE, SHAPES, Frames
from parc.routing.table.desired import horizon, live_pairs, zone_codes
from parc.routing.table.inputs import Inputs
from parc.wording import counted

LONGEST_CLOSURE_DAYS = 8


def validate(frames: Frames, zones: Iterable[str] = ()) -> list[str]:
    """The reasons why these tables are unfit for any switch. `zones` are zones that must have routes, besides
    those that the tables name."""
    problems = [f"the table {name} is empty" for name in SHAPES if not frames[name].height]
    if problems:
        return problems
    for name, shape in SHAPES.items():
        frame = frames[name]
        is_empty = (pl.col(c).is_null() | (pl.col(c).cast(pl.String) == "") for c in shape.columns)
        empty = {c: n for c, n in frame.select(is_empty).sum().row(0, named=True).items() if n}
        problems += [
            f"{name}: column {column} is empty in {counted(count, 'row')}" for column, count in empty.items()
        ]
        copies = frame.height - frame.select(shape.key).n_unique()
        if copies:
            rows = counted(copies, "row repeats", "rows repeat")
            problems.append(f"{name}: {rows} a {', '.join(shape.key)}{_example(name, frame)}")
    if problems:
        return problems
    return [
        *_malformed(frames),
        *_unresolved(frames, {*zones, *_zones_in(frames, "prefixes", "exceptions", "windows", "routes")}),
        *_overlapping(frames["windows"]),
    ]


def _zones_in(frames: Frames, *names: str) -> set[str]:
    return {zone for name in names for zone in frames[name]["zone_code"].unique()}


def _example(name: str, frame: pl.DataFrame) -> str:
    shape = SHAPES[name]
    if shape.has_numbers:
        return ""
    first = frame.filter(frame.select(shape.key).is_duplicated()).select(shape.key).row(0)
    return f" (first: {' '.join(map(str, first))})"


def _malformed(frames: Frames) -> list[str]:
    problems = []
    prefixes = frames["prefixes"].filter(~pl.col("prefix").str.contains(r"^0[0-9]{3,5}$"))["prefix"]
    if prefixes.len():
        problems.append(
            f"prefixes: {prefixes.len()} are not 4-6 digits beginning with 0 (first: {prefixes[0]})"
        )
    numbers = frames["exceptions"].filter(~pl.col("number").str.contains(r"^\+[0-9]{6,15}$")).height
    if numbers:
        problems.append(f"exceptions: {counted(numbers, 'number is', 'numbers are')} not in E.164 form")
    addresses = frames["sites"].filter(~pl.col("sip_address").str.contains(r"^sips?:\S+$"))["site_code"]
    problems += [f"sites: {site} has no SIP address" for site in addresses]
    routes = frames["routes"]
    unknown = routes.join(frames["sites"], on="site_code", how="anti")["site_code"].unique().sort()
    problems += [f"routes: site {site} is not a known site" for site in unknown]
    weights = routes.filter(pl.col("weight") <= 0)
    for zone, market, band, _, site, weight in weights.head(5).iter_rows():
        problems.append(f"routes: {zone} {market} {band} gives {site} the weight {weight}; it must be > 0")
    return problems


def _unresolved(frames: Frames, zones: set[str]) -> list[str]:
    markets = frames["services"]["market"].unique()
    wanted = {(z, m, b) for z in {*zones, NATIONAL_ZONE} for m in markets for b in BANDS}
    lacking = sorted(wanted - set(frames["routes"].select("zone_code", "market", "band").iter_rows()))
    return [f"routes: {zone} {market} {band} resolves to no open site" for zone, market, band in lacking]


def _overlapping(windows: pl.DataFrame) -> list[str]:
    previous = pl.col("closes_at").shift(1).over("zone_code", order_by="opens_at")
    bad = windows.filter((pl.col("closes_at") <= pl.col("opens_at")) | (pl.col("opens_at") < previous))
    return [
        f"windows: {bad.height} close before they open or overlap (first: {zone} {shown(opens)})"
        for zone, opens, _ in bad.head(1).iter_rows()
    ]


def validation(proposal: Proposal) -> Iterable[Ruling]:
    """Rule 3: the inputs and the desired table are complete and make sense."""
    inputs, day, frames = proposal.inputs, proposal.day, proposal.desired.frames
    sources = (
        "services",
        "prefixes",
        "department_zones",
        "windows",
        "routes",
        "rollout",
        "sites",
        "line_assignments",
    )
    problems = [f"the input {name} is empty" for name in sources if not getattr(inputs, name).height]
    zones = zone_codes(inputs, day)
    problems = problems or validate(frames, zones)
    if not problems:
        problems = [*_uncovered(frames["windows"], zones, day), *_homeless(inputs, zones, day)]
        named = _zones_in(frames, "prefixes", "exceptions")
        problems += [f"zone {zone} is used but is no zone of a department" for zone in sorted(named - zones)]
    for problem in problems:
        yield Ruling(3, Effect.REFUSE, problem)


def _uncovered(windows: pl.DataFrame, zones: set[str], day: date) -> list[str]:
    """Zones that would stay closed for more than eight days in a row before the end of the horizon."""
    start = datetime.combine(day, time(), UTC)
    end = datetime.combine(horizon(day)[1], time(), UTC)
    problems = []
    opened = windows.filter(pl.col("closes_at") > start).group_by("zone_code").agg(pl.col("opens_at").sort())
    known = dict(opened.iter_rows())
    for zone in sorted(zones):
        instants = [start, *(instant for instant in known.get(zone, []) if instant > start), end]
        gaps = [(later - earlier, earlier) for earlier, later in pairwise(instants)]
        longest, since = max(gaps)
        if longest > timedelta(days=LONGEST_CLOSURE_DAYS):
            problems.append(
                f"windows: {zone} has none for {longest.days} days from {since:%Y-%m-%d} "
                f"(horizon: {end:%Y-%m-%d})"
            )
    return problems


def _homeless(inputs: Inputs, zones: set[str], day: date) -> list[str]:
    """Rows of the rollout plan in force whose zone or market does not exist. Without this check their go-live
    would silently not happen."""
    markets = set(inputs.services["market"])
    return [
        f"rollout: {zone} {market} is live by the plan, but there is no such zone or market"
        for zone, market in live_pairs(inputs.rollout, day).sort("zone_code", "market").iter_rows()
        if zone not in zones or market not in markets
    ]
