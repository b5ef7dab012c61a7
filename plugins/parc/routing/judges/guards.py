"""What a release must satisfy before it may be applied: each guard judges one proposal.

Rule numbers are those of the routing design: 3 validation, 4 limits, 5 changes that a person always approves,
6 capacity. Validation comes first; a further gate is one more function in GUARDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from parc.routing.judges.load import HalfHour, SiteLoad, in_ranges, site_loads
from parc.routing.judges.volumes import CallsMoved, calls_moved
from parc.routing.table.content import BANDS, NATIONAL_ZONE, SHAPES, Content, Frames
from parc.routing.table.desired import horizon, live_pairs, overseas_zones, zone_codes
from parc.routing.table.diff import TableDiff
from parc.routing.table.inputs import Inputs, Surroundings
from parc.routing.table.lookups import blocks_by_zone, own_pairs, routes_by_pair

PARIS = ZoneInfo("Europe/Paris")
CALLS_NEED_APPROVAL = 0.10
CALLS_REFUSED = 0.50
ROWS_NEED_APPROVAL = 0.30
LONGEST_CLOSURE_DAYS = 8
# What a night's ported numbers add to a site that is full already must not hold every release back.
UNNOTICED_ERLANGS = 0.1
UNNOTICED_CALLS = 0.5


@dataclass(frozen=True)
class Finding:
    """One thing a guard found: it refuses the release, asks for a person's approval, or is only told."""

    rule: int
    verdict: Literal["refuse", "approve", "note"]
    message: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.message}"


@dataclass(frozen=True)
class Proposal:
    """A release under examination, to take effect on `day`. `live` is None where the switch holds nothing
    that can be compared."""

    day: date
    inputs: Inputs
    around: Surroundings
    live: Content | None
    desired: Content
    diffs: dict[str, TableDiff]

    @cached_property
    def moved(self) -> CallsMoved | None:
        """Calls that would move; None where there is nothing to compare with."""
        if self.live is None:
            return None
        return calls_moved(self.live.frames, self.desired.frames, self.diffs, self.around.demand, self.day)

    @cached_property
    def loads(self) -> list[SiteLoad]:
        """The load predicted for each site; empty where nothing changes or no volumes are known."""
        if not any(table.row_count for table in self.diffs.values()):
            return []
        return site_loads(
            self.live.frames if self.live else None,
            self.desired.frames,
            self.diffs,
            demand=self.around.demand,
            positions=self.around.positions,
            clocks=self.around.clocks,
            windows=self.inputs.windows,
            day=self.day,
        )


def examine(proposal: Proposal) -> list[Finding]:
    """What the guards find; a table that is not valid is judged no further."""
    unfit = list(_validation(proposal))
    return unfit or [finding for guard in GUARDS for finding in guard(proposal)]


def validate(frames: Frames, zones: Iterable[str] = ()) -> list[str]:
    """What makes these tables unfit for any switch; `zones` are those it must know besides those named."""
    problems = [f"the table {name} is empty" for name in SHAPES if not frames[name].height]
    if problems:
        return problems
    for name, shape in SHAPES.items():
        frame = frames[name]
        is_empty = (pl.col(c).is_null() | (pl.col(c).cast(pl.String) == "") for c in shape.columns)
        empty = {c: n for c, n in frame.select(is_empty).sum().row(0, named=True).items() if n}
        problems += [f"{name}: column {column} is empty in {count} rows" for column, count in empty.items()]
        copies = frame.height - frame.select(shape.key).n_unique()
        if copies:
            problems.append(f"{name}: {copies} rows repeat a {', '.join(shape.key)}{_example(name, frame)}")
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
        problems.append(f"exceptions: {numbers} numbers are not in E.164 form")
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
        f"windows: {bad.height} close before they open or overlap (first: {zone} {opens:%Y-%m-%d %H:%M} UTC)"
        for zone, opens, _ in bad.head(1).iter_rows()
    ]


def _validation(proposal: Proposal) -> Iterable[Finding]:
    """Rule 3."""
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
        yield Finding(3, "refuse", problem)


