"""The desired routing table: a pure function of the inputs and of the day on which it takes effect."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from parc.routing.table.content import BANDS, NATIONAL_ZONE, Content
from parc.routing.table.inputs import Inputs

NATIONAL_ROUTE = "national"
HORIZON_MONTHS = 4
DEFAULT_SNAPSHOT = date(1, 1, 1)


def effective_date(business_date: date) -> date:
    """The day on which the release of a business date takes effect: the next day."""
    return business_date + timedelta(days=1)


def horizon(day: date) -> tuple[date, date]:
    """The dates [first, end) that the windows cover: the month of `day` and the three months after it."""
    month = day.year * 12 + day.month - 1
    last = month + HORIZON_MONTHS
    return day.replace(day=1), date(last // 12, last % 12 + 1, 1)


def desired_state(inputs: Inputs, day: date) -> Content:
    """The routing table that the inputs ask for on `day`, the effective date.

    The day selects what is in force but is not part of the result: if nothing changes, the content stays the
    same. Rows with an unknown site or a weight that is not positive are kept, so that validation can name
    them.
    """
    zones = zones_at(inputs, day)
    sites = _in_force(inputs.sites, day)
    routes = _routes(inputs, zones, day)
    return Content.of(
        {
            "services": inputs.services,
            "prefixes": _prefixes(inputs.prefixes, day),
            "exceptions": with_urgent(_exceptions(inputs.line_assignments, zones, day), inputs.urgent_zones),
            "windows": _windows(inputs.windows, day),
            "routes": routes,
            "sites": sites.join(routes, on="site_code", how="semi"),
        }
    )


def zones_at(inputs: Inputs, day: date) -> pl.DataFrame:
    """The zone of each department on `day` (department_code, zone_code)."""
    return _in_force(inputs.department_zones, day).select("department_code", "zone_code")


def zone_codes(inputs: Inputs, day: date) -> set[str]:
    """All zones that the switch must know on `day`, including the national default."""
    return {*zones_at(inputs, day)["zone_code"], NATIONAL_ZONE}


def overseas_zones(inputs: Inputs, day: date) -> set[str]:
    """The zones of the overseas departments (INSEE codes 97x). Departments outside PARC have none."""
    overseas = zones_at(inputs, day).filter(pl.col("department_code").str.starts_with("97"))
    return set(overseas["zone_code"]) - {NATIONAL_ZONE}


def live_pairs(rollout: pl.DataFrame, day: date) -> pl.DataFrame:
    """The (zone_code, market) that the rollout plan sends to the zone's own sites on `day`."""
    begun = pl.col("planned_go_live_date") <= day
    return (
        rollout.filter(begun & (pl.col("withdrawn_on").is_null() | (pl.col("withdrawn_on") > day)))
        .select("zone_code", "market")
        .unique()
    )


def rollout_changes(rollout: pl.DataFrame, after: date, until: date) -> list[date]:
    """The days in (after, until] on which the rollout plan sends calls to a zone's own sites, or back."""
    days = pl.concat([rollout["planned_go_live_date"], rollout["withdrawn_on"]])
    found: list[date] = days.filter((days > after) & (days <= until)).unique().sort().to_list()
    return found


def with_urgent(exceptions: pl.DataFrame, urgent: pl.DataFrame) -> pl.DataFrame:
    """Exceptions (number, zone_code); a zone set by hand replaces the one from the feeds."""
    columns = ["number", "zone_code"]
    others = exceptions.select(columns).join(urgent, on="number", how="anti")
    return pl.concat([others, urgent.select(columns)])


def _in_force(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    begun = pl.col("valid_from").is_null() | (pl.col("valid_from") <= day)
    return frame.filter(begun & (pl.col("valid_to").is_null() | (pl.col("valid_to") > day)))


def _prefixes(prefixes: pl.DataFrame, day: date) -> pl.DataFrame:
    dates = prefixes.filter(pl.col("snapshot_date") > DEFAULT_SNAPSHOT)["snapshot_date"].unique().sort()
    past = dates.filter(dates <= day)
    if past.len():
        snapshot = past[-1]
    elif dates.len():
        snapshot = dates[0]
    else:
        snapshot = DEFAULT_SNAPSHOT
    return prefixes.filter(pl.col("snapshot_date") == snapshot)


def _exceptions(lines: pl.DataFrame, zones: pl.DataFrame, day: date) -> pl.DataFrame:
    """The zone of each assigned line; the national default if its department is in none of PARC's zones."""
    earliest = lines["valid_from"].min()
    as_of = max(day, earliest) if isinstance(earliest, date) else day
    return (
        _in_force(lines, as_of)
        .join(zones, on="department_code", how="left")
        .with_columns(pl.col("zone_code").fill_null(NATIONAL_ZONE))
    )


def _windows(windows: pl.DataFrame, day: date) -> pl.DataFrame:
    first, end = horizon(day)
    return windows.filter((pl.col("local_date") >= first) & (pl.col("local_date") < end))


def _routes(inputs: Inputs, zones: pl.DataFrame, day: date) -> pl.DataFrame:
    markets = inputs.services.select("market").unique()
    codes = pl.DataFrame({"zone_code": sorted({*zones["zone_code"], NATIONAL_ZONE})})
    pairs = codes.join(markets, how="cross")
    live = live_pairs(inputs.rollout, day).with_columns(route_code=pl.col("zone_code"))
    chosen = pairs.join(
        live.filter(pl.col("zone_code") != NATIONAL_ZONE), on=["zone_code", "market"], how="left"
    ).with_columns(pl.col("route_code").fill_null(NATIONAL_ROUTE))
    closed_sites = inputs.sites.join(_in_force(inputs.sites, day), on="site_code", how="anti")
    return chosen.join(
        _routes_by_market(inputs.routes, markets), on=["route_code", "market"], how="inner"
    ).join(closed_sites, on="site_code", how="anti")


def _routes_by_market(routes: pl.DataFrame, markets: pl.DataFrame) -> pl.DataFrame:
    """Routes with market `*` written out for each market without rows of its own in that route and band."""
    own = routes.filter(pl.col("market") != "*")
    shared = (
        routes.filter(pl.col("market") == "*")
        .drop("market")
        .join(markets, how="cross")
        .join(own, on=["route_code", "market", "band"], how="anti")
        .select(routes.columns)
    )
    return pl.concat([own, shared]).filter(pl.col("band").is_in(BANDS))
