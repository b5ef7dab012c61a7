"""What every night decides in the same way, whether `parc nightly` or Airflow's DAGs run it: which dates it
looks at, what is due, in which order it loads, and when it stops waiting.

Airflow reads this with every DAG file, so modules that take seconds to import are imported only where they
are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from parc.feeds import FACTS, IN_LOADING_ORDER
from parc.instants import PARIS

if TYPE_CHECKING:
    from parc.ledger.due import Due
    from parc.settings import Settings

NIGHTS_LOOKED_AT = 35
"""Business dates that a night looks at, its own included: five weeks hold a whole month that is restated up
to four days after its end."""

DEADLINE = time(5, 0)
"""When the marts are built from what has arrived by then (Europe/Paris)."""

RELEASE_DEADLINE = time(6, 0)
"""When the switch's table is planned from the marts as they are (Europe/Paris): by then BI should see the
night."""

WAIT_ENDS = timedelta(minutes=15)
"""How long before the deadline a load stops waiting for its delivery: time to load what there is, and to
report what is missing."""

LOOK_EVERY = timedelta(minutes=5)
"""How often a load that waits for its delivery looks for it."""


def night_of(tick: datetime) -> date:
    """The business date that a run at this instant works on: the day before, in Europe/Paris."""
    return tick.astimezone(PARIS).date() - timedelta(days=1)


def waits_until(tick: datetime) -> datetime:
    """The instant (UTC) up to which the load of a night waits for its delivery."""
    deadline = datetime.combine(tick.astimezone(PARIS).date(), DEADLINE, PARIS)
    return deadline.astimezone(UTC) - WAIT_ENDS


def deadline_of_release(night: date) -> datetime:
    """The instant (UTC) by which BI should see a night."""
    return datetime.combine(night + timedelta(days=1), RELEASE_DEADLINE, PARIS).astimezone(UTC)


def dates_looked_at(night: date) -> tuple[date, date]:
    """The first and the last business date that a night looks at for deliveries that are new or changed."""
    return night - timedelta(days=NIGHTS_LOOKED_AT - 1), night


def in_loading_order(deliveries: Iterable[tuple[str, date]]) -> list[tuple[str, date]]:
    """Deliveries (feed, business date), references first, as facts are checked against them; then by date."""

    def place(delivery: tuple[str, date]) -> tuple[bool, date, int]:
        feed, day = delivery
        return feed in FACTS, day, IN_LOADING_ORDER.index(feed)

    return sorted(deliveries, key=place)


def new_deliveries(settings: Settings, first: date, last: date) -> list[tuple[str, date]]:
    """Deliveries of these dates that are new or have changed since the last look, in the order of loading.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    from parc.loading import unseen

    return in_loading_order(unseen(settings, first, last))


def deliveries_of(settings: Settings, night: date) -> tuple[list[tuple[str, date]], list[Due]]:
    """What a night loads, in order: what is due, and what is new or has changed. Second, what is due, was
    refused before and has not changed since: it is not read again.

    Raises ConfigurationError when the landing zone or the warehouse cannot be read.
    """
    due = due_of(settings, night)
    new = new_deliveries(settings, *dates_looked_at(night))
    refused = [each for each in due if each.state == "refused" and (each.feed, night) not in new]
    wanted = {(each.feed, night) for each in due if each not in refused}
    return in_loading_order(wanted.union(new)), refused


def due_of(settings: Settings, night: date) -> list[Due]:
    """What the feed calendar expects for a night, and the state of each.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    from parc.ledger.due import calendar, due
    from parc.warehouse import connect

    with connect(settings, "reader") as connection:
        return due(connection, calendar(settings.project), night)
