"""The load that a release would bring to each site, by half-hour of a usual week.

The usual week (usual_week.py) is routed by the table on the switch and by the desired one, as in volumes.py.
Each call counts at the sites to which it is offered first, shared by weight. Every site is a queue of its
own. The load in erlangs is calls x mean handle seconds / 1,800 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, time

import polars as pl

from parc.instants import PARIS
from parc.routing.judges import capacity
from parc.routing.judges.capacity import HALF_HOUR_SECONDS
from parc.routing.judges.usual_week import SLOT, usual_week, with_slot
from parc.routing.judges.volumes import market_flows, zone_flows
from parc.routing.table.content import Frames
from parc.routing.table.diff import TableDiff
from parc.routing.table.lookups import first_choices, with_band, with_routes

WITHIN_SECONDS = 20
TARGET = 0.80
MAX_OCCUPANCY = 0.85
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class HalfHour:
    """One half-hour of the week at a site, on the site's own clock.

    `load` is in erlangs. `positions` is None for a site without planned positions. `..._before` are the same
    figures under the table on the switch.
    """

    site_code: str
    weekday: int
    starts_at: time
    calls: float
    calls_before: float
    load: float
    load_before: float
    handle_seconds: float
    handle_seconds_before: float
    positions: int | None

    @property
    def name(self) -> str:
        """As `Mon 09:30`."""
        return f"{WEEKDAYS[self.weekday - 1]} {self.starts_at:%H:%M}"

    @property
    def is_overloaded(self) -> bool:
        """Whether the load reaches the number of positions, so that the queue only grows."""
        return self.positions is not None and self.load > 0 and self.load >= self.positions

    @property
    def occupancy(self) -> float | None:
        """Load / positions; None if that is unknown or infinite."""
        return self._occupancy(self.load)

    @property
    def occupancy_before(self) -> float | None:
        """The same under the table on the switch."""
        return self._occupancy(self.load_before)

    @property
    def service_level(self) -> float | None:
        """Predicted share (0-1) of calls answered within 20 s; None if the positions are unknown."""
        return self._service_level(self.load, self.handle_seconds)

    @property
    def service_level_before(self) -> float | None:
        """The same under the table on the switch."""
        return self._service_level(self.load_before, self.handle_seconds_before)

    @property
    def positions_required(self) -> int:
        """The positions that answer 80 % of calls within 20 s at an occupancy of at most 0.85."""
        return capacity.positions_required(
            self.load,
            self.handle_seconds,
            target=TARGET,
            within_seconds=WITHIN_SECONDS,
            max_occupancy=MAX_OCCUPANCY,
        )

    def _occupancy(self, load: float) -> float | None:
        found = math.inf if self.positions is None else capacity.occupancy(load, self.positions)
        return found if math.isfinite(found) else None

    def _service_level(self, load: float, handle_seconds: float) -> float | None:
        if self.positions is None:
            return None
        return capacity.service_level(load, self.positions, handle_seconds, WITHIN_SECONDS)


@dataclass(frozen=True)
class SiteLoad:
    """The half-hours in which a site has calls before or after the release, in the order of the week."""

    site_code: str
    half_hours: tuple[HalfHour, ...]

    @property
    def is_planned(self) -> bool:
        """Whether the site has any planned positions."""
        return any(half_hour.positions is not None for half_hour in self.half_hours)

    @property
    def calls(self) -> float:
        """Calls a week."""
        return sum(half_hour.calls for half_hour in self.half_hours)

    @property
    def calls_before(self) -> float:
        """Calls a week under the table on the switch."""
        return sum(half_hour.calls_before for half_hour in self.half_hours)

    @property
    def tightest(self) -> HalfHour:
        """The half-hour with the highest occupancy, or with the highest load if occupancies are equal or
        unknown. A half-hour without any position is chosen only if there is no other."""

        def tightness(half_hour: HalfHour) -> tuple[float, float]:
            positions = half_hour.positions
            return capacity.occupancy(
                half_hour.load, positions
            ) if positions is not None else 0, half_hour.load

        staffed = [half_hour for half_hour in self.half_hours if half_hour.positions != 0]
        return max(staffed or self.half_hours, key=tightness)


def site_loads(
    before: Frames | None,
    after: Frames,
    diffs: dict[str, TableDiff],
    *,
    demand: pl.DataFrame,
    positions: pl.DataFrame,
    clocks: pl.DataFrame,
    windows: pl.DataFrame,
    day: date,
) -> list[SiteLoad]:
    """The load of each site that has calls under either table, in a usual week from `day` on.

    `before` is None if the switch holds nothing to compare with: then every call is new. `demand`,
    `positions` and `clocks` are as in table/inputs.py; `windows` (zone_code, local_date, ...) cover past and
    future. The result is empty if no volumes are known.
    """
    demand = demand.filter(pl.col("offered_count") > 0)
    if not demand.height:
        return []
    week = usual_week(demand, clocks, windows, day)
    moved = week
    if before is not None:
        moved = _moved(week, zone_flows(before, after, diffs), market_flows(before, after))
    loads = _at_sites(moved, after)
    was = _at_sites(week, before) if before is not None else loads.clear()
    names = ["calls", "handle_seconds"]
    both = loads.join(
        was.rename({name: f"{name}_before" for name in names}),
        on=["site_code", "half_hour_at"],
        how="full",
        coalesce=True,
    ).with_columns(pl.col(*names, *(f"{name}_before" for name in names)).fill_null(0.0))
    return list(_by_site(both, positions))


def in_ranges(half_hours: Iterable[HalfHour]) -> str:
    """The half-hours in words, such as `Mon-Fri 09:00-11:30, 14:00-15:00; Sat 09:00-10:00`."""
    ranges: dict[int, list[list[int]]] = {}
    for half_hour in sorted(half_hours, key=lambda h: (h.weekday, h.starts_at)):
        starts = half_hour.starts_at.hour * 60 + half_hour.starts_at.minute
        of_day = ranges.setdefault(half_hour.weekday, [])
        if of_day and of_day[-1][1] == starts:
            of_day[-1][1] = starts + 30
        else:
            of_day.append([starts, starts + 30])
    days: list[tuple[int, int, str]] = []
    for weekday, of_day in ranges.items():
        hours = ", ".join(f"{_clock(starts)}-{_clock(ends)}" for starts, ends in of_day)
        if days and days[-1][1:] == (weekday - 1, hours):
            days[-1] = (days[-1][0], weekday, hours)
        else:
            days.append((weekday, weekday, hours))
    return "; ".join(
        f"{WEEKDAYS[first - 1]}{'' if first == last else f'-{WEEKDAYS[last - 1]}'} {hours}"
        for first, last, hours in days
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _moved(
    week: pl.DataFrame, zones: pl.DataFrame, markets: dict[str, dict[str | None, float]]
) -> pl.DataFrame:
    """The calls of the week under the zones and markets that they have after the change."""
    kept = [
        (market, target, fraction)
        for market, flow in markets.items()
        for target, fraction in flow.items()
        if target is not None
    ]
    targets = pl.DataFrame(
        kept,
        schema={"market": pl.String, "market_after": pl.String, "fraction_market": pl.Float64},
        orient="row",
    )
    share = pl.col("fraction") * pl.col("fraction_market")
    lost = [market for market, flow in markets.items() if list(flow) == [None]]
    return (
        week.filter(~pl.col("market").is_in(lost))
        .join(zones, on="zone_code", how="left")
        .join(targets, on="market", how="left")
        .with_columns(
            pl.col("zone_after").fill_null(pl.col("zone_code")),
            pl.col("market_after").fill_null(pl.col("market")),
            pl.col("fraction", "fraction_market").fill_null(1.0),
        )
        .select(
            "half_hour_at",
            zone_code="zone_after",
            market="market_after",
            calls=pl.col("calls") * share,
            handle_seconds=pl.col("handle_seconds") * share,
        )
    )


def _at_sites(week: pl.DataFrame, frames: Frames) -> pl.DataFrame:
    """(site_code, half_hour_at, calls, handle_seconds): where the table offers the calls first."""
    offered = with_routes(with_band(week, "zone_code", frames, "band"), first_choices(frames))
    return offered.group_by("site_code", "half_hour_at").agg(
        calls=(pl.col("calls") * pl.col("share")).sum(),
        handle_seconds=(pl.col("handle_seconds") * pl.col("share")).sum(),
    )


def _by_site(loads: pl.DataFrame, positions: pl.DataFrame) -> Iterator[SiteLoad]:
    planned = positions.select("site_code", "time_zone").unique("site_code")
    slots = (
        with_slot(
            loads.join(planned, on="site_code", how="left").with_columns(
                is_planned=pl.col("time_zone").is_not_null(),
                time_zone=pl.col("time_zone").fill_null(PARIS.key),
            )
        )
        .group_by("site_code", "is_planned", *SLOT)
        .agg(pl.col("calls", "calls_before", "handle_seconds", "handle_seconds_before").sum())
        .join(
            positions.select("site_code", "weekday", "position_count", local_time="half_hour_local"),
            on=["site_code", *SLOT],
            how="left",
        )
        .with_columns(
            positions=pl.when("is_planned").then(pl.col("position_count").fill_null(0)),
        )
        .sort("site_code", *SLOT)
    )
    for (site,), rows in slots.group_by("site_code", maintain_order=True):
        yield SiteLoad(
            str(site),
            tuple(
                HalfHour(
                    site_code=row["site_code"],
                    weekday=row["weekday"],
                    starts_at=row["local_time"],
                    calls=row["calls"],
                    calls_before=row["calls_before"],
                    load=row["handle_seconds"] / HALF_HOUR_SECONDS,
                    load_before=row["handle_seconds_before"] / HALF_HOUR_SECONDS,
                    handle_seconds=_mean(row["handle_seconds"], row["calls"]),
                    handle_seconds_before=_mean(row["handle_seconds_before"], row["calls_before"]),
                    positions=row["positions"],
                )
                for row in rows.iter_rows(named=True)
            ),
        )


def _mean(total: float, count: float) -> float:
    return total / count if count else 0.0
