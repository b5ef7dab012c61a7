"""What keeps the switch from the table it should have."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from parc import routing
from parc.desk.wording import joined, listed
from parc.errors import ParcError
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.ledger import locks
from parc.routing.steering.night import newest_business_date
from parc.routing.table.desired import effective_date, horizon, rollout_changes
from parc.routing.table.inputs import read_rollout
from parc.settings import Settings

SWITCH = Subject("switch")


def findings(settings: Settings, connection: psycopg.Connection[Any], plan_for: date | None) -> list[Finding]:
    """Drift, a hold, the kill switch, a release cut short; and what is due and not on the switch."""
    try:
        status = routing.status(settings)
    except (ParcError, OSError) as error:
        known = error.steps if isinstance(error, ParcError) else ()
        return [Finding(FindingKind.SWITCH, Severity.WRONG, SWITCH, str(error), known)]
    try:
        newest = newest_business_date(settings)
    except ParcError:
        newest = None
    apply = f"parc routing apply --date {newest}" if newest else "parc routing apply"
    found = []
    if status.drift:
        steps = [Step("release a first table", f"{apply} --bootstrap")]
        if status.version:
            steps = [
                Step("keep the table of the switch", f"{apply} --drift adopt"),
                Step("put the release back", f"{apply} --drift overwrite", is_alternative=True),
            ]
        found.append(Finding(FindingKind.DRIFT, Severity.WRONG, SWITCH, status.drift, tuple(steps)))
    if status.unfinished and not locks.is_held(connection, locks.ROUTING):
        step = Step("release it again", apply)
        found.append(
            Finding(FindingKind.UNFINISHED_RELEASE, Severity.WRONG, SWITCH, status.unfinished, (step,))
        )
    if status.hold:
        text = f"no release until the hold is released; held by {status.hold}"
        step = Step("release the hold", "parc routing release-hold")
        found.append(Finding(FindingKind.HOLD, Severity.NOTE, SWITCH, text, (step,)))
    if status.kill_switch:
        step = Step("enable routing", "parc routing enable")
        found.append(Finding(FindingKind.KILL_SWITCH, Severity.NOTE, SWITCH, status.kill_switch, (step,)))
    if status.drift or status.hold or status.kill_switch:
        return found  # nothing can be released until that is settled
    if plan_for:
        return found + _planned(settings, plan_for)
    return found + (_behind(settings, status, newest) if newest else [])


def _planned(settings: Settings, business_date: date) -> list[Finding]:
    """What the release of a business date waits for."""
    subject = Subject.release(effective_date(business_date))
    read = Step("read the plan", f"parc routing plan --date {business_date}")
    apply = f"parc routing apply --date {business_date}"
    try:
        plan = routing.plan(settings, business_date)
    except ParcError as error:
        return [Finding(FindingKind.SWITCH, Severity.WRONG, subject, str(error), error.steps)]
    reasons = joined(plan.reasons)
    if plan.verdict == "refused":
        correct = (read, Step("correct the data or the seeds"), Step("build the marts", "parc build"))
        return [Finding(FindingKind.ROUTING_REFUSED, Severity.WRONG, subject, reasons, correct)]
    if plan.verdict == "blocked":
        later = (read, Step("release it when nothing blocks it", apply))
        return [Finding(FindingKind.WAITING, Severity.NOTE, subject, reasons, later)]
    if plan.verdict == "needs approval":
        text = f"needs a person's approval: {reasons}"
        approve = (read, Step("approve and release it", f"{apply} --approve {plan.plan_hash}"))
        return [Finding(FindingKind.WAITING, Severity.NOTE, subject, text, approve)]
    if plan.verdict == "ready":
        text, step = "ready, and not on the switch", Step("release it", apply)
        return [Finding(FindingKind.SWITCH_BEHIND, Severity.WRONG, subject, text, (step,))]
    return []


def _behind(settings: Settings, status: routing.Status, newest: date) -> list[Finding]:
    """What is certainly due and not on the switch; a night on which nothing changes makes no release."""
    read = Step("read the plan", f"parc routing plan --date {newest}")
    apply = f"parc routing apply --date {newest}"
    release = (read, Step("release it", apply))
    if status.version is None:
        steps = (read, Step("release a first table", f"{apply} --bootstrap"))
        return [Finding(FindingKind.WAITING, Severity.NOTE, SWITCH, "it has no table yet", steps)]
    if status.kind == "emergency":
        text = f"all calls take the national route by the emergency table {status.version}"
        return [Finding(FindingKind.SWITCH_BEHIND, Severity.WRONG, SWITCH, text, release)]
    day, live_day = effective_date(newest), status.effective_date
    if live_day is None:
        return []
    changes = listed([str(changed) for changed in rollout_changes(read_rollout(settings), live_day, day)])
    reasons = [f"the rollout plan changes on {changes}"] if changes else []
    if horizon(live_day) != horizon(day):
        reasons.append("its opening windows are those of an earlier month")
    if not reasons:
        return []
    text = f"{status.version} was made for {live_day}, the marts hold {newest}: "
    text += ", and ".join(reasons)
    return [Finding(FindingKind.SWITCH_BEHIND, Severity.WRONG, SWITCH, text, release)]
