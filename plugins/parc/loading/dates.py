"""Which business dates are believed: one that is not is refused before anything knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from parc.errors import DeliveryRefused
from parc.ledger import deliveries
from parc.settings import Settings
from parc.warehouse import connect

EARLIEST, LATEST = date(1990, 1, 1), date(2099, 12, 31)
AHEAD_OF_NIGHT = timedelta(days=7)
AHEAD_OF_PUBLISHED = timedelta(days=40)
MOST_DATES = 5 * 366
"""What one range may name: each date is looked for, and reported as missing if nothing lies there."""


@dataclass(frozen=True)
class Believed:
    """The business dates from EARLIEST to `latest`; `because` says why no later one."""

    latest: date
    because: str

    def check(self, feed: str, *business_dates: date) -> None:
        """Raises DeliveryRefused for the first of these dates that is not believed."""
        for day in business_dates:
            if day < EARLIEST:
                reason = f"business dates begin on {EARLIEST}"
            elif day > self.latest:
                reason = f"it is after {self.latest}, {self.because}"
            else:
                continue
            raise DeliveryRefused(f"{feed} {day}: refused unread, is the date right? {reason}")


ANY = Believed(LATEST, "the last date that is ever taken")


def of_night(night: date) -> Believed:
    """What the night of a business date believes: nothing much later than itself."""
    ANY.check("night", night)
    latest = min(LATEST, night + AHEAD_OF_NIGHT)
    return Believed(latest, f"{AHEAD_OF_NIGHT.days} days after the night of {night}")


def by_hand(settings: Settings, today: date, *, is_accepted: bool = False) -> Believed:
    """What is believed of a person, who may mistype; any date where they said it is right: `--accept-date`,
    or `accept_date` in a DAG's form.

    `today` is the host's, by which the first delivery of an empty warehouse is judged.
    """
    if is_accepted:
        return ANY
    remedy = "if it is right, say --accept-date (accept_date in Airflow's form)"
    with connect(settings, "reader") as connection:
        newest = deliveries.newest_published_date(connection)
    if newest is None:
        return Believed(today, f"today, and nothing is published yet; {remedy}")
    latest = min(LATEST, newest + AHEAD_OF_PUBLISHED)
    return Believed(
        latest, f"{AHEAD_OF_PUBLISHED.days} days after the newest published date ({newest}); {remedy}"
    )
