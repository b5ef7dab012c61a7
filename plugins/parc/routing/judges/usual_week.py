"""The calls of a usual week, placed on the days after a release takes effect.

What is usual comes from recent volumes. The calls of each zone and market are averaged over the same
half-hours (weekday and time on the zone's own clock) of all weeks that have volumes. They are then placed on
the first such weekday from the effective date on.

Left out on both sides are days on which a zone is closed although that weekday is usually open (public
holidays). Of the newest date, the time after its last call is left out, as later calls may still be
delivered; and the whole date, if it has fewer calls than a normal date may have.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl

from parc.instants import PARIS
from parc.routing.table.content import INSTANT, NATIONAL_ZONE

WEEKS_AHEAD = 4
FEWEST_CALLS = 0.70
"""If the newest date has a smaller share of the mean of its like dates, it is incomplete. The loader warns at
the same share."""
SLOT = ("weekday", "local_time")


def usual_week(demand: pl.DataFrame, clocks: pl.DataFrame, windows: pl.DataFrame, day: date) -> pl.DataFrame:
    """(zone_code, market, half_hour_at, calls, handle_seconds) of one usual week.

    Each weekday lies on its first date from `day` on that is not a holiday of the zone. `demand` has at least
    one call. `demand` and `clocks` are as in table/inputs.py; `windows` has zone_code and local_date.
    """
    zones = (
        demand.select("zone_code")
        .unique()
        .join(clocks, on="zone_code", how="left")
        .with_columns(pl.col("time_zone").fill_null(PARIS.key))
    )
    holidays = _holidays(windows, zones, demand, day)
    known = _known_half_hours(demand, holidays)
    slots = (
        with_slot(known.join(zones, how="cross"))
        .join(holidays, on=["zone_code", "local_date"], how="anti")
        .group_by("zone_code", *SLOT)
        .agg(weeks=pl.len())
    )
    means = (
        with_slot(demand.join(known, on="half_hour_at", how="semi").join(zones, on="zone_code"))
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
    """(half_hour_at): every half-hour of the dates that have volumes, up to the last call."""
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
    instants = [
        pl.datetime_range(
            datetime.combine(local_date, time(), PARIS),
            datetime.combine(local_date + timedelta(days=1), time(), PARIS),
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
    """(zone_code, local_date): dates without a window on a weekday that otherwise has one."""
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
    """(zone_code, weekday, local_date): the first date of each weekday from `day` on that is no holiday."""
    dates = pl.date_range(day, day + timedelta(days=7 * WEEKS_AHEAD - 1), eager=True).alias("local_date")
    return (
        zones.select("zone_code")
        .join(dates.to_frame(), how="cross")
        .join(holidays, on=["zone_code", "local_date"], how="anti")
        .group_by("zone_code", weekday=pl.col("local_date").dt.weekday())
        .agg(pl.col("local_date").min())
    )


def with_slot(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows (half_hour_at, time_zone) with what the local clock shows: local_date, weekday, local_time."""
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
    """The rows (local_date, local_time, time_zone) with half_hour_at; null if the clock skips that time."""
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
