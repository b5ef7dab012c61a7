"""How instants are shown to people."""

from datetime import UTC, datetime


def shown(instant: datetime) -> str:
    """To the minute and marked UTC: the same everywhere, as in Airflow's pages."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