def _uncovered(windows: pl.DataFrame, zones: set[str], day: date) -> list[str]:
    """Zones that would stay closed for more than a week between the effective date and the horizon's end."""
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
    """Plan rows in force for zones or markets that do not exist: their go-live would silently not happen."""
    markets = set(inputs.services["market"])
    return [
        f"rollout: {zone} {market} is live by the plan, but there is no such zone or market"
        for zone, market in live_pairs(inputs.rollout, day).sort("zone_code", "market").iter_rows()
        if zone not in zones or market not in markets
    ]


def _limits(proposal: Proposal) -> Iterable[Finding]:
    """Rule 4."""
    if proposal.live is None:
        return
    moved = proposal.moved
    if moved and moved.share > CALLS_REFUSED:
        yield Finding(
            4,
            "refuse",
            f"{moved.share:.1%} of calls would move; more than {CALLS_REFUSED:.0%} is refused: check the "
            "inputs, or make the change in steps (the waves of rollout_plan)",
        )
    elif moved and moved.share > CALLS_NEED_APPROVAL:
        yield Finding(
            4, "approve", f"{moved.share:.1%} of calls would move (limit {CALLS_NEED_APPROVAL:.0%})"
        )
    if moved and moved.days is None and any(table.row_count for table in proposal.diffs.values()):
        yield Finding(
            4,
            "approve",
            "no recent volumes are known: every zone and market was weighed the same, and nobody can tell "
            "whether the sites have positions enough (rule 6)",
        )
    for table in proposal.diffs.values():
        if table.share > ROWS_NEED_APPROVAL:
            yield Finding(
                4,
                "approve",
                f"{table.share:.1%} of the {table.live_rows} rows of {table.name} would be changed or "
                f"removed (limit {ROWS_NEED_APPROVAL:.0%})",
            )


def _always_approved(proposal: Proposal) -> Iterable[Finding]:
    """Rule 5."""
    if proposal.live is None:
        return
    was, will = proposal.live.frames, proposal.desired.frames
    going_live, going_back = going(was, will)
    if going_live:
        yield Finding(5, "approve", f"go-live of {_pairs(going_live)}")
    if going_back:
        yield Finding(5, "approve", f"back to the national route: {_pairs(going_back)}")
    rerouted = _rerouted(was, will)
    if any(zone == NATIONAL_ZONE for zone, _, _ in rerouted) or _rewindowed(proposal, {NATIONAL_ZONE}):
        yield Finding(5, "approve", "the national default changes")
    closed = sorted({zone for zone, _, band in rerouted if band == "closed"})
    if closed:
        yield Finding(5, "approve", f"the off-hours partners change for {', '.join(closed)}")
    overseas = overseas_zones(proposal.inputs, proposal.day)
    touched = {zone for zone, _, _ in rerouted} | _rewindowed(proposal, overseas) | _reblocked(proposal)
    if touched & overseas:
        yield Finding(5, "approve", f"overseas routing changes: {', '.join(sorted(touched & overseas))}")


