"""Reads what a release is made from, in one snapshot: published marts, and the numbers of exceptions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from parc.errors import ConfigurationError
from parc.findings import BUILD, Step
from parc.ledger.releases import GOVERNING_DELIVERIES
from parc.routing.table.content import INSTANT
from parc.settings import Settings
from parc.warehouse import connect, dsn, table_cursor

VOLUME_DAYS = 28

Columns = Mapping[str, pl.DataType]
TEXT, DAY, COUNT = pl.String(), pl.Date(), pl.Int64()

SOURCES: dict[str, tuple[str, Columns]] = {
    "services": ("marts.routing_services", {"dialled_number": TEXT, "market": TEXT}),
    "prefixes": ("marts.routing_prefixes", {"snapshot_date": DAY, "prefix": TEXT, "zone_code": TEXT}),
    "department_zones": (
        "marts.routing_department_zones",
        {"department_code": TEXT, "zone_code": TEXT, "valid_from": DAY, "valid_to": DAY},
    ),
    "windows": (
        "marts.routing_windows",
        {"zone_code": TEXT, "local_date": DAY, "opens_at": INSTANT, "closes_at": INSTANT},
    ),
    "routes": (
        "marts.routing_routes",
        {
            "route_code": TEXT,
            "market": TEXT,
            "band": TEXT,
            "priority": pl.Int32(),
            "site_code": TEXT,
            "weight": pl.Int32(),
        },
    ),
    "rollout": (
        "marts.routing_rollout",
        {"zone_code": TEXT, "market": TEXT, "planned_go_live_date": DAY, "withdrawn_on": DAY},
    ),
    "sites": (
        "marts.routing_sites",
        {"site_code": TEXT, "sip_address": TEXT, "valid_from": DAY, "valid_to": DAY},
    ),
    "line_assignments": (
        "routing.line_assignment",
        {"number": TEXT, "department_code": TEXT, "valid_from": DAY, "valid_to": DAY},
    ),
    "urgent_zones": ("routing.urgent_zone", {"number": TEXT, "zone_code": TEXT}),
}
DEMAND: tuple[str, Columns] = (
    "marts.mart_routing_demand_half_hourly",
    {
        "half_hour_at": INSTANT,
        "business_date": DAY,
        "zone_code": TEXT,
        "market": TEXT,
        "offered_count": COUNT,
        "handle_seconds": COUNT,
    },
)
POSITIONS: tuple[str, Columns] = (
    "marts.routing_site_positions",
    {
        "site_code": TEXT,
        "time_zone": TEXT,
        "weekday": pl.Int8(),
        "half_hour_local": pl.Time(),
        "position_count": COUNT,
    },
)
CLOCKS: tuple[str, Columns] = ("marts.routing_zone_clocks", {"zone_code": TEXT, "time_zone": TEXT})
FREEZES: tuple[str, Columns] = (
    "marts.routing_freeze_windows",
    {"starts_at": INSTANT, "ends_at": INSTANT, "reason": TEXT},
)


@dataclass(frozen=True)
class Provenance:
    """Where a release came from: the build, the deliveries, the rollout plan, the inputs and the code."""

    build_id: int | None = None
    delivery_ids: dict[str, int] = field(default_factory=dict)
    rollout_sha256: str | None = None
    rollout: list[dict[str, str | None]] = field(default_factory=list)
    input_sha256: dict[str, str] = field(default_factory=dict)
    code_version: str = ""


@dataclass(frozen=True)
class Inputs:
    """What the desired table is computed from. Columns as in SOURCES; periods are [valid_from, valid_to)."""

    services: pl.DataFrame
    prefixes: pl.DataFrame
    department_zones: pl.DataFrame
    windows: pl.DataFrame
    routes: pl.DataFrame
    rollout: pl.DataFrame
    sites: pl.DataFrame
    line_assignments: pl.DataFrame
    urgent_zones: pl.DataFrame


@dataclass(frozen=True)
class Context:
    """What a release is judged by, and where it came from. None of this enters the table itself.

    `demand` has recent call volumes: the 28 days up to the last one with volumes on or before the business
    date. `positions` are those of the sites, `clocks` the time zones of the routing zones, `freezes` the
    freeze windows. Columns as in DEMAND, POSITIONS, CLOCKS and FREEZES.
    """

    demand: pl.DataFrame
    positions: pl.DataFrame
    clocks: pl.DataFrame
    freezes: pl.DataFrame
    provenance: Provenance


def read_inputs(settings: Settings, business_date: date, effective_date: date) -> tuple[Inputs, Context]:
    """The inputs and the context of one night's release, read in one snapshot as the export role.

    Raises ConfigurationError when a table is missing.
    """
    sources = [*SOURCES.values(), DEMAND, POSITIONS, CLOCKS, FREEZES]
    _require_tables(settings, [table for table, _ in sources])
    with table_cursor(dsn(settings, "exporter")) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        frames = {name: _read(cursor, *source) for name, source in SOURCES.items()}
        demand = _read_demand(cursor, business_date)
        positions, clocks = _read(cursor, *POSITIONS), _read(cursor, *CLOCKS)
        freezes = _read(cursor, *FREEZES)
        build = _fetch(cursor, "select max(build_id) as build_id from marts.published_build")
        deliveries = _fetch(cursor, GOVERNING_DELIVERIES)
    sha256 = {name: _sha256(frame) for name, frame in frames.items() if name != "line_assignments"}
    provenance = Provenance(
        build_id=build["build_id"].item(),
        delivery_ids=_governing(deliveries, effective_date),
        rollout_sha256=sha256["rollout"],
        rollout=frames["rollout"].cast(pl.String).rows(named=True),
        input_sha256=sha256,
        code_version=code_version(),
    )
    return Inputs(**frames), Context(demand, positions, clocks, freezes, provenance)


def read_demand(settings: Settings, business_date: date) -> pl.DataFrame:
    """Only the recent call volumes."""
    _require_tables(settings, [DEMAND[0]])
    with table_cursor(dsn(settings, "exporter")) as cursor:
        return _read_demand(cursor, business_date)


def read_rollout(settings: Settings) -> pl.DataFrame:
    """Only the rollout plan."""
    table, columns = SOURCES["rollout"]
    _require_tables(settings, [table])
    with table_cursor(dsn(settings, "exporter")) as cursor:
        return _read(cursor, table, columns)


def code_version() -> str:
    """The version of the package and a digest of the routing code, which turned the inputs into a table."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    try:
        version = importlib.metadata.version("parc")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        version = "unpackaged"
    return f"{version}+{digest.hexdigest()[:12]}"


