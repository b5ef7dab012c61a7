"""The assets by which DAGs trigger each other: an event on one means that the ledger holds something new."""

from airflow.sdk import Asset

MARTS = Asset(name="marts", uri="parc://warehouse/marts")


def feed_asset(feed: str) -> Asset:
    """The published deliveries of a feed."""
    return Asset(name=f"raw_{feed}", uri=f"parc://warehouse/raw/{feed}")
