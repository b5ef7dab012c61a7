"""The guards: what a release must satisfy before it may be applied.

Rule 4 sets limits, rule 5 lists the changes that a person always approves, rule 6 looks at capacity. They
judge only a valid table (rule 3, validation.py). A new guard is one more function in GUARDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time

import polars as pl

from parc.instants import PARIS, shown
from parc.routing.judges.load import HalfHour, SiteLoad, in_ranges
from parc.routing.judges.proposal import Effect, Proposal, Ruling
from parc.routing.judges.validation import validation
from parc.routing.table.content import NATIONAL_ZONE, Frames
from parc.routing.table.desired import overseas_zones
from parc.routing.table.lookups import blocks_by_zone, own_pairs, routes_by_pair
from parc.wording import counted

CALLS_NEED_APPROVAL = 0.10
CALLS_REFUSED = 0.50
ROWS_NEED_APPROVAL = 0.30
# Smaller changes are ignored. Otherwise the night's few ported numbers would hold back every release as long
# as one site is full already.
UNNOTICED_ERLANGS = 0.1
UNNOTICED_CALLS = 0.5


def examine(proposal: Proposal) -> list[Ruling]:
    """What the guards say. A table that is not valid is judged no further."""
    invalid = list(validation(proposal))
    return invalid or [ruling for guard in GUARDS for ruling in guard(proposal)]


def _limits(proposal: Proposal) -> Iterable[Ruling]:
    """Rule 4: limits on the calls and the rows that a release may move."""
    if proposal.live is None:
        return
    moved = proposal.moved
    if moved and moved.share > CALLS_REFUSED:
        yield Ruling(
            4,
            Effect.REFUSE,
            f"{moved.share:.1%} of calls would move; more than {CALLS_REFUSED:.0%} is refused: check the "
            "inputs, or make the change in steps (the waves of rollout_plan)",
        )
    elif moved and moved.share > CALLS_NEED_APPROVAL:
        yield Ruling(
            4, Effect.APPROVE, f"{moved.share:.1%} of calls would move (limit {CALLS_NEED_APPROVAL:.0%})"
        )
    if moved and moved.days is None and any(table.row_count for table in proposal.diffs.values()):
        yield Ruling(
            4,
            Effect.APPROVE,
            "no recent volumes are known: every zone and market was weighed the same, and it is unknown "
            "whether the sites have enough positions (rule 6)",
        )
    for table in proposal.diffs.values():
        if table.share > ROWS_NEED_APPROVAL:
            yield Ruling(
                4,
                Effect.APPROVE,
                f"{table.share:.1%} of the {counted(table.live_rows, 'row')} of {table.name} would be "
                f"changed or removed (limit {ROWS_NEED_APPROVAL:.0%})",
            )


def _always_approved(proposal: Proposal) -> Iterable[Ruling]:
    """Rule 5: changes that a person always approves."""
    if proposal.live is None:
        return
    was, will = proposal.live.frames, proposal.desired.frames
    going_live, going_back = going(was, will)
    if going_live:
        yield Ruling(5, Effect.APPROVE, f"go-live of {_pairs(going_live)}")
    if going_back:
        yield Ruling(5, Effect.APPROVE, f"back to the national route: {_pairs(going_back)}")
    rerouted = _rerouted(was, will)
    if any(zone == NATIONAL_ZONE for zone, _, _ in rerouted) or _rewindowed(proposal, {NATIONAL_ZONE}):
        yield Ruling(5, Effect.APPROVE, "the national default changes")
    closed = sorted({zone for zone, _, band in rerouted if band == "closed"})
    if closed:
        yield Ruling(5, Effect.APPROVE, f"the off-hours partners change for {', '.join(closed)}")
    overseas = overseas_zones(proposal.inputs, proposal.day)
    touched = {zone for zone, _, _ in rerouted} | _rewindowed(proposal, overseas) | _reblocked(proposal)
    if touched & overseas:
        yield Ruling(5, Effect.APPROVE, f"overseas routing changes: {', '.join(sorted(touched & overseas))}")


def going(was: Frames, will: Frames) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The (zone_code, market) that leave the national route, and those that return to it. One whose own rows
    stay goes nowhere, even if the national default comes to differ from them or to equal them."""
    old, new = routes_by_pair(was), routes_by_pair(will)
    changed = {pair for pair in old.keys() | new.keys() if old.get(pair) != new.get(pair)}
    before, after = own_pairs(was), own_pairs(will)
    return sorted(changed & after - before), sorted(changed & before - after)


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{zone} {market}" for zone, market in pairs)


