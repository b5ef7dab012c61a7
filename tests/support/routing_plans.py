"""Routing plans of a small operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from parc.routing.judges.proposal import Proposal
from parc.routing.plans.plan import Plan, make_plan
from parc.routing.switches import Reading
from parc.routing.table.content import Content
from parc.routing.table.desired import desired_state
from parc.routing.table.diff import diff
from parc.routing.table.inputs import CLOCKS, DEMAND, POSITIONS, Context, Inputs
from support.routing_tables import EVE, GO_LIVE, frame, world

CALLS = {"53": 100, "52": 200, "04": 50, "*": 650}


def demand(calls: dict[str, int] = CALLS, *, hours: tuple[int, ...] = (10,), days: int = 28) -> pl.DataFrame:
    """The same calls of 180 s each day at each of these UTC hours, for `fixe`, up to 24 April 2012."""
    rows = [
        (datetime.combine(day, time(hour), UTC), day, zone, "fixe", count, count * 180)
        for day in (EVE - timedelta(days=back) for back in range(days))
        for hour in hours
        for zone, count in calls.items()
    ]
    return pl.DataFrame(rows, schema=dict(DEMAND[1]), orient="row")


def context_of(
    volumes: pl.DataFrame | None = None,
    positions: pl.DataFrame | None = None,
    clocks: dict[str, str] | None = None,
) -> Context:
    """Volumes, positions in plenty at every hour of every site, and zones that live by UTC."""
    plenty = [
        (site, "UTC", weekday, time(slot // 2, slot % 2 * 30), 1000)
        for site in world().sites["site_code"]
        for weekday in range(1, 8)
        for slot in range(48)
    ]
    clocks = clocks or dict.fromkeys(("53", "52", "04", "*"), "UTC")
    return Context(
        demand() if volumes is None else volumes,
        pl.DataFrame(plenty, schema=dict(POSITIONS[1]), orient="row") if positions is None else positions,
        pl.DataFrame(list(clocks.items()), schema=dict(CLOCKS[1]), orient="row"),
        freezes=pl.DataFrame(),
        provenance=None,  # type: ignore[arg-type]
    )


def plan_for(
    desired_inputs: Inputs,
    live: Content | None,
    *,
    day: date = GO_LIVE,
    volumes: pl.DataFrame | None = None,
    context: Context | None = None,
    bootstrap: bool = False,
) -> Plan:
    desired = desired_state(desired_inputs, day)
    return make_plan(
        Proposal(day, desired_inputs, context or context_of(volumes), live, desired, diff(live, desired)),
        business_date=day - timedelta(days=1),
        base=Reading("00000001-aaaa", live, (), 1) if live else None,
        blocks=[],
        is_drifted=False,
        provenance=None,  # type: ignore[arg-type]
        is_bootstrap_allowed=bootstrap,
    )


def messages(plan: Plan) -> str:
    return "\n".join(f"{ruling.effect} {ruling}" for ruling in plan.rulings)


LIVE = desired_state(world(), EVE)


OWN = desired_state(world(), GO_LIVE)


def altered(inputs: Inputs, name: str, **columns: Any) -> Inputs:
    return replace(inputs, **{name: getattr(inputs, name).with_columns(**columns)})


def where(column: str, value: Any, then: Any, otherwise: str) -> pl.Expr:
    return pl.when(pl.col(column) == value).then(pl.lit(then)).otherwise(pl.col(otherwise))


def added(inputs: Inputs, name: str, *rows: tuple[Any, ...]) -> Inputs:
    return replace(inputs, **{name: pl.concat([getattr(inputs, name), frame(name, *rows)])})
