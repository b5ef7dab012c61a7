"""The next go-live of the rollout plan, and what still blocks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import polars as pl
import psycopg

from parc.errors import ParcError
from parc.instants import PARIS, shown
from parc.ledger import plans, releases
from parc.routing.plans.wording import pairs_text
from parc.routing.table.inputs import read_rollout
from parc.settings import Settings
from parc.wording import joined


@dataclass(frozen=True)
class GoLive:
    """What goes live on a day, such as `53 fixe, internet`, and what has to happen before."""

    day: date
    what: str
    blocks: list[str]


def next_go_live(settings: Settings, connection: psycopg.Connection[Any]) -> GoLive | None:
    """The first go-live after the day that the live table was made for; None if no other is planned, or
    nothing was released yet."""
    live = releases.last_activated(connection)
    if live is None or live.effective_date is None:
        return None
    try:
        rollout = read_rollout(settings)
    except ParcError:  # the marts are not built
        return None
    goes_live = pl.col("planned_go_live_date")
    planned = rollout.filter(
        (goes_live > live.effective_date)
        & (pl.col("withdrawn_on").is_null() | (pl.col("withdrawn_on") > goes_live))
    )
    day = planned["planned_go_live_date"].min()
    if not isinstance(day, date):
        return None
    pairs = planned.filter(goes_live == day).select("zone_code", "market").unique()
    return GoLive(day, pairs_text(sorted(pairs.iter_rows())), _blocks(connection, day))


def _blocks(connection: psycopg.Connection[Any], day: date) -> list[str]:
    found = []
    if held := releases.hold(connection):
        found.append(f"the hold of {held}")
    if disabled := releases.kill_switch(connection):
        found.append(f"routing is disabled by {disabled}")
    freezes = connection.execute(
        "select ends_at, reason from marts.routing_freeze_windows "
        "where starts_at <= %(at)s and %(at)s < ends_at",
        {"at": datetime.combine(day, time(), PARIS)},
    ).fetchall()
    found += [f"a freeze until {shown(until)}: {reason}" for until, reason in freezes]
    last = plans.newest(connection)
    if last and last.effective_date == day and last.verdict == "refused":
        found.append(f"the refusal of {shown(last.at)}: {joined(last.reasons)}")
    answer = plans.last_answer(connection)
    if answer and answer.effective_date == day and answer.verdict == "rejected":
        found.append(f"its release was {answer}")
    return [*found, "a person must approve it"]