def _rerouted(was: Frames, will: Frames) -> set[tuple[str, str, str]]:
    """The (zone_code, market, band) whose rows differ, or one of whose sites gets another address."""
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
    """The zones whose hours change, within the time that both tables cover and from the effective date on."""
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
    """The zones that lose or gain a block of numbers."""
    if not proposal.diffs["prefixes"].row_count:
        return set()
    assert proposal.live is not None
    one, other = (blocks_by_zone(c.frames["prefixes"]) for c in (proposal.live, proposal.desired))
    both = one.join(other, on="block", how="full", suffix="_after")
    moved = both.filter(pl.col("zone_code").ne_missing(pl.col("zone_code_after")))
    return {*moved["zone_code"].drop_nulls(), *moved["zone_code_after"].drop_nulls()}


def frozen(freezes: pl.DataFrame, now: datetime, day: date) -> list[str]:
    """The freeze windows (starts_at, ends_at, reason) in force now or at the start of the effective date."""
    instants = (now, datetime.combine(day, time(), PARIS))
    return [
        f"freeze from {shown(starts)} to {shown(ends)}: {reason}"
        for starts, ends, reason in freezes.sort("starts_at").iter_rows()
        if any(starts <= instant < ends for instant in instants)
    ]


def _capacity(proposal: Proposal) -> Iterable[Ruling]:
    """Rule 6: no site gets more calls than its positions can take."""
    as_before: list[HalfHour] = []
    at_first: list[HalfHour] = []
    for site in proposal.loads:
        if not site.is_planned:
            gained = site.calls - site.calls_before
            if gained >= UNNOTICED_CALLS:
                yield Ruling(
                    6,
                    Effect.APPROVE,
                    f"{site.site_code} has no row in site_positions, so it is unknown whether it can take "
                    f"{gained:,.0f} more calls a week",
                )
            continue
        overloaded = [half_hour for half_hour in site.half_hours if half_hour.is_overloaded]
        worse = [h for h in overloaded if h.load - h.load_before >= UNNOTICED_ERLANGS]
        if worse and proposal.live is None:
            at_first += worse
        elif worse:
            yield Ruling(
                6,
                Effect.REFUSE,
                f"{_load(site, worse)} ({_worst(worse).positions_required} needed): raise site_positions, "
                "shift weights in route_sites, or postpone the wave in rollout_plan",
            )
        as_before += [half_hour for half_hour in overloaded if half_hour not in worse]
    if at_first:
        # There is nothing to compare with, and without a table every call goes to one address.
        yield Ruling(6, Effect.APPROVE, _summary(at_first, "the calls that the first table brings"))
    if as_before:
        yield Ruling(6, Effect.NOTE, _summary(as_before, "calls that the table on the switch already sends"))


def _summary(half_hours: list[HalfHour], calls: str) -> str:
    worst, sites = _worst(half_hours), {half_hour.site_code for half_hour in half_hours}
    which, has = (worst.site_code, "has") if len(sites) == 1 else (f"{len(sites)} sites", "have")
    return (
        f"{which} {has} too few positions for {calls}; worst: {worst.site_code} {worst.name}, "
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


GUARDS: tuple[Callable[[Proposal], Iterable[Ruling]], ...] = (_limits, _always_approved, _capacity)
