"""What the platform is doing, and what needs attention."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from psycopg.rows import dict_row

from parc import desk, routing
from parc.desk import Due
from parc.errors import ConfigurationError
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host import services
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect

FEEDS = """
    select
        feed,
        count(*) filter (where status = 'published') as published_days,
        min(business_date) filter (where status = 'published') as first_day,
        max(business_date) filter (where status = 'published') as last_day,
        coalesce(sum(rows_published) filter (where status = 'published'), 0) as rows_published,
        coalesce(sum(rows_quarantined) filter (where status = 'published'), 0) as rows_quarantined,
        count(*) filter (where status = 'refused') as refused_deliveries,
        count(*) filter (where status = 'published' and built_in is null) as days_not_built
    from ops.delivery
    group by feed
    order by feed
"""
REFUSED = """
    select delivery_id, feed, business_date, reason
    from ops.delivery
    where status = 'refused'
    order by delivery_id desc
    limit 5
"""
BUILDS = """
    select
        build_id,
        status,
        is_full_refresh,
        date_trunc('second', started_at) as started_at,
        date_trunc('second', finished_at) as finished_at,
        left(reason, 200) as reason
    from ops.build
    order by build_id desc
    limit 3
"""


@dataclass(frozen=True)
class Overview:
    """What the platform is doing: what needs attention, what was due of the newest night (None before the
    first), where routing stands, and rows of what runs, was loaded and built."""

    findings: list[Finding]
    night: date | None
    due: list[Due]
    processes: list[dict[str, Any]]
    feeds: list[dict[str, Any]]
    missing: list[dict[str, Any]]
    refused_lately: list[dict[str, Any]]
    builds: list[dict[str, Any]]
    routing: routing.Status

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates and instants as text)."""
        others = {name: value for name, value in vars(self).items() if name != "findings"}
        return {
            "matters": [finding.to_json() for finding in self.findings],
            **others,
            "due": [asdict(delivery) for delivery in self.due],
            "routing": [self.routing.to_json()],
        }


def findings(settings: Settings, *, plan_for: date | None = None) -> list[Finding]:
    """Everything that needs attention: processes that ended by themselves, then `desk.findings`.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    return processes_gone(settings) + desk.findings(settings, plan_for=plan_for)


def overview(settings: Settings) -> Overview:
    """What the platform is doing, and what needs attention.

    Raises ConfigurationError when the warehouse cannot be reached, or its schema is not up to date.
    """
    found = findings(settings)
    for finding in found:
        if finding.kind is FindingKind.SCHEMA:  # nothing else can be read
            raise ConfigurationError(f"{finding.text}; `{finding.command}` applies what is missing")
    night = desk.newest_night(settings)
    switch = [local.program(settings)] if local.is_own(settings) else []
    programs = [*services.programs(settings), *switch]
    with connect(settings, "reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        feeds, refused, builds = (
            cursor.execute(query.encode()).fetchall() for query in (FEEDS, REFUSED, BUILDS)
        )
    return Overview(
        findings=found,
        night=night,
        due=desk.due(settings, night) if night else [],
        processes=[
            {"process": program.name, "pid": program.pid, "log": str(program.log_path)}
            for program in programs
        ],
        feeds=feeds,
        missing=desk.missing(settings),
        refused_lately=refused,
        builds=builds,
        routing=routing.status(settings),
    )


def processes_gone(settings: Settings) -> list[Finding]:
    """The platform's processes that ended without being stopped."""
    switch = local.program(settings)
    gone = [(FindingKind.SWITCH_PROCESS, "kamailio", switch)] if switch.is_gone else []
    gone += [
        (FindingKind.PROCESS, f"airflow {program.name}", program)
        for program in services.programs(settings)
        if program.is_gone
    ]
    step = Step("start it again", "parc up")
    return [
        Finding(kind, Severity.WRONG, Subject(name), f"its process ended (log: {program.log_path})", (step,))
        for kind, name, program in gone
    ]
