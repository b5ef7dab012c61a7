"""What keeps the switch from the table it should have."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg

from parc import routing
from parc.errors import ParcError, parts_of
from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.instants import shown
from parc.ledger import builds, locks, plans
from parc.routing.plans import remedies
from parc.routing.steering.night import newest_business_date
from parc.routing.table.desired import effective_date, horizon, rollout_changes
from parc.routing.table.inputs import read_rollout
from parc.settings import Settings
from parc.wording import joined, listed

SWITCH = Subject("switch")


def findings(settings: Settings, connection: psycopg.Connection[Any], plan_for: date | None) -> list[Finding]:
    """Drift, a hold, the kill switch, a release cut short; and what is due and not on the switch."""
    try:
        status = routing.status(settings)
    except (ParcError, OSError) as error:
        return [Finding(FindingKind.SWITCH, Severity.WRONG, SWITCH, *parts_of(error))]
    try:
        newest = newest_business_date(settings)
    except ParcError:
        newest = None
    found = []
    question = plans.open_question(connection)
    # A plan that is made here says the same of a question that no run asks.
    if question and (question.run_id or plan_for is None):
        kind = FindingKind.APPROVAL if question.run_id else FindingKind.WAITING
        found.append(Finding(kind, Severity.NOTE, question.concerns, question.text, question.remedy))
    if status.drift:
        steps = (remedies.read_plan(newest), *remedies.accept_drift(newest))
        if not status.version:
            steps = (_first_table(newest),)
        found.append(Finding(FindingKind.DRIFT, Severity.WRONG, SWITCH, status.drift, steps))
    if status.unfinished and not locks.is_held(connection, locks.ROUTING):
        step = Step("release it again", remedies.apply_command(newest))
        found.append(
            Finding(FindingKind.UNFINISHED_RELEASE, Severity.WRONG, SWITCH, status.unfinished, (step,))
        )
    if status.hold:
        text = f"no release until the hold is released; held by {status.hold}"
        found.append(Finding(FindingKind.HOLD, Severity.NOTE, SWITCH, text, (remedies.RELEASE_HOLD,)))
    if status.kill_switch:
        steps = (remedies.ENABLE,)
        found.append(Finding(FindingKind.KILL_SWITCH, Severity.NOTE, SWITCH, status.kill_switch, steps))
    if status.drift or status.hold or status.kill_switch:
        return found  # nothing can be released until that is settled
    if plan_for:
        planned = _planned(settings, plan_for)
        return found + [
            each
            for each in planned
            if not (question and question.run_id and each.kind is FindingKind.WAITING)
        ]
    stopped = _stopped(connection)
    if stopped or question or newest is None:
        return found + stopped
    return found + _behind(settings, connection, status, newest)


def _first_table(business_date: date | None) -> Step:
    return Step("release a first table", f"{remedies.apply_command(business_date)} --bootstrap")


def _planned(settings: Settings, business_date: date) -> list[Finding]:
    """What the release of a business date waits for."""
    subject = Subject.release(effective_date(business_date))
    try:
        plan = routing.plan(settings, business_date)
    except ParcError as error:
        return [Finding(FindingKind.SWITCH, Severity.WRONG, subject, error.text, error.steps)]
    reasons, steps = joined(plan.reasons), remedies.of_verdict(plan)
    if plan.verdict == "refused":
        return [Finding(FindingKind.ROUTING_REFUSED, Severity.WRONG, subject, reasons, steps)]
    if plan.verdict == "blocked":
        return [Finding(FindingKind.WAITING, Severity.NOTE, subject, reasons, steps)]
    if plan.verdict == "needs approval":
        text = f"needs a person's approval: {reasons}"
        return [Finding(FindingKind.WAITING, Severity.NOTE, subject, text, steps)]
    if plan.verdict == "ready":
        text = "ready, but not yet on the switch"
        return [Finding(FindingKind.SWITCH_BEHIND, Severity.WRONG, subject, text, steps)]
    return []


def _stopped(connection: psycopg.Connection[Any]) -> list[Finding]:
    """The last release that was to be made, if it was refused or blocked. It ends when a release is planned
    again, so a later build does not hide it."""
    last = plans.newest(connection)
    if last is None or last.verdict not in ("refused", "blocked"):
        return []
    text = f"{last.verdict} on {shown(last.at)}; the switch keeps its table: {joined(last.reasons)}"
    published = builds.published(connection)
    if last.build_id and published and published.build_id != last.build_id:
        text += f". It was planned from build {last.build_id}; build {published.build_id} is published since"
    if last.verdict == "refused":
        return [Finding(FindingKind.ROUTING_REFUSED, Severity.WRONG, last.concerns, text, last.remedy)]
    return [Finding(FindingKind.WAITING, Severity.NOTE, last.concerns, text, last.remedy)]


def _behind(
    settings: Settings, connection: psycopg.Connection[Any], status: routing.Status, newest: date
) -> list[Finding]:
    """What is certainly due and not on the switch; a night on which nothing changes makes no release."""
    read = remedies.read_plan(newest)
    release = (read, Step("release it", remedies.apply_command(newest)))
    if status.version is None:
        steps = (read, _first_table(newest))
        return [Finding(FindingKind.WAITING, Severity.NOTE, SWITCH, "it has no table yet", steps)]
    if status.kind == "emergency":
        text = f"all calls take the national route by the emergency table {status.version}"
        return [Finding(FindingKind.SWITCH_BEHIND, Severity.WRONG, SWITCH, text, release)]
    day, live_day = effective_date(newest), status.effective_date
    if live_day is None:
        return []
    reason, severity = _due(settings, connection, live_day, day)
    if not reason:
        return []
    text = f"{status.version} was made for {live_day}. The marts hold {newest}, so the table for {day} is "
    return [Finding(FindingKind.SWITCH_BEHIND, severity, SWITCH, f"{text}due: {reason}", release)]


def _due(
    settings: Settings, connection: psycopg.Connection[Any], live_day: date, day: date
) -> tuple[str, Severity]:
    """What the table for a day has and the live table, made for `live_day`, has not; empty if nothing."""
    changes = listed([str(changed) for changed in rollout_changes(read_rollout(settings), live_day, day)])
    if changes:
        reason = f"the rollout plan changes on {changes}"
        answer = plans.last_answer(connection)
        if answer is None or answer.effective_date != day or answer.verdict not in ("rejected", "expired"):
            return reason, Severity.WRONG
        is_decided = answer.verdict == "rejected"
        return f"{reason}; its release was {answer}", Severity.NOTE if is_decided else Severity.WRONG
    if horizon(live_day) != horizon(day):
        last = horizon(live_day)[1] - timedelta(days=1)
        reason = f"a new month begins; the live table has opening hours up to {last}"
        return reason, Severity.NOTE if day <= last else Severity.WRONG
    return "", Severity.NOTE
