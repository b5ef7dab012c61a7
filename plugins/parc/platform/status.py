"""What the platform is doing, and what needs attention."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from parc import desk, routing
from parc.desk import Due, Matter
from parc.errors import ConfigurationError
from parc.host import services
from parc.ledger import builds, deliveries
from parc.routing.switches import local
from parc.settings import Settings
from parc.warehouse import connect

REFUSALS_SHOWN = 5
BUILDS_SHOWN = 3
MOST_REASON_CHARACTERS = 200


@dataclass(frozen=True)
class Overview:
    """What the platform is doing: what wants a person, what was due of the newest night (None before the
    first), where routing stands, and rows of what runs, was loaded and built."""

    matters: list[Matter]
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
        return {
            **vars(self),
            "matters": [asdict(matter) for matter in self.matters],
            "due": [asdict(delivery) for delivery in self.due],
            "routing": [self.routing.to_json()],
        }


def matters(settings: Settings, *, plan_for: date | None = None) -> list[Matter]:
    """Everything that wants a person: Airflow's processes that ended by themselves, then `desk.matters`.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    return processes_gone(settings) + desk.matters(settings, plan_for=plan_for)


def overview(settings: Settings) -> Overview:
    """What the platform is doing, and what waits for a person.

    Raises ConfigurationError when the warehouse cannot be reached, or its schema is not up to date.
    """
    found = matters(settings)
    for matter in found:
        if matter.kind == "schema":  # nothing else can be asked for
            raise ConfigurationError(f"{matter.what}; `{matter.command}` applies what is missing")
    night = desk.newest_night(settings)
    switch = [local.program(settings)] if local.is_own(settings) else []
    programs = [*services.programs(settings), *switch]
    with connect(settings, "reader") as connection:
        feeds = deliveries.by_feed(connection)
        refused = deliveries.last_refused(connection, REFUSALS_SHOWN)
        last_builds = builds.last_builds(connection, BUILDS_SHOWN)
    return Overview(
        matters=found,
        night=night,
        due=desk.due(settings, night) if night else [],
        processes=[
            {"process": program.name, "pid": program.pid, "log": str(program.log_path)}
            for program in programs
        ],
        feeds=[asdict(feed) for feed in feeds],
        missing=desk.missing(settings),
        refused_lately=[
            {
                "delivery_id": each.delivery_id,
                "feed": each.feed,
                "business_date": each.business_date,
                "reason": each.reason,
            }
            for each in refused
        ],
        builds=[
            {
                "build_id": build.build_id,
                "status": build.status,
                "is_full_refresh": build.is_full_refresh,
                "started_at": build.started_at.replace(microsecond=0),
                "finished_at": build.finished_at and build.finished_at.replace(microsecond=0),
                "reason": build.reason and build.reason[:MOST_REASON_CHARACTERS],
            }
            for build in last_builds
        ],
        routing=routing.status(settings),
    )


def processes_gone(settings: Settings) -> list[Matter]:
    """The platform's processes that ended without being stopped."""
    switch = local.program(settings)
    gone = [("switch process", "kamailio", switch)] if switch.is_gone else []
    gone += [
        ("process", f"airflow {program.name}", program)
        for program in services.programs(settings)
        if program.is_gone
    ]
    return [
        Matter(kind, True, subject, f"its process ended (log: {program.log_path})", "parc up")
        for kind, subject, program in gone
    ]
