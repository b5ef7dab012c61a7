"""What is wrong with the machine that the platform runs on: processes, disks, backups, landing folder. No
database is asked, so that this can be known and reported while none answers."""

from __future__ import annotations

from parc.findings import Finding
from parc.machine import backups, places, processes
from parc.settings import Settings


def findings(settings: Settings) -> list[Finding]:
    """Everything of it that needs attention."""
    return processes.findings(settings) + places.findings(settings) + backups.findings(settings)
