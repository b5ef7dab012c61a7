"""Which business dates are accepted. Any other is refused and not recorded in the ledger."""

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
"""Most dates in one range: each is looked for, and reported as missing if nothing was delivered."""


@dataclass(frozen=True)
class AcceptedDates:
    """The accepted business dates, from EARLIEST to `latest`; `because` explains the latest."""

    latest: date
    because: str

    def check(self, feed: str, *business_dates: date) -> None:
        """Raise DeliveryRefused for the first of these dates that is not accepted."""
        for day in business_dates:
            if day < EARLIEST:
                reason = f"business dates start on {EARLIEST}"
            elif day > self.latest:
                reason = f"it is after {self.latest}, {self.because}"
            else:
                continue
            raise DeliveryRefused(f"{feed} {day}: refused unread, as the date is not plausible: {reason}")


ANY = AcceptedDates(LATEST, "the last date that is ever accepted")


def of_night(night: date) -> AcceptedDates:
    """The dates accepted in the night of a business date: none much later than that date."""
    ANY.check("night", night)
    latest = min(LATEST, night + AHEAD_OF_NIGHT)
    return AcceptedDates(latest, f"{AHEAD_OF_NIGHT.days} days after the night of {night}")


def by_hand(settings: Settings, today: date, *, is_accepted: bool = False) -> AcceptedDates:
    """The dates accepted when typed by a person; any date if they confirm it with `--accept-date`,
    or `accept_date` in a DAG's form.

    `today` is the host's date; it only limits the first delivery into an empty warehouse.
    """
    if is_accepted:
        return ANY
    remedy = "if it is right, add --accept-date (accept_date in Airflow's form)"
    with connect(settings, "reader") as connection:
        newest = deliveries.newest_published_date(connection)
    if newest is None:
        return AcceptedDates(today, f"today, and nothing is published yet; {remedy}")
    latest = min(LATEST, newest + AHEAD_OF_PUBLISHED)
    return AcceptedDates(
        latest, f"{AHEAD_OF_PUBLISHED.days} days after the newest published date ({newest}); {remedy}"
    )