def going(was: Frames, will: Frames) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The (zone_code, market) that leave the national route, and those that return to it."""
    before, after = own_pairs(was), own_pairs(will)
    return sorted(after - before), sorted(before - after)


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{zone} {market}" for zone, market in pairs)


def _rerouted(was: Frames, will: Frames) -> set[tuple[str, str, str]]:
    """(zone_code, market, band) whose rows differ, or of which a site has another address."""
    before, after = routes_by_pair(was), routes_by_pair(will)
    addresses = dict(will["sites"].iter_rows())
    moved = {site for site, address in was["sites"].iter_rows() if addresses.get(site, address) != address}
    found = set()
    for pair in before.keys() | after.keys():
        old, new = before.get(pair, frozenset()), after.get(pair, frozenset())
        bands = {row[0] for row in old ^ new} | {row[0] for row in old if row[2] in moved}
        found |= {(*pair, band) for band in bands}
    return found


def _rewindowed(proposal: Proposal, zones: set[str]) -> set[str]:
    """Zones whose hours change in the time that both tables cover, the past left out."""
    assert proposal.live is not None
    tables = [content.frames["windows"] for content in (proposal.live, proposal.desired)]
    start = datetime.combine(proposal.day, time(), UTC)
    ends = [table["opens_at"].max() for table in tables]
    if not all(isinstance(end, datetime) for end in ends):
        return set(zones)
    both = (pl.col("opens_at") >= start) & (pl.col("opens_at") <= min(ends))  # type: ignore[type-var]
    one, other = (table.filter(both & pl.col("zone_code").is_in(sorted(zones))) for table in tables)
    differing = pl.concat(
        [one.join(other, on=one.columns, how="anti"), other.join(one, on=one.columns, how="anti")]
    )
    return set(differing["zone_code"])


def _reblocked(proposal: Proposal) -> set[str]:
    """Zones that lose or gain a block of numbers."""
    if not proposal.diffs["prefixes"].row_count:
        return set()
    assert proposal.live is not None
    one, other = (blocks_by_zone(c.frames["prefixes"]) for c in (proposal.live, proposal.desired))
    both = one.join(other, on="block", how="full", suffix="_after")
    moved = both.filter(pl.col("zone_code").ne_missing(pl.col("zone_code_after")))
    return {*moved["zone_code"].drop_nulls(), *moved["zone_code_after"].drop_nulls()}


def frozen(freezes: pl.DataFrame, now: datetime, day: date) -> list[str]:
    """Freeze windows (starts_at, ends_at, reason) in force now or when the effective date begins."""
    instants = (now, datetime.combine(day, time(), PARIS))
    return [
        f"freeze from {starts:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC: {reason}"
        for starts, ends, reason in freezes.sort("starts_at").iter_rows()
        if any(starts <= instant < ends for instant in instants)
    ]


def _capacity(proposal: Proposal) -> Iterable[Finding]:
    """Rule 6."""
    as_before: list[HalfHour] = []
    at_first: list[HalfHour] = []
    for site in proposal.loads:
        if not site.is_planned:
            gained = site.calls - site.calls_before
            if gained >= UNNOTICED_CALLS:
                yield Finding(
                    6,
                    "approve",
                    f"{site.site_code} has no row in site_positions, so nobody can tell whether it can take "
                    f"{gained:,.0f} calls a week more",
                )
            continue
        drowned = [half_hour for half_hour in site.half_hours if half_hour.is_drowned]
        worse = [h for h in drowned if h.load - h.load_before >= UNNOTICED_ERLANGS]
        if worse and proposal.live is None:
            at_first += worse
        elif worse:
            yield Finding(
                6,
                "refuse",
                f"{_load(site, worse)} ({_worst(worse).positions_required} needed): raise site_positions, "
                "shift weights in route_sites, or postpone the wave in rollout_plan",
            )
        as_before += [half_hour for half_hour in drowned if half_hour not in worse]
    if at_first:
        # Nothing tells what is so already, and without a table every call goes to one address.
        yield Finding(6, "approve", _summary(at_first, "the calls that the first table brings"))
    if as_before:
        yield Finding(6, "note", _summary(as_before, "calls that come by the table on the switch too"))


def _summary(half_hours: list[HalfHour], calls: str) -> str:
    worst, sites = _worst(half_hours), {half_hour.site_code for half_hour in half_hours}
    which = worst.site_code if len(sites) == 1 else f"{len(sites)} sites"
    return (
        f"{which} with too few positions for {calls}; worst: {worst.site_code} {worst.name}, "
        f"load {worst.load:.1f} erlangs for {worst.positions} positions"
    )


def _load(site: SiteLoad, half_hours: list[HalfHour]) -> str:
    worst = _worst(half_hours)
    at = "" if len(half_hours) == 1 else f" at worst ({worst.name})"
    return (
        f"{site.site_code}: {in_ranges(half_hours)}, load {worst.load:.1f} erlangs for {worst.positions} "
        f"positions{at}"
    )


def _worst(half_hours: list[HalfHour]) -> HalfHour:
    return max(half_hours, key=lambda half_hour: half_hour.load - (half_hour.positions or 0))


GUARDS: tuple[Callable[[Proposal], Iterable[Finding]], ...] = (_limits, _always_approved, _capacity)
