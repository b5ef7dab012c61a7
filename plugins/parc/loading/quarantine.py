"""Quarantine: rows that broke a rule, and their replay once the rule or the data has been fixed."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection

from parc import feeds, storage
from parc.errors import ConfigurationError, DeliveryRefused
from parc.findings import Step
from parc.ledger import deliveries, quarantine
from parc.ledger.deliveries import Delivery
from parc.ledger.quarantine import RejectedRow, RejectedRows
from parc.loading.ingestion import Outcome, ingest
from parc.loading.names import reported
from parc.settings import Settings
from parc.warehouse import connect


def held(
    settings: Settings, feed: str | None = None, business_date: date | None = None
) -> list[RejectedRows]:
    """What is in quarantine, by delivery and rule, newest delivery first; without deliveries that were
    replaced or withdrawn.

    Raises UnknownFeed.
    """
    if feed:
        feeds.get(feed)
    with connect(settings, "reader") as connection:
        return quarantine.by_rule(connection, feed, business_date)


def rows(settings: Settings, delivery_id: int, limit: int) -> tuple[Delivery, int, list[RejectedRow]]:
    """A delivery, how many of its rows that broke a rule are kept, and the first of these.

    Raises ConfigurationError if there is no such delivery.
    """
    with connect(settings, "reader") as connection:
        found = _find(connection, delivery_id)
        kept_count = quarantine.count(connection, delivery_id)
        return found, kept_count, quarantine.rows(connection, delivery_id, limit)


def replay(settings: Settings, delivery_id: int) -> Outcome:
    """Read a delivery's files again with the current rules, and publish the rows that pass.

    The result is a new delivery that replaces the former one, with its own counts. A second replay finds the
    same rows.

    Raises DeliveryRefused if the files no longer exist, another delivery has replaced this one, or its date
    is past retention; otherwise the same errors as `ingest`.
    """
    with connect(settings, "reader") as connection:
        delivery = _find(connection, delivery_id)
        current = deliveries.published(connection, delivery.feed, delivery.business_date)
    subject = f"delivery {delivery_id} ({delivery.feed} {delivery.business_date})"
    if delivery.status == "superseded":
        current_id = current.delivery_id if current else None
        raise DeliveryRefused(
            f"{subject} was replaced by delivery {current_id}",
            steps=(Step("replay that one", f"parc quarantine replay {current_id}"),),
        )
    if delivery.expired_at is not None:
        raise DeliveryRefused(
            f"{subject} is past retention: its rows were dropped on {delivery.expired_at:%Y-%m-%d}, and the "
            "published figures stay as they are"
        )
    missing = _missing([file["uri"] for file in delivery.files])
    if missing:
        raise DeliveryRefused(
            f"{subject} cannot be read again: {', '.join(missing)}, which landed on "
            f"{delivery.landed_at:%Y-%m-%d}, no longer exists",
            steps=(
                Step("have it sent again"),
                Step("load it", f"parc ingest {delivery.feed} --date {delivery.business_date}"),
            ),
        )
    return ingest(settings, delivery.feed, delivery.business_date, is_replay=True)


def _find(connection: Connection[Any], delivery_id: int) -> Delivery:
    delivery = deliveries.get(connection, delivery_id)
    if delivery is None:
        raise ConfigurationError(
            f"there is no delivery {delivery_id}",
            steps=(Step("list those with rows in quarantine", "parc quarantine list"),),
        )
    return delivery


def _missing(uris: list[str]) -> list[str]:
    """Which of a delivery's files, all in one folder, no longer exist."""
    if not uris:
        return []
    with storage.opened(uris[0].rpartition("/")[0]) as folder:
        there = {reported(entry.name) for entry in folder.entries()} if folder.has("") else set()
        return [uri for uri in uris if uri.rpartition("/")[2] not in there]
