"""How many calls a release would send elsewhere, estimated from recent volumes.

The volumes say how many calls each zone and market had in each half-hour. They are moved forward by whole
weeks, so that they start on the effective date, and every projected call is routed twice: by the table on
the switch and by the desired one. What counts is where it is offered first: the addresses of the first
priority, shared by weight. A call moves by the share of that distribution which differs (total variation
distance), so that a change of overflow alone moves no call, and neither does a new zone that keeps the
national route.

Volumes are not known per prefix or number. A zone's callers are therefore spread evenly over its numbers:
each six-digit block that resolves to the zone counts as 2,000 lines in use (about 36 million French
fixed lines on 18,000 blocks) and each exception as one. A dialled number carries an even share of its
market's calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from parc.routing.table.content import INSTANT, NATIONAL_ZONE, Frames
from parc.routing.table.diff import TableDiff
from parc.routing.table.lookups import blocks_by_zone, first_choices, with_band

LINES_PER_BLOCK = 2_000

Destinations = dict[tuple[str, str, str], dict[str, float]]
"""(zone_code, market, band) -> {address: share of first attempts}."""


@dataclass(frozen=True)
class CallsMoved:
    """`share` of all calls that would be offered elsewhere; `by_pair` the same per zone and market
    (zone_code, market, calls, moved_calls), the largest first; `days` the dates of the volumes used, None
    where none were known and every zone and market weighs the same."""

    share: float
    by_pair: pl.DataFrame
    days: tuple[date, date] | None


def calls_moved(
    before: Frames, after: Frames, diffs: dict[str, TableDiff], demand: pl.DataFrame, day: date
) -> CallsMoved:
    """Calls that move between two tables on the effective date `day` and after, weighted by `demand`
    (half_hour_at, business_date, zone_code, market, offered_count)."""
    known = demand.height > 0 and int(demand["offered_count"].sum()) > 0
    days = (demand["business_date"].min(), demand["business_date"].max()) if known else None
    projected = _project(demand, day) if known else _uniform(before, after, day)
    routed = _routed(projected, zone_flows(before, after, diffs), before, after)
    was, will = _destinations(before), _destinations(after)
    markets = market_flows(before, after)
    moved = [
        calls
        * sum(
            fraction
            * (
                1.0
                if target is None
                else _distance(_find(was, zone, market, band), _find(will, zone_after, target, band_after))
            )
            for target, fraction in markets.get(market, {market: 1.0}).items()
        )
        for zone, market, zone_after, band, band_after, calls in routed.iter_rows()
    ]
    by_pair = (
        routed.with_columns(moved_calls=pl.Series(moved, dtype=pl.Float64))
        .group_by("zone_code", "market")
        .agg(pl.col("calls").sum(), pl.col("moved_calls").sum())
        .sort(["moved_calls", "zone_code", "market"], descending=[True, False, False])
    )
    total = float(by_pair["calls"].sum())
    share = float(by_pair["moved_calls"].sum()) / total if total else 0.0
    return CallsMoved(share, by_pair, days)  # type: ignore[arg-type]


def _project(demand: pl.DataFrame, day: date) -> pl.DataFrame:
    first = demand["business_date"].min()
    assert isinstance(first, date)
    weeks = -(-(day - first).days // 7)
    return demand.select(
        pl.col("half_hour_at") + timedelta(weeks=weeks),
        "zone_code",
        "market",
        calls=pl.col("offered_count").cast(pl.Float64),
    )


def _uniform(before: Frames, after: Frames, day: date) -> pl.DataFrame:
    """One call for every zone, market and half-hour of a week."""
    pairs = pl.concat([frames["routes"].select("zone_code", "market") for frames in (before, after)]).unique()
    start = datetime.combine(day, time(), UTC)
    slots = pl.DataFrame(
        {"half_hour_at": [start + timedelta(minutes=30 * slot) for slot in range(7 * 48)]},
        schema={"half_hour_at": INSTANT},
    )
    return slots.join(pairs, how="cross").with_columns(calls=pl.lit(1.0))


def _routed(projected: pl.DataFrame, flows: pl.DataFrame, before: Frames, after: Frames) -> pl.DataFrame:
    """(zone_code, market, zone_after, band, band_after, calls): calls by the two ways to route them."""
    spread = (
        projected.join(flows, on="zone_code", how="left")
        .with_columns(pl.col("zone_after").fill_null(pl.col("zone_code")), pl.col("fraction").fill_null(1.0))
        .with_columns(calls=pl.col("calls") * pl.col("fraction"))
    )
    spread = with_band(spread, "zone_code", before, "band")
    spread = with_band(spread, "zone_after", after, "band_after")
    keys = ["zone_code", "market", "zone_after", "band", "band_after"]
    return spread.group_by(keys).agg(pl.col("calls").sum()).sort(keys)


def zone_flows(before: Frames, after: Frames, diffs: dict[str, TableDiff]) -> pl.DataFrame:
    """(zone_code, zone_after, fraction): where the callers of each zone are after the change; a zone that
    keeps them all is left out."""
    prefixes, exceptions = diffs["prefixes"], diffs["exceptions"]
    if not prefixes.row_count and not exceptions.row_count:
        return pl.DataFrame(schema={"zone_code": pl.String, "zone_after": pl.String, "fraction": pl.Float64})
    blocks = _blocks(before["prefixes"], after["prefixes"])
    moved = pl.concat(
        [
            blocks.filter(pl.col("zone_code") != pl.col("zone_after")).select(
                "zone_code", "zone_after", lines=pl.lit(LINES_PER_BLOCK)
            ),
            _moved_exceptions(exceptions, blocks).with_columns(lines=pl.lit(1)),
        ]
    ).filter(pl.col("zone_code") != pl.col("zone_after"))
    all_lines = pl.concat(
        [
            blocks.select("zone_code", lines=pl.lit(LINES_PER_BLOCK)),
            before["exceptions"].select("zone_code", lines=pl.lit(1)),
        ]
    )
    totals = all_lines.group_by("zone_code").agg(total=pl.col("lines").sum())
    moving = (
        moved.group_by("zone_code", "zone_after")
        .agg(pl.col("lines").sum())
        .join(totals, on="zone_code", how="left")
        .with_columns(
            total=pl.max_horizontal(pl.col("total").fill_null(0), pl.col("lines").sum().over("zone_code"))
        )
        .select("zone_code", "zone_after", fraction=pl.col("lines") / pl.col("total"))
    )
    keeping = moving.group_by("zone_code").agg(fraction=1.0 - pl.col("fraction").sum())
    return pl.concat([moving, keeping.select("zone_code", zone_after="zone_code", fraction="fraction")])


def _blocks(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """(block, zone_code, zone_after) of the blocks in use: those that a prefix covers, before or after, and
    the mobile and non-geographic ones (06, 07, 09), which have the national default where none does."""
    elsewhere = pl.concat(
        [pl.int_range(first, first + 10_000, eager=True) for first in (60_000, 70_000, 90_000)]
    )
    was, will = blocks_by_zone(before), blocks_by_zone(after)
    used = pl.concat([was.select("block"), will.select("block"), pl.DataFrame({"block": elsewhere})]).unique()
    return (
        used.join(was, on="block", how="left")
        .join(will.rename({"zone_code": "zone_after"}), on="block", how="left")
        .with_columns(pl.col("zone_code", "zone_after").fill_null(NATIONAL_ZONE))
    )


def _moved_exceptions(exceptions: TableDiff, blocks: pl.DataFrame) -> pl.DataFrame:
    """(zone_code, zone_after, lines) of exceptions that came, went or changed zone. A line without an
    exception has the zone of its block."""
    # +33299123456 -> block 029912: the last nine digits are the national number without its 0.
    block = pl.col("number").str.tail(9).str.head(5).cast(pl.Int64, strict=False).alias("block")
    added = (
        exceptions.added.select(block, zone_after="zone_code")
        .join(blocks.select("block", "zone_code"), on="block", how="left")
        .select(pl.col("zone_code").fill_null(NATIONAL_ZONE), "zone_after")
    )
    removed = (
        exceptions.removed.select(block, "zone_code")
        .join(blocks.select("block", "zone_after"), on="block", how="left")
        .select("zone_code", pl.col("zone_after").fill_null(NATIONAL_ZONE))
    )
    changed = exceptions.changed.select("zone_code", zone_after="zone_code_after")
    return pl.concat([added, removed, changed])


def market_flows(before: Frames, after: Frames) -> dict[str, dict[str | None, float]]:
    """market -> {market its calls have after the change, or None where nothing answers: fraction}."""
    was = dict(before["services"].iter_rows())
    will = dict(after["services"].iter_rows())
    numbers: dict[str, list[str]] = {}
    for number, market in was.items():
        numbers.setdefault(market, []).append(number)
    flows: dict[str, dict[str | None, float]] = {}
    for market, dialled in numbers.items():
        flow = flows.setdefault(market, {})
        for number in dialled:
            target = will.get(number)
            flow[target] = flow.get(target, 0.0) + 1 / len(dialled)
    return flows


def _destinations(frames: Frames) -> Destinations:
    first = (
        first_choices(frames)
        .join(frames["sites"], on="site_code", how="left")
        .with_columns(address=pl.coalesce("sip_address", "site_code"))
    )
    found: Destinations = {}
    for zone, market, band, address, share in first.select(
        "zone_code", "market", "band", "address", "share"
    ).iter_rows():
        shares = found.setdefault((zone, market, band), {})
        shares[address] = shares.get(address, 0.0) + share
    return found


def _find(destinations: Destinations, zone: str, market: str, band: str) -> dict[str, float]:
    """As the switch does: what is missing falls to the national default."""
    return destinations.get((zone, market, band)) or destinations.get((NATIONAL_ZONE, market, band)) or {}


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    if not one or not other:
        return float(bool(one) != bool(other))
    return sum(max(0.0, share - other.get(address, 0.0)) for address, share in one.items())
