"""Withdraws a delivery at a person's request, as if it had never arrived."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from parc.errors import Busy, ConfigurationError, DeliveryRefused
from parc.feeds import FEEDS, Feed, Keeping
from parc.findings import Step
from parc.ledger import deliveries, locks, write_deliveries
from parc.ledger.deliveries import Delivery
from parc.loading import pseudonyms, ranges
from parc.numbers import remark
from parc.settings import Settings
from parc.warehouse import connect, partitions
from parc.wording import counted


def withdraw(settings: Settings, delivery_id: int, reason: str) -> str:
    """Withdraw a delivery: its published rows go at once, and the next build removes them from the marts.

    A delivery that it had replaced does not come back. Other files delivered for the date are loaded as
    usual; these same bytes only by a replay. If the delivery was refused, or its load died, the date is no
    longer due because of it. Withdrawing twice does nothing. Returns a description of what was done.

    Raises ConfigurationError if there is no such delivery, or the settings' pseudonym key is not the
    warehouse's; DeliveryRefused if it was replaced, is past retention, or follows a snapshot past retention;
    Busy while a build, a load of its date or a query is in the way.
    """
    with connect(settings, "loader", autocommit=True) as connection:
        delivery = _find(connection, delivery_id)
        subject = f"delivery {delivery_id} ({delivery.feed} {delivery.business_date})"
        try:
            for attempt in partitions.attempts():
                with attempt, connection.transaction():
                    connection.execute(f"set local lock_timeout = '{partitions.LOCK_PATIENCE}'".encode())
                    if not locks.try_keep(connection, locks.of_load(delivery.feed, delivery.business_date)):
                        raise Busy(f"{subject}: its date is being loaded")
                    return _withdraw(settings, connection, delivery_id, reason, subject)
        except (LockNotAvailable, DeadlockDetected) as error:
            raise Busy(f"{subject}: a query locks its rows ({str(error).splitlines()[0]})") from None
    raise AssertionError("a try returns or raises")


def _find(connection: Connection[Any], delivery_id: int) -> Delivery:
    delivery = deliveries.get(connection, delivery_id)
    if delivery is None or delivery.feed not in FEEDS:
        raise ConfigurationError(
            f"there is no delivery {delivery_id}",
            steps=(Step("list them", 'parc sql "select * from ops.delivery"'),),
        )
    return delivery


def _withdraw(
    settings: Settings, connection: Connection[Any], delivery_id: int, reason: str, subject: str
) -> str:
    delivery = _find(connection, delivery_id)
    feed, business_date, status = FEEDS[delivery.feed], delivery.business_date, delivery.status
    if status == "withdrawn":
        return f"{subject} was already withdrawn"
    if status == "superseded":
        current = deliveries.published(connection, feed.name, business_date)
        text = f"{subject} was replaced by a later one and has no rows left"
        if current is None:
            raise DeliveryRefused(f"{text}: nothing of that date is published")
        command = f"parc withdraw {current.delivery_id} --reason TEXT"
        raise DeliveryRefused(text, steps=(Step("withdraw the later one", command),))
    if delivery.expired_at:
        raise DeliveryRefused(
            f"{subject} is past retention: its rows were dropped, and the published figures stay as they are"
        )
    if status == "published":
        locks.keep_builds_out(connection)
        if feed.keeping is Keeping.RANGES:
            _check_the_one_before(connection, feed, business_date, subject)
            pseudonyms.check_key(connection, settings)
            ranges.remove(connection, feed, business_date, pseudonyms.of_load(connection, settings))
        else:
            table = partitions.delivery_table(feed, business_date, delivery_id)
            connection.execute(sql.SQL("drop table if exists {}").format(table.identifier))
    partitions.drop_leftovers(connection, feed, business_date)
    write_deliveries.withdraw(connection, delivery_id, remark(reason))
    if status != "published":
        return f"{subject} is withdrawn; none of it was published"
    return (
        f"{subject} is withdrawn: {counted(delivery.rows_published, 'row')}, which the next build removes "
        "from the marts (`parc build`). Other files of that date are loaded as usual, these again only by "
        f"`parc quarantine replay {delivery_id}`"
    )


def _check_the_one_before(connection: Connection[Any], feed: Feed, business_date: date, subject: str) -> None:
    """Ranges only show what was in force before a snapshot if the previous one is not past retention."""
    before = deliveries.published_before(connection, feed.name, business_date)
    if before and before.expired_at:
        raise DeliveryRefused(
            f"{subject} cannot be withdrawn: the snapshot before it ({before.business_date}) is past "
            "retention, so what held before is unknown; deliver a correct snapshot of that date instead"
        )
