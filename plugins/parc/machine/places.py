"""The disks that hold the platform's state, and the folder that its deliveries arrive in."""

from __future__ import annotations

import shutil

from parc import storage
from parc.errors import ConfigurationError
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.settings import Settings

NEEDED_BYTES = 2 * 1024**3
"""With less, loads and builds fail."""
WARNED_BYTES = 3 * NEEDED_BYTES
"""With less, it is time to make room."""


def findings(settings: Settings) -> list[Finding]:
    """Disks with little room, and a landing zone on this machine that cannot be listed. One on a server is
    left to `parc doctor` and the loads, because asking it takes seconds."""
    return _disks(settings) + _landing(settings)


def _disks(settings: Settings) -> list[Finding]:
    found, seen = [], set()
    for place in (settings.home, settings.home / "postgres" / "data"):  # that may be a link to another disk
        folder = next(each for each in (place, *place.parents) if each.exists())
        device, free = folder.stat().st_dev, shutil.disk_usage(folder).free
        if free >= WARNED_BYTES or device in seen:
            continue
        seen.add(device)
        severity = Severity.WRONG if free < NEEDED_BYTES else Severity.NOTE
        text = f"{free / 1024**3:.1f} GiB free at {place}"
        steps = (
            Step("see what retention would drop", "parc maintain --dry-run"),
            Step("make room"),
            Step("move PARC_HOME", is_alternative=True),
        )
        found.append(Finding(FindingKind.DISK, severity, Subject("disk"), text, steps))
    return found


def _landing(settings: Settings) -> list[Finding]:
    if not settings.is_landing_on_disk or settings.has_own_landing:
        return []
    try:
        with storage.opened(settings.landing) as zone:
            zone.entries()
    except ConfigurationError as error:
        kind = FindingKind.LANDING_ZONE
        subject, headline = Subject("landing zone"), "it cannot be listed"
        return [Finding(kind, Severity.WRONG, subject, error.text, error.steps, headline=headline)]
    return []