def _require_tables(settings: Settings, tables: list[str]) -> None:
    with connect(settings, "exporter") as connection:
        rows = connection.execute(
            "select name from unnest(%s::text[]) as name where to_regclass(name) is null", [tables]
        ).fetchall()
    if rows:
        missing = ", ".join(sorted(row[0] for row in rows))
        raise ConfigurationError(
            f"routing needs {missing}, which the warehouse does not have yet",
            steps=(
                Step("load the numbering plan", "parc ingest numbering_plan --date DATE"),
                Step("load the lines", "parc ingest line_assignments --date DATE"),
                BUILD,
            ),
        )


def _read(cursor: Any, table: str, columns: Columns) -> pl.DataFrame:
    return _fetch(cursor, f"select {', '.join(columns)} from {table}").cast(dict(columns))  # type: ignore[arg-type]


def _read_demand(cursor: Any, business_date: date) -> pl.DataFrame:
    table, columns = DEMAND
    query = (
        f"select {', '.join(columns)} from {table} where business_date <= '{business_date}' "
        f"and business_date > "
        f"(select max(business_date) from {table} where business_date <= '{business_date}') - {VOLUME_DAYS}"
    )
    return _fetch(cursor, query).cast(dict(columns))  # type: ignore[arg-type]


def _fetch(cursor: Any, query: str) -> pl.DataFrame:
    cursor.execute(query)
    frame = pl.from_arrow(cursor.fetch_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def _sha256(frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.sort(frame.columns).write_csv(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _governing(deliveries: pl.DataFrame, day: date) -> dict[str, int]:
    """The delivery of each feed that is in force on `day`: the newest up to that day, else the earliest."""
    chosen = {}
    for (feed,), rows in deliveries.group_by("feed"):
        past = rows.filter(pl.col("business_date") <= day).sort("business_date").tail(1)
        rows = past if past.height else rows.sort("business_date").head(1)
        chosen[str(feed)] = int(rows["delivery_id"].item())
    return dict(sorted(chosen.items()))
