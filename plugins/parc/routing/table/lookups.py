"""How a routing table answers: the routes, the opening hours and the sites that a call meets."""

from __future__ import annotations

import polars as pl

from parc.routing.table.content import NATIONAL_ZONE, Frames

BLOCK_DIGITS = 6

Route = frozenset[tuple[str, int, str, int]]
"""Where calls of one zone and market go: (band, priority, site_code, weight) each."""


def routes_by_pair(frames: Frames) -> dict[tuple[str, str], Route]:
    """The route of each (zone_code, market)."""
    found: dict[tuple[str, str], set[tuple[str, int, str, int]]] = {}
    for zone, market, *rest in frames["routes"].iter_rows():
        found.setdefault((zone, market), set()).add(tuple(rest))
    return {pair: frozenset(rows) for pair, rows in found.items()}


def own_pairs(frames: Frames) -> set[tuple[str, str]]:
    """The (zone_code, market) with a route of their own, different from the national one of that market."""
    routes = routes_by_pair(frames)
    return {
        (zone, market)
        for (zone, market), route in routes.items()
        if zone != NATIONAL_ZONE and route != routes.get((NATIONAL_ZONE, market))
    }


def with_routes(calls: pl.DataFrame, routes: pl.DataFrame) -> pl.DataFrame:
    """The calls (zone_code, market, band, ...) joined with the rows of `routes` that take them.

    A call takes the rows of its own zone, market and band; if there are none, those of the national default.
    `route_zone_code` says whose rows they are. A call that finds no row at all is left out.
    """
    keys = ["zone_code", "market", "band"]
    own = routes.with_columns(route_zone_code="zone_code")
    national = own.filter(zone_code=NATIONAL_ZONE).drop("zone_code")
    return pl.concat(
        [
            calls.join(own, on=keys),
            calls.join(own, on=keys, how="anti").join(national, on=["market", "band"]),
        ],
        how="diagonal",
    )


def first_choices(frames: Frames) -> pl.DataFrame:
    """(zone_code, market, band, site_code, share): the sites that calls are offered to first, by weight."""
    keys = ("zone_code", "market", "band")
    return (
        frames["routes"]
        .filter(pl.col("priority") == pl.col("priority").min().over(keys))
        .select(*keys, "site_code", share=pl.col("weight") / pl.col("weight").sum().over(keys))
    )


def with_band(calls: pl.DataFrame, zone: str, frames: Frames, name: str) -> pl.DataFrame:
    """The calls (half_hour_at, market and the column `zone`) with their band by the table's hours, as `name`.

    A call is `open` inside the windows of its zone. On the national route it must also be inside those of the
    national default: outside them its sites are not staffed, whatever the time is overseas. The column
    `<name>_by` has the zone whose hours decided.
    """
    pairs = {zone: pl.String(), "market": pl.String()}
    own = pl.DataFrame(sorted(own_pairs(frames)), schema=pairs, orient="row").with_columns(_own=True)
    hours = frames["windows"].select(_zone="zone_code", _opens_at="opens_at", _closes_at="closes_at")
    found = calls.join(own, on=list(pairs), how="left").with_columns(_nation=pl.lit(NATIONAL_ZONE))
    for by, in_hours in ((zone, "_in_zone"), ("_nation", "_in_nation")):
        is_open = (pl.col("half_hour_at") < pl.col("_closes_at")).fill_null(False)
        found = (
            found.sort("half_hour_at")
            .join_asof(
                hours.sort("_opens_at"),
                left_on="half_hour_at",
                right_on="_opens_at",
                by_left=by,
                by_right="_zone",
                check_sortedness=False,
            )
            .with_columns(is_open.alias(in_hours))
            .drop("_opens_at", "_closes_at", "_zone", strict=False)
        )
    is_by_nation = pl.col("_in_zone") & pl.col("_own").is_null()
    is_open = pl.col("_in_zone") & (~is_by_nation | pl.col("_in_nation"))
    band = pl.when(is_open).then(pl.lit("open")).otherwise(pl.lit("closed"))
    decided_by = pl.when(is_by_nation).then(pl.lit(NATIONAL_ZONE)).otherwise(pl.col(zone))
    return found.with_columns(band.alias(name), decided_by.alias(f"{name}_by")).drop(
        "_own", "_nation", "_in_zone", "_in_nation"
    )


def blocks_by_zone(prefixes: pl.DataFrame) -> pl.DataFrame:
    """(block, zone_code): the zone of each six-digit block under some prefix; the longest prefix wins."""
    missing = BLOCK_DIGITS - pl.col("prefix").str.len_chars().cast(pl.Int64)
    width = pl.lit(10, dtype=pl.Int64).pow(missing)
    first = pl.col("prefix").cast(pl.Int64) * width
    return (
        prefixes.filter(pl.col("prefix").str.len_chars() <= BLOCK_DIGITS)
        .with_columns(block=pl.int_ranges(first, first + width), length=pl.col("prefix").str.len_chars())
        .explode("block")
        .sort("length")
        .unique("block", keep="last", maintain_order=True)
        .select("block", "zone_code")
    )
