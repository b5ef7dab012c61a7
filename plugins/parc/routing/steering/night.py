"""The business date of a release if nobody names one."""

from __future__ import annotations

from datetime import date

from parc.errors import RoutingRefused
from parc.findings import BUILD, Step
from parc.ledger import deliveries, releases
from parc.settings import Settings
from parc.warehouse import connect


def newest_business_date(settings: Settings) -> date:
    """The last day of calls in the marts, but never a day before that of the last release: loading old days
    again does not take the switch back to them.

    Raises RoutingRefused when the marts hold no calls yet.
    """
    with connect(settings, "exporter") as connection:
        dates = (
            deliveries.newest_built_date(connection, "calls"),
            releases.newest_release_date(connection),
        )
    known = [day for day in dates if day]
    if not known:
        raise RoutingRefused(
            "the marts hold no calls yet, so there is no night to release for",
            steps=(
                Step("load calls", "parc ingest calls --date DATE"),
                BUILD,
                Step("name the day with --date", is_alternative=True),
            ),
        )
    return max(known)
