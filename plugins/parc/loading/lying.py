"""Deliveries that lie in the landing zone and that no load has taken yet, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from parc import storage
from parc.errors import ConfigurationError
from parc.instants import shown
from parc.loading.arrivals import Unfinished, unfinished
from parc.loading.landing import look
from parc.loading.limits import named
from parc.loading.names import reported
from parc.settings import Settings


@dataclass(frozen=True)
class LyingDelivery:
    """What lies there: its files, when the last was written (UTC; None if unknown), and why it seems
    unfinished, or why it cannot be read."""

    files: list[str]
    modified_at: datetime | None
    unfinished: Unfinished | None
    problem: str | None

    def __str__(self) -> str:
        if self.problem:
            return f"lies in the landing zone, not loaded yet: {self.problem}"
        written = f"; last written at {shown(self.modified_at)}" if self.modified_at else ""
        text = f"lies in the landing zone ({named(self.files)}{written}), not loaded yet: "
        if self.unfinished is None:
            return f"{text}the next look of a night loads it"
        why, until = self.unfinished
        return f"{text}{why}; a night loads it as it is from {shown(until)} on"


def lying(settings: Settings, wanted: Iterable[tuple[str, date]]) -> dict[tuple[str, date], LyingDelivery]:
    """Those of the wanted deliveries (feed, business_date) of which something lies in the landing zone. Empty
    if that is on a server, because asking it takes seconds, or if it cannot be read.

    Takes one listing for each, and reads the control file of those that are there.
    """
    if not settings.is_landing_on_disk:
        return {}
    found = {}
    try:
        with storage.opened(settings.landing) as zone:
            for feed, day in wanted:
                arrival = look(zone, feed, day)
                entries = (*arrival.data, *arrival.controls, *arrival.uploads)
                if entries or arrival.problem:
                    written = [entry.modified_at for entry in entries if entry.modified_at]
                    found[feed, day] = LyingDelivery(
                        [reported(entry.name) for entry in entries],
                        max(written, default=None),
                        unfinished(zone, feed, day, arrival),
                        arrival.problem,
                    )
    except (ConfigurationError, OSError):  # another finding says so
        return {}
    return found
