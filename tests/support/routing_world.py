"""A small operator ready for a release: Bretagne goes live on 25 April 2012."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg

from parc import routing
from parc.build import seeds
from parc.settings import PROJECT, Settings
from parc.warehouse import connect

QUIET = date(2012, 4, 22)
EVE = date(2012, 4, 24)  # its release takes effect on 25 April
ZONES = {"35": "53", "44": "52", "974": "04"}
CALLS = {"53": 100, "52": 200, "04": 50, "*": 650}

TABLES = """
create table marts.routing_services (dialled_number text, market text);
create table marts.routing_prefixes (snapshot_date date, prefix text, zone_code text);
create table marts.routing_department_zones (department_code text, zone_code text, valid_from date, valid_to date);
create table marts.routing_windows (zone_code text, local_date date, opens_at timestamptz, closes_at timestamptz);
create table marts.routing_routes (route_code text, market text, band text, priority smallint, site_code text, weight smallint);
create table marts.routing_rollout (zone_code text, market text, planned_go_live_date date, withdrawn_on date);
create table marts.routing_sites (site_code text, site_name text, site_kind text, directorate_code text, time_zone text, sip_address text, is_offshore boolean, valid_from date, valid_to date);
create table marts.routing_site_positions (site_code text, time_zone text, weekday smallint, half_hour_local time, position_count integer);
create table marts.routing_zone_clocks (zone_code text, time_zone text);
create table marts.routing_freeze_windows (starts_at timestamptz, ends_at timestamptz, reason text);
create table marts.mart_routing_demand_half_hourly (half_hour_at timestamptz, business_date date, zone_code text, market text, offered_count bigint, handle_seconds bigint);
"""  # noqa: E501


def insert(
    connection: psycopg.Connection[Any], table: str, rows: list[tuple[Any, ...]], columns: str = ""
) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy {table} {columns} from stdin".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def fill(warehouse: Settings) -> None:
    """Filled inputs: Bretagne (53) goes live on 25 April 2012, Pays de la Loire (52) later, 04 is live."""
    days = [date(2012, 3, 20) + timedelta(days=offset) for offset in range(180)]
    routes = []
    for code, site in (("national", "LYON"), ("53", "RENNES"), ("52", "NANTES"), ("04", "ST_DENIS_RE")):
        routes += [(code, "*", "open", 1, site, 60), (code, "*", "open", 1, f"{site}_2", 40)]
        routes += [(code, "*", "open", 2, "TUNIS", 100), (code, "*", "closed", 1, "TUNIS", 100)]
    with connect(warehouse, "transformer") as connection:
        connection.execute(TABLES)
        insert(connection, "marts.routing_services", [("3900", "internet"), ("3901", "fixe")])
        prefixes = [("0299", "53"), ("0240", "52"), ("0262", "04"), ("029912", "53")]
        insert(connection, "marts.routing_prefixes", [(date(2012, 4, 1), *row) for row in prefixes])
        insert(
            connection,
            "marts.routing_department_zones",
            [(d, z, date(1990, 1, 1), None) for d, z in ZONES.items()],
        )
        windows = [
            (zone, day, datetime.combine(day, time(6), UTC), datetime.combine(day, time(18), UTC))
            for zone in ("*", *ZONES.values())
            for day in days
        ]
        insert(connection, "marts.routing_windows", windows)
        insert(connection, "marts.routing_routes", routes)
        rollout = {"53": date(2012, 4, 25), "52": date(2012, 9, 1), "04": date(2012, 1, 1)}
        insert(
            connection,
            "marts.routing_rollout",
            [(zone, market, day, None) for zone, day in rollout.items() for market in ("fixe", "internet")],
        )
        sites = [
            (site, f"sip:{site.lower()}@127.0.0.1", date(1990, 1, 1))
            for site in sorted({row[4] for row in routes})
        ]
        insert(connection, "marts.routing_sites", sites, "(site_code, sip_address, valid_from)")
        connection.execute(
            "update marts.routing_sites set directorate_code = "
            "case when site_code ~ '^(RENNES|NANTES)' then 'OUEST' "
            "when site_code ~ '^ST_DENIS' then 'REUNION_MAYOTTE' end"
        )
        insert(
            connection,
            "marts.routing_site_positions",
            [
                (site, "Europe/Paris", weekday, time(12), 1000)
                for site, _, _ in sites
                for weekday in range(1, 8)
            ],
        )
        insert(connection, "marts.routing_zone_clocks", [(z, "Europe/Paris") for z in ("*", *ZONES.values())])
        demand = [
            (
                datetime.combine(EVE - timedelta(days=back), time(10), UTC),
                EVE - timedelta(days=back),
                zone,
                "fixe",
                calls,
                0,
            )
            for back in range(28)
            for zone, calls in CALLS.items()
        ]
        insert(connection, "marts.mart_routing_demand_half_hourly", demand)
        connection.execute("insert into ops.build (status, is_full_refresh) values ('published', false)")
        connection.execute(
            "insert into marts.published_build (build_id, published_at) "
            "select build_id, clock_timestamp() from ops.build"
        )
        for seed in seeds.read(PROJECT / "dbt_project" / "seeds").values():
            connection.execute(
                "insert into ops.seed_version (seed, sha256, build_id) values (%s, %s, 1)",
                [seed.name, seed.sha256],
            )
    with connect(warehouse, "loader") as connection:
        connection.execute(
            "create table if not exists routing.line_assignment "
            "(number text, department_code text, reason text, valid_from date, valid_to date)"
        )
        insert(
            connection,
            "routing.line_assignment",
            [
                ("+33299120001", "44", "ported", date(2012, 4, 1), None),
                ("+33699000001", "35", "mobile", date(2012, 4, 1), None),
            ],
        )
        connection.execute(
            "insert into ops.delivery (feed, business_date, status, files, content_sha256, built_in) values "
            "('numbering_plan', '2012-04-01', 'published', '[]', 'a', 1), "
            "('numbering_plan', '2012-05-01', 'published', '[]', 'b', 1), "
            "('line_assignments', '2012-04-23', 'published', '[]', 'c', 1)"
        )


def go_live(settings: Settings) -> routing.ReleaseResult:
    return routing.apply(
        settings,
        EVE,
        requested_by="night",
        reason="Bretagne",
        approve=routing.plan(settings, EVE).plan_hash,
        approved_by="Anne",
    )


def rows(settings: Settings, query: str) -> list[Any]:
    with connect(settings, "exporter") as connection:
        return connection.execute(query.encode()).fetchall()


def marts(settings: Settings, statement: str) -> None:
    with connect(settings, "transformer") as connection:
        connection.execute(statement.encode())


def unbuilt(settings: Settings, what: str) -> None:
    """As if this seed, or the line assignments, had arrived since the last build."""
    with connect(settings, "admin") as connection:
        if what == "line_assignments":
            connection.execute("update ops.delivery set built_in = null where feed = 'line_assignments'")
        else:
            connection.execute("update ops.seed_version set sha256 = 'as it was' where seed = %s", [what])
