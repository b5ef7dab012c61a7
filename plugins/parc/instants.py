"""Writes instants, which are UTC, on one clock: that of Paris, like business dates and the feed calendar."""

from datetime import datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def shown(instant: datetime) -> str:
    """The instant for people, to the minute."""
    return f"{instant.astimezone(PARIS):%Y-%m-%d %H:%M} Paris"


def time_shown(instant: datetime) -> str:
    """The instant's time for people, to the second."""
    return f"{instant.astimezone(PARIS):%H:%M:%S} Paris"


def iso(instant: datetime, timespec: str = "seconds") -> str:
    """The instant for programs, in ISO 8601 with its offset; one without a time zone stays without."""
    return (instant.astimezone(PARIS) if instant.tzinfo else instant).isoformat(timespec=timespec)
