"""Formats instants for people."""

from datetime import datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def shown(instant: datetime) -> str:
    """The instant to the minute in Paris time, like business dates and the feed calendar."""
    return f"{instant.astimezone(PARIS):%Y-%m-%d %H:%M} Paris"
