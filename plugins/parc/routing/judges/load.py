"""The load that a release would bring each site, half-hour by half-hour of a usual week.

What is usual comes from recent volumes: the calls of each zone and market are averaged over the like
half-hours (weekday and time of day on the zone's own clock) of the weeks that have volumes, and placed on
the first like day from the effective date on. Left out on both sides are the days on which a zone is closed
although its weekday is not (public holidays), and of the newest date what has not come: the time after its
last call, and the whole date where it has fewer calls than a normal one may have.

The usual week is then routed by the table on the switch and by the desired one, as volumes.py does: each
call counts at the sites that it is offered first, shared by weight, and every site is a queue of its own.
The load in erlangs is calls x mean handle seconds / 1,800 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from parc.routing.judges import capacity
from parc.routing.judges.capacity import HALF_HOUR_SECONDS
from parc.routing.judges.volumes import market_flows, zone_flows
from parc.routing.table.content import INSTANT, NATIONAL_ZONE, Frames
from parc.routing.table.diff import TableDiff
from parc.routing.table.lookups import first_choices, with_band

PARIS = "Europe/Paris"
WEEKS_AHEAD = 4
FEWEST_CALLS = 0.70
"""Of the mean of its like days: a newest date with fewer is not all there (the loader warns at the same)."""
WITHIN_SECONDS = 20
TARGET = 0.80
MAX_OCCUPANCY = 0.85
SLOT = ("weekday", "local_time")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class HalfHour:
    """A half-hour of the week at a site, on its own clock; `positions` is None for a site without any plan,
    and `..._before` is what the table on the switch makes of the same calls."""

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
    def is_drowned(self) -> bool:
        """Whether the load reaches the positions, so that the queue only grows."""
        return self.positions is not None and self.load > 0 and self.load >= self.positions

    @property
    def occupancy(self) -> float | None:
        """Load / positions; None where that is unknown or infinite."""
        return self._occupancy(self.load)

    @property
    def occupancy_before(self) -> float | None:
        """The same under the table on the switch."""
        return self._occupancy(self.load_before)

    @property
    def service_level(self) -> float | None:
        """Share (0-1) of calls predicted to be answered within 20 s; None without positions to judge by."""
        return self._service_level(self.load, self.handle_seconds)

    @property
    def service_level_before(self) -> float | None:
        """The same under the table on the switch."""
        return self._service_level(self.load_before, self.handle_seconds_before)

    @property
    def positions_required(self) -> int:
        """Positions that would answer four in five calls within 20 s at an occupancy of at most 0.85."""
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
    """A site's half-hours with calls, before or after, in the order of the week."""

    site_code: str
    half_hours: tuple[HalfHour, ...]

    @property
    def is_planned(self) -> bool:
        """Whether the site has planned positions at all."""
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
        """The half-hour that leaves its positions the least room: by occupancy, else by load. One without
        any position is told elsewhere, and chosen only where there is no other."""

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
    """The load of every site that has calls by either table, in a usual week from `day` on.

    `before` is None where the switch holds nothing to compare with: every call is then a new one.
    `demand`, `positions` and `clocks` as in inputs.py, `windows` (zone_code, local_date, ...) of past and
    future. Empty where no volumes are known.
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
    """The half-hours as a person says them, `Mon-Fri 09:00-11:30, 14:00-15:00; Sat 09:00-10:00`."""
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
        said = ", ".join(f"{_clock(starts)}-{_clock(ends)}" for starts, ends in of_day)
        if days and days[-1][1:] == (weekday - 1, said):
            days[-1] = (days[-1][0], weekday, said)
        else:
            days.append((weekday, weekday, said))
    return "; ".join(
        f"{WEEKDAYS[first - 1]}{'' if first == last else f'-{WEEKDAYS[last - 1]}'} {said}"
        for first, last, said in days
    )


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def usual_week(demand: pl.DataFrame, clocks: pl.DataFrame, windows: pl.DataFrame, day: date) -> pl.DataFrame:
    """(zone_code, market, half_hour_at, calls, handle_seconds) of one usual week, each weekday on its first
    date from `day` on that is no holiday of the zone; `demand` has at least one call."""
    zones = (
        demand.select("zone_code")
        .unique()
        .join(clocks, on="zone_code", how="left")
        .with_columns(pl.col("time_zone").fill_null(PARIS))
    )
    holidays = _holidays(windows, zones, demand, day)
    known = _known_half_hours(demand, holidays)
    slots = (
        _with_slot(known.join(zones, how="cross"))
        .join(holidays, on=["zone_code", "local_date"], how="anti")
        .group_by("zone_code", *SLOT)
        .agg(weeks=pl.len())
    )
    means = (
        _with_slot(demand.join(known, on="half_hour_at", how="semi").join(zones, on="zone_code"))
        .join(holidays, on=["zone_code", "local_date"], how="anti")
        .group_by("zone_code", "time_zone", "market", *SLOT)
        .agg(calls=pl.col("offered_count").sum(), handle_seconds=pl.col("handle_seconds").sum())
        .join(slots, on=["zone_code", *SLOT])
        .with_columns(pl.col("calls", "handle_seconds") / pl.col("weeks"))
    )
    return (
        _instants(means.join(_like_days(zones, holidays, day), on=["zone_code", "weekday"]))
        .select("zone_code", "market", "half_hour_at", "calls", "handle_seconds")
        .drop_nulls("half_hour_at")
    )


def _known_half_hours(demand: pl.DataFrame, holidays: pl.DataFrame) -> pl.DataFrame:
    """(half_hour_at) of the dates that have volumes, up to the last call, with calls or without."""
    by_date = (
        demand.group_by(local_date="business_date")
        .agg(calls=pl.col("offered_count").sum())
        .sort("local_date")
        .join(holidays.filter(pl.col("zone_code") == NATIONAL_ZONE), on="local_date", how="left")
        .with_columns(is_holiday=pl.col("zone_code").is_not_null(), weekday=pl.col("local_date").dt.weekday())
    )
    newest = by_date.tail(1)
    like = by_date.head(-1).join(newest, on=["weekday", "is_holiday"], how="semi")["calls"].mean()
    if isinstance(like, float) and newest["calls"].item() < FEWEST_CALLS * like:
        by_date = by_date.head(-1)
    paris = ZoneInfo(PARIS)
    instants = [
        pl.datetime_range(
            datetime.combine(local_date, time(), paris),
            datetime.combine(local_date + timedelta(days=1), time(), paris),
            "30m",
            closed="left",
            eager=True,
        )
        .dt.convert_time_zone("UTC")
        .cast(INSTANT)
        for local_date in by_date["local_date"]
    ]
    known = pl.DataFrame({"half_hour_at": pl.concat(instants)})
    return known.filter(pl.col("half_hour_at") <= demand["half_hour_at"].max())


def _holidays(windows: pl.DataFrame, zones: pl.DataFrame, demand: pl.DataFrame, day: date) -> pl.DataFrame:
    """(zone_code, local_date): dates on which the zone has no window, though its weekday otherwise has."""
    weekday = pl.col("local_date").dt.weekday().alias("weekday")
    first = demand["business_date"].min()
    assert isinstance(first, date)
    last = day + timedelta(weeks=WEEKS_AHEAD)
    dates = pl.date_range(first - timedelta(days=1), last, eager=True).alias("local_date").to_frame()
    codes = pl.concat([zones.select("zone_code"), pl.DataFrame({"zone_code": [NATIONAL_ZONE]})]).unique()
    return (
        codes.join(dates.with_columns(weekday), how="cross")
        .join(windows.with_columns(weekday), on=["zone_code", "weekday"], how="semi")
        .join(windows, on=["zone_code", "local_date"], how="anti")
        .select("zone_code", "local_date")
    )


def _like_days(zones: pl.DataFrame, holidays: pl.DataFrame, day: date) -> pl.DataFrame:
    """(zone_code, weekday, local_date): for each weekday its first date from `day` on that is no holiday."""
    dates = pl.date_range(day, day + timedelta(days=7 * WEEKS_AHEAD - 1), eager=True).alias("local_date")
    return (
        zones.select("zone_code")
        .join(dates.to_frame(), how="cross")
        .join(holidays, on=["zone_code", "local_date"], how="anti")
        .group_by("zone_code", weekday=pl.col("local_date").dt.weekday())
        .agg(pl.col("local_date").min())
    )


def _with_slot(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows (half_hour_at, time_zone) with what the clock shows: local_date, weekday, local_time."""
    parts = [
        part.with_columns(
            _local=pl.col("half_hour_at").dt.convert_time_zone(str(zone)).dt.replace_time_zone(None)
        )
        for (zone,), part in rows.group_by("time_zone")
    ]
    return (
        pl.concat(parts)
        .with_columns(
            local_date=pl.col("_local").dt.date(),
            weekday=pl.col("_local").dt.weekday(),
            local_time=pl.col("_local").dt.time(),
        )
        .drop("_local")
    )


