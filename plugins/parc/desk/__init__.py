"""What wants a person: deliveries, builds and releases that are not as they should be, each with the command
that mends it; and what is due of a night."""

from __future__ import annotations

import shutil
from datetime import date

from parc.desk import deliveries, marts, notices, switch
from parc.desk.deliveries import due, missing, newest_night
from parc.desk.matter import Matter
from parc.ledger.due import Due
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.schema import pending_migrations

__all__ = ["Due", "Matter", "due", "matters", "missing", "newest_night"]

NEEDED_BYTES = 2 * 1024**3


def matters(settings: Settings, *, plan_for: date | None = None) -> list[Matter]:
    """Everything that wants a person, in the order in which one would mend it; empty when all is well.

    `plan_for` is a business date whose release is planned, which takes seconds, to tell whether it waits for
    approval or would be refused; without it only what is certainly due and not on the switch is told.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    pending = pending_migrations(settings)
    found = _disk(settings)
    if pending:  # the rest cannot be asked for
        text = f"{', '.join(pending)} not applied to this warehouse"
        return [*found, Matter("schema", True, "schema", text, "parc up --no-airflow")]
    with connect(settings, "reader") as connection:
        found += deliveries.matters(settings, connection)
        found += marts.matters(settings, connection)
        found += switch.matters(settings, connection, plan_for)
        found += notices.matters(connection, found)
    return found


def _disk(settings: Settings) -> list[Matter]:
    home = settings.home
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    if free >= NEEDED_BYTES:
        return []
    text = f"{free / 1024**3:.1f} GiB free at {settings.home}: make room, or move PARC_HOME"
    return [Matter("disk", True, "disk", text, "")]
