"""Drains: the switch gives a site no new call until an instant, whichever release is live."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from parc.errors import RoutingRefused
from parc.findings import Step
from parc.instants import shown
from parc.ledger import write_releases
from parc.routing.switches import Question, Reading, Switch, open_switch, readable
from parc.routing.table.content import Content
from parc.settings import Settings
from parc.warehouse import connect
from parc.wording import counted


def drain(settings: Settings, site_code: str, until: datetime, *, drained_by: str, reason: str) -> str:
    """Give a site no new call until an instant. The other sites of its routes take them, by priority and
    weight.

    It takes effect at once, is not a release and ends by itself. Returns a message for the person.

    Raises RoutingRefused when the live table does not know the site, or a route would have no site left.
    """
    switch = open_switch(settings)
    content = readable(switch.read_live())
    routes = content.frames["routes"]
    own = routes.filter(site_code=site_code)
    if own.is_empty():
        known = ", ".join(sorted(content.frames["sites"]["site_code"]))
        raise RoutingRefused(f"no route of the live table has a site {site_code}; it has {known}")
    now = clock(switch, content)
    if now and until <= now:
        raise RoutingRefused(f"{shown(until)} is past: the switch's clock says {shown(now)}")
    drained = {site for site, end in switch.drains().items() if end > until} | {site_code}
    where = ["zone_code", "market", "band"]
    others = routes.filter(~pl.col("site_code").is_in(drained))
    alone = own.join(others, on=where, how="anti").select(where).unique().sort(where)
    if alone.height:
        zone, market, band = alone.row(0)
        raise RoutingRefused(
            f"without {site_code}, {counted(alone.height, 'route has', 'routes have')} no site left (first: "
            f"zone {zone}, market {market}, {band})",
            steps=(
                Step("end another drain", "parc routing drain SITE --end"),
                Step("send all calls away", "parc routing emergency national", is_alternative=True),
            ),
        )
    with connect(settings, "exporter") as connection:
        write_releases.record_drain(connection, "set", site_code, until, set_by=drained_by, reason=reason)
        switch.drain(site_code, until)
    zones = sorted(set(own["zone_code"]))
    return (
        f"{site_code} gets no new call until {shown(until)}; calls of {counted(len(zones), 'zone')} go to "
        f"the other sites of their routes. `parc routing drain {site_code} --end` ends it earlier"
    )


def end_drain(settings: Settings, site_code: str, *, ended_by: str, reason: str) -> None:
    """Give a drained site calls again. Raises RoutingRefused when it is not drained."""
    switch = open_switch(settings)
    if site_code not in switch.drains():
        raise RoutingRefused(
            f"{site_code} is not drained", steps=(Step("list what is", "parc routing status"),)
        )
    with connect(settings, "exporter") as connection:
        write_releases.record_drain(connection, "ended", site_code, None, set_by=ended_by, reason=reason)
        switch.drain(site_code, None)


def in_force(switch: Switch, live: Reading | None) -> dict[str, datetime]:
    """The drained sites and until when. Drains that are over by the switch's clock are left out."""
    drains = switch.drains()
    now = clock(switch, live.content) if drains and live and live.content else None
    return {site: until for site, until in drains.items() if now is None or until > now}


def clock(switch: Switch, content: Content) -> datetime | None:
    """The time on the switch's clock, which may run in simulated days; None if it cannot be asked."""
    answer = switch.ask(Question("anonymous", content.frames["services"]["dialled_number"][0]))
    return answer.at if answer else None