def _instants(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows (local_date, local_time, time_zone) with the instant; null where the clock leaves it out."""
    parts = [
        part.with_columns(
            half_hour_at=pl.col("local_date")
            .dt.combine(pl.col("local_time"))
            .dt.replace_time_zone(str(zone), ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
            .cast(INSTANT)
        )
        for (zone,), part in rows.group_by("time_zone")
    ]
    return pl.concat(parts)


def _moved(
    week: pl.DataFrame, zones: pl.DataFrame, markets: dict[str, dict[str | None, float]]
) -> pl.DataFrame:
    """The week's calls by the zones and markets that they have after the change."""
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
    """(site_code, half_hour_at, calls, handle_seconds) where the table offers the week's calls first."""
    choices = first_choices(frames)
    banded = with_band(week, "zone_code", frames, "band")
    keys = ["zone_code", "market", "band"]
    # As the switch does: what is missing falls to the national default.
    national = choices.filter(pl.col("zone_code") == NATIONAL_ZONE).drop("zone_code")
    offered = pl.concat(
        [
            banded.join(choices, on=keys),
            banded.join(choices, on=keys, how="anti").join(national, on=["market", "band"]),
        ],
        how="diagonal",
    )
    return offered.group_by("site_code", "half_hour_at").agg(
        calls=(pl.col("calls") * pl.col("share")).sum(),
        handle_seconds=(pl.col("handle_seconds") * pl.col("share")).sum(),
    )


def _by_site(loads: pl.DataFrame, positions: pl.DataFrame) -> Iterator[SiteLoad]:
    planned = positions.select("site_code", "time_zone").unique("site_code")
    slots = (
        _with_slot(
            loads.join(planned, on="site_code", how="left").with_columns(
                is_planned=pl.col("time_zone").is_not_null(), time_zone=pl.col("time_zone").fill_null(PARIS)
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
