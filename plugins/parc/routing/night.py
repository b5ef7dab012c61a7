"""Which night a release is for, where nobody says."""

from __future__ import annotations

from datetime import date

from parc.errors import RoutingRefused
from parc.settings import Settings
from parc.warehouse import connect


def newest_business_date(settings: Settings) -> date:
    """The newest business date in the published marts.

    Raises RoutingRefused when there is none yet.
    """
    table = "marts.mart_routing_demand_half_hourly"
    with connect(settings, "exporter") as connection:
        row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
        if row and row[0]:
            row = connection.execute(f"select max(business_date) from {table}".encode()).fetchone()
            if row and isinstance(row[0], date):
                return row[0]
    raise RoutingRefused("no business date was built yet: ingest deliveries, then `parc build`")
