"""The business date that a release works on where nobody names one."""

from __future__ import annotations

from datetime import date

from parc.errors import RoutingRefused
from parc.settings import Settings
from parc.warehouse import connect


def newest_business_date(settings: Settings) -> date:
    """The last day of calls in the marts, but never before the last release's: a backfill of old days does
    not take the switch back to them.

    Raises RoutingRefused when the marts hold no calls yet.
    """
    with connect(settings, "exporter") as connection:
        row = connection.execute(
            """
            select greatest(
                (
                    select max(business_date) from ops.delivery
                    where feed = 'calls' and built_in is not null and status <> 'withdrawn'
                ),
                (select max(business_date) from ops.routing_release)
            )
            """
        ).fetchone()
    if not row or row[0] is None:
        raise RoutingRefused(
            "the marts hold no calls yet, so there is no night to release for: `parc ingest calls`, then "
            "`parc build`, or name the day with --date"
        )
    newest: date = row[0]
    return newest
