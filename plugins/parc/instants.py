"""How instants are shown to people."""

from datetime import datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def shown(instant: datetime) -> str:
    """To the minute, by the clock that business dates and the feed calendar go by."""
    return f"{instant.astimezone(PARIS):%Y-%m-%d %H:%M} Paris"
