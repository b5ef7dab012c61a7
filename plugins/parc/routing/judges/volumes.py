"""How many calls a release would send elsewhere, estimated from recent volumes.

The volumes count the calls of each zone and market in each half-hour. They are moved forward by whole weeks,
so that they begin on the effective date. Each projected call is then routed twice: by the table on the switch
and by the desired table. What counts is where it is offered first: the addresses of the first priority,
shared by weight. The fraction of a call that moves is the total variation distance between the two
distributions. So a change of overflow sites alone moves no call, and neither does a new zone that keeps the
national route.

Volumes are not known per prefix or per number. The callers of a zone are therefore spread evenly over its
numbers: a six-digit block counts as 2,000 lines in use (about 36 million French fixed lines on 18,000
blocks), an exception as one line. Each dialled number carries an equal share of its market's calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from parc.routing.table.content import BANDS, INSTANT, NATIONAL_ZONE, Frames
from parc.routing.table.diff import TableDiff
from parc.routing.table.lookups import blocks_by_zone, first_choices, with_band, with_routes

LINES_PER_BLOCK = 2_000

Destinations = dict[tuple[str, str, str], dict[str, float]]
"""(zone_code, market, band) -> {address: share of first attempts}."""


@dataclass(frozen=True)
class CallsMoved:
    """The calls that a release would offer to other sites first.

    `share` is their share (0-1) of all calls. `by_pair` has them per zone and market (zone_code, market,
    calls, moved_calls), largest first. `days` are the first and last date of the volumes used; None if no
    volumes were known, so that every zone and market weighs the same.
    """

    share: float
    by_pair: pl.DataFrame
    days: tuple[date, date] | None


def calls_moved(
    before: Frames, after: Frames, diffs: dict[str, TableDiff], demand: pl.DataFrame, day: date
) -> CallsMoved:
    """The calls that move from one table to the other from the effective date `day` on, weighted by `demand`
    (half_hour_at, business_date, zone_code, market, offered_count)."""
    known = demand.height > 0 and int(demand["offered_count"].sum()) > 0
    days = (demand["business_date"].min(), demand["business_date"].max()) if known else None
    projected = _project(demand, day) if known else _uniform(before, after, day)
    routed = _routed(projected, zone_flows(before, after, diffs), before, after)
    markets = market_flows(before, after)
    was, will = (_destinations(frames, routed, markets) for frames in (before, after))
    moved = [
        calls
        * sum(
            fraction
            * (
                1.0
                if target is None
                else _distance(
                    was.get((zone, market, band), {}), will.get((zone_after, target, band_after), {})
                )
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
    """One call of each zone and market in each half-hour of a week."""
    pairs = pl.concat([frames["routes"].select("zone_code", "market") for frames in (before, after)]).unique()
    start = datetime.combine(day, time(), UTC)
    slots = pl.DataFrame(
        {"half_hour_at": [start + timedelta(minutes=30 * slot) for slot in range(7 * 48)]},
        schema={"half_hour_at": INSTANT},
    )
    return slots.join(pairs, how="cross").with_columns(calls=pl.lit(1.0))


def _routed(projected: pl.DataFrame, flows: pl.DataFrame, before: Frames, after: Frames) -> pl.DataFrame:
    """(zone_code, market, zone_after, band, band_after, calls): how both tables place the calls."""
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
    """(zone_code, zone_after, fraction): the zones of each zone's callers after the change. A zone that keeps
    all its callers is left out."""
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
    """(block, zone_code, zone_after) of the blocks in use: those under a prefix of either table, and the
    mobile and non-geographic ones (06, 07, 09). A block under no prefix has the national default."""
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
    """(zone_code, zone_after) of exceptions that were added, removed or changed. A line without an exception
    has the zone of its block."""
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
    """market -> {market of its calls after the change, None if no service has the number: fraction}."""
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


def _destinations(
    frames: Frames, routed: pl.DataFrame, markets: dict[str, dict[str | None, float]]
) -> Destinations:
    """Where this table offers the routed calls first, whichever of their zones and markets they have."""
    zones = pl.concat([routed["zone_code"], routed["zone_after"]]).unique()
    targets = {target for flow in markets.values() for target in flow if target is not None}
    combinations = (
        zones.to_frame()
        .join(pl.DataFrame({"market": sorted({*routed["market"], *targets})}), how="cross")
        .join(pl.DataFrame({"band": list(BANDS)}), how="cross")
    )
    first = (
        with_routes(combinations, first_choices(frames))
        .join(frames["sites"], on="site_code", how="left")
        .with_columns(address=pl.coalesce("sip_address", "site_code"))
    )
    found: Destinations = {}
    columns = ("zone_code", "market", "band", "address", "share")
    for zone, market, band, address, share in first.select(columns).iter_rows():
        shares = found.setdefault((zone, market, band), {})
        shares[address] = shares.get(address, 0.0) + share
    return found


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    """Total variation distance of two distributions (address -> share); 1 if just one of them is empty."""
    if not one or not other:
        return float(bool(one) != bool(other))
    return sum(max(0.0, share - other.get(address, 0.0)) for address, share in one.items())
