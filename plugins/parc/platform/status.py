"""What the platform is doing, and what needs attention."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from parc import desk, routing
from parc.desk import Due
from parc.errors import ConfigurationError
from parc.findings import Finding, FindingKind
from parc.host import supervision
from parc.ledger import builds, deliveries
from parc.machine import processes
from parc.settings import Settings
from parc.warehouse import connect

REFUSALS_SHOWN = 5
BUILDS_SHOWN = 3
MOST_REASON_CHARACTERS = 200


@dataclass(frozen=True)
class Overview:
    """What the platform is doing: what needs attention, what was due for the newest night (None before the
    first), where routing stands, and rows of what runs, was started
    again, was loaded and built."""

    findings: list[Finding]
    night: date | None
    due: list[Due]
    processes: list[dict[str, Any]]
    restarts: list[dict[str, Any]]
    feeds: list[dict[str, Any]]
    missing: list[dict[str, Any]]
    last_refused: list[dict[str, Any]]
    builds: list[dict[str, Any]]
    routing: routing.Status

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates and instants as text)."""
        others = {name: value for name, value in vars(self).items() if name != "findings"}
        return {
            "findings": [finding.to_json() for finding in self.findings],
            **others,
            "due": [asdict(delivery) for delivery in self.due],
            "routing": [self.routing.to_json()],
        }


def overview(settings: Settings) -> Overview:
    """What the platform is doing, and what needs attention.

    Raises ConfigurationError when the warehouse cannot be reached, or its schema is not up to date.
    """
    found = desk.findings(settings)
    for finding in found:
        if finding.kind is FindingKind.SCHEMA:  # nothing else can be read
            raise ConfigurationError(finding.text, steps=finding.steps)
    night = desk.newest_night(settings)
    with connect(settings, "reader") as connection:
        feeds = deliveries.by_feed(connection)
        refused = deliveries.last_refused(connection, REFUSALS_SHOWN)
        last_builds = builds.last_builds(connection, BUILDS_SHOWN)
    return Overview(
        findings=found,
        night=night,
        due=desk.due(settings, night) if night else [],
        processes=[
            {"process": program.name, "pid": program.pid, "log": str(program.log_path)}
            for _, program in processes.all_programs(settings)
        ],
        restarts=[
            {"process": each.name, "ended_at": each.ended_at, "restarted_at": each.restarted_at}
            for each in supervision.last(settings)
        ],
        feeds=[asdict(feed) for feed in feeds],
        missing=desk.missing(settings),
        last_refused=[
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
                "started_at": build.started_at,
                "finished_at": build.finished_at,
                "reason": build.reason and build.reason[:MOST_REASON_CHARACTERS],
            }
            for build in last_builds
        ],
        routing=routing.status(settings),
    )
