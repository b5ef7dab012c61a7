"""What needs attention in deliveries, builds and releases, and what is due for a night."""

from __future__ import annotations

from datetime import date

from parc.desk import deliveries, marts, notices, places, processes, switch
from parc.desk.deliveries import due, missing, newest_night
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.ledger.due import Due
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.schema import pending_migrations

__all__ = ["Due", "due", "findings", "missing", "newest_night"]


def findings(settings: Settings, *, plan_for: date | None = None) -> list[Finding]:
    """Everything that needs attention, in the order in which one would settle it; empty when all is well.

    `plan_for` is a business date whose release is planned, which takes seconds, to find out whether it waits
    for approval or would be refused. Without it, only what is certainly due and not on the switch is found.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    pending = pending_migrations(settings)
    found = processes.findings(settings) + places.findings(settings)
    if pending:  # nothing else can be read
        text = f"{', '.join(pending)} not applied to this warehouse"
        step = Step("apply what is missing", "parc up --no-airflow")
        return [*found, Finding(FindingKind.SCHEMA, Severity.WRONG, Subject("schema"), text, (step,))]
    with connect(settings, "reader") as connection:
        found += deliveries.findings(settings, connection)
        found += marts.findings(settings, connection)
        found += switch.findings(settings, connection, plan_for)
        found += notices.findings(connection, found)
    return found
