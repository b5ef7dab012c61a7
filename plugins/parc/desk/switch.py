"""What keeps the switch from the table it should have."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from parc import routing
from parc.desk.matter import Matter, joined, listed
from parc.errors import ParcError
from parc.ledger import locks, releases
from parc.routing.steering.night import newest_business_date
from parc.routing.table.desired import effective_date, horizon
from parc.settings import Settings
from parc.warehouse import connect


def matters(settings: Settings, connection: psycopg.Connection[Any], plan_for: date | None) -> list[Matter]:
    """Drift, a hold, the kill switch, a release cut short; and what is due and not on the switch."""
    try:
        status = routing.status(settings)
    except (ParcError, OSError) as error:
        return [Matter("switch", True, "switch", str(error), "")]
    try:
        newest = newest_business_date(settings)
    except ParcError:
        newest = None
    found = []
    apply = f"parc routing apply --date {newest}" if newest else "parc routing apply"
    if status.drift:
        command = f"{apply} --drift adopt (the switch is right), or --drift overwrite (the release is)"
        if status.version is None:
            command = f"{apply} --bootstrap"
        found.append(Matter("drift", True, "switch", status.drift, command))
    if status.unfinished and not locks.is_held(connection, locks.ROUTING):
        found.append(Matter("unfinished release", True, "switch", status.unfinished, apply))
    if status.hold:
        text = f"no release until the hold is released; held by {status.hold}"
        found.append(Matter("hold", False, "switch", text, "parc routing release-hold"))
    if status.kill_switch:
        found.append(Matter("kill switch", False, "switch", status.kill_switch, "parc routing enable"))
    if status.drift or status.hold or status.kill_switch:
        return found  # nothing can be released until that is settled
    if plan_for:
        return found + _planned(settings, plan_for)
    return found + (_behind(settings, status, newest) if newest else [])


def _planned(settings: Settings, business_date: date) -> list[Matter]:
    """What the release of a business date is waiting for."""
    subject = f"release for {effective_date(business_date)}"
    look, apply = f"parc routing plan --date {business_date}", f"parc routing apply --date {business_date}"
    try:
        plan = routing.plan(settings, business_date)
    except ParcError as error:
        return [Matter("switch", True, subject, str(error), "")]
    if plan.verdict == "refused":
        command = f"mend the data or the seeds, then parc build; {look} shows the whole plan"
        return [Matter("routing refused", True, subject, joined(plan.refusals), command)]
    if plan.verdict == "blocked":
        return [Matter("waiting", False, subject, joined(plan.blocks), "")]
    if plan.verdict == "needs approval":
        text = f"needs a person's approval: {joined(plan.approvals)}"
        command = f"{look}, then {apply} --approve {plan.plan_hash}"
        return [Matter("waiting", False, subject, text, command)]
    if plan.verdict == "ready":
        return [Matter("switch behind", True, subject, "ready, and not on the switch", apply)]
    return []


def _behind(settings: Settings, status: routing.Status, newest: date) -> list[Matter]:
    """What is certainly due and not on the switch; a night on which nothing changes makes no release."""
    command = f"parc routing plan --date {newest}, then parc routing apply --date {newest}"
    if status.version is None:
        return [Matter("waiting", False, "switch", "it has no table yet", f"{command} --bootstrap")]
    if status.kind == "emergency":
        return [
            Matter(
                "switch behind",
                True,
                "switch",
                f"all calls take the national route by the emergency table {status.version}",
                command,
            )
        ]
    day = effective_date(newest)
    with connect(settings, "exporter") as connection:
        released = releases.last_activated(connection)
        if released is None or released.effective_date is None:
            return []
        rows = connection.execute(
            "select distinct day from marts.routing_rollout "
            "cross join unnest(array[planned_go_live_date, withdrawn_on]) as day "
            "where day > %s and day <= %s order by 1",
            [released.effective_date, day],
        ).fetchall()
    changes = listed([str(changed) for (changed,) in rows])
    reasons = [f"the rollout plan changes on {changes}"] if changes else []
    if horizon(released.effective_date) != horizon(day):
        reasons.append("its opening windows are those of an earlier month")
    if not reasons:
        return []
    text = f"{status.version} was made for {released.effective_date}, the marts hold {newest}: "
    return [Matter("switch behind", True, "switch", text + ", and ".join(reasons), command)]
