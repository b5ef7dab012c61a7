"""Releases of whole tables: apply, rollback and emergency. activation.py has the order of every release."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from psycopg import Connection

from parc.errors import ApprovalNeeded, RoutingRefused
from parc.findings import Step
from parc.ledger import write_releases
from parc.ledger.releases import ReleaseKind
from parc.routing.judges.validation import validate
from parc.routing.plans.plan import Plan, PlanVerdict
from parc.routing.plans.remedies import of_verdict, overwrite_drift, read_plan
from parc.routing.plans.wording import bullets, explain_verdict, headline
from parc.routing.steering.activation import ReleaseResult, activate, discard_old, exclusive, record_drift
from parc.routing.steering.approval import record_request, requester
from parc.routing.steering.drafting import (
    Drift,
    drift_block,
    drift_of,
    emergency_plan,
    exempt_plan,
    night_plan,
    rollback_plan,
)
from parc.routing.steering.live_record import record_live
from parc.routing.steering.record import record_plan
from parc.routing.switches import Switch
from parc.routing.table.content import Content
from parc.settings import Settings

HOLD_HINT = "no release follows until `parc routing release-hold`"


def apply(
    settings: Settings,
    business_date: date,
    *,
    requested_by: str,
    reason: str,
    bootstrap: bool = False,
    approve: str | None = None,
    approved_by: str | None = None,
    approved_at: datetime | None = None,
    drift: Literal["adopt", "overwrite"] | None = None,
) -> ReleaseResult:
    """Bring the switch to the desired state of a business date, or say why not.

    `approve` is the hash of the plan that `approved_by` has read. It counts only for that content on that
    live base. `drift` accepts that the switch holds something else than recorded: "adopt" makes a release of
    what it holds and stops there, "overwrite" releases over it.

    Raises ApprovalNeeded when a person must approve, Busy when another release runs, RoutingRefused
    otherwise. The text names the rule and the figures, the steps what helps.
    """
    if approve and not approved_by:
        raise RoutingRefused("an approval needs a name: say who approves (approved_by)")
    with exclusive(settings) as (connection, switch):
        live = switch.read_live()
        found = drift_of(connection, live)
        if found and found.live is not None:
            if drift is None:
                record_drift(connection, "detected", found)
                block = drift_block(found, business_date)
                raise RoutingRefused(block.text, steps=(read_plan(business_date), *block.steps))
            if drift == "adopt":
                return _adopt(settings, connection, switch, business_date, found, requested_by, reason)
        elif drift is not None:
            raise RoutingRefused(
                "there is no drift to accept: the switch holds what the last release recorded"
            )
        plan = night_plan(
            settings, connection, business_date, live, found, bootstrap=bootstrap, is_accepted=True
        )
        plan_id = record_plan(connection, settings, plan, requested_by=requested_by)
        if plan.verdict == PlanVerdict.NOTHING_TO_DO:
            if plan.base_version:  # unless it was recorded when it went live
                record_live(settings, connection, plan.base_version, plan.desired, plan.live, plan.diffs)
            return ReleaseResult("unchanged", plan.base_version, plan, headline(plan))
        try:
            _check(plan, approve)
        except ApprovalNeeded:
            record_request(connection, settings, plan, plan_id, requested_by=requested_by)
            raise
        if approve and approved_by:
            asked_by = requester(connection, settings, approve, approved_by, else_by=requested_by)
            requested_by = asked_by or requested_by
            approved_at = approved_at or write_releases.clock(connection)
        if found:
            record_drift(connection, "overwrite", found, requested_by, reason)
        kind: ReleaseKind = "release" if plan.base_version else "bootstrap"
        version = activate(
            settings,
            connection,
            switch,
            plan,
            kind=kind,
            requested_by=requested_by,
            reason=reason,
            approved_by=approved_by if approve else None,
            approved_at=approved_at if approve else None,
        )
        if approve and approved_by:  # what still waits for the same answer need not wait any longer
            write_releases.reply_by_command(
                connection,
                approve,
                "approved",
                answered_by=approved_by,
                reason=reason,
                answered_at=approved_at,
            )
        discard_old(connection, switch)
        return ReleaseResult("released", version, plan, f"{version} is live")


def rollback(settings: Settings, *, requested_by: str, reason: str, to: str | None = None) -> ReleaseResult:
    """Make an earlier version live again, byte for byte, and set a hold.

    `to` is a version; by default the one that the live version replaced when it was first released. A
    rollback is exempt from limits, approval, gates, freeze windows and drift. Only the kill switch stops it.

    Raises RoutingRefused when there is no such version or it does not verify.
    """
    with exclusive(settings) as (connection, switch):
        plan, version = rollback_plan(settings, connection, switch, to)
        found = drift_of(connection, switch.read_live())
        if found:
            record_drift(connection, "overwrite", found, requested_by, reason)
        activate(
            settings,
            connection,
            switch,
            plan,
            kind="rollback",
            requested_by=requested_by,
            reason=reason,
            former=version,
        )
        return ReleaseResult("rolled back", version, plan, f"{version} is live again; {HOLD_HINT}")


def emergency_national(settings: Settings, *, requested_by: str, reason: str) -> ReleaseResult:
    """Send the calls of every zone to the national route at once, and set a hold.

    The table is made from the one on the switch alone, so no mart is needed. Exempt as a rollback is.

    Raises RoutingRefused when the table on the switch cannot be read or has no national default.
    """
    with exclusive(settings) as (connection, switch):
        live = switch.read_live()
        plan = emergency_plan(settings, connection, switch)
        found = drift_of(connection, live)
        if found:
            record_drift(connection, "overwrite", found, requested_by, reason)
        if plan.is_empty and not found:
            write_releases.record_hold(connection, "set", set_by=requested_by, reason=reason)
            message = f"every zone is national already; {HOLD_HINT}"
            return ReleaseResult("unchanged", plan.base_version, plan, message)
        version = activate(
            settings, connection, switch, plan, kind="emergency", requested_by=requested_by, reason=reason
        )
        return ReleaseResult(
            "national", version, plan, f"{version} is live: every zone is national; {HOLD_HINT}"
        )


def _adopt(
    settings: Settings,
    connection: Connection[Any],
    switch: Switch,
    business_date: date,
    drift: Drift,
    requested_by: str,
    reason: str,
) -> ReleaseResult:
    """Make a release of what the switch holds, so that it is the recorded one again."""
    live = drift.live
    assert live is not None
    problems = validate(live.content.frames) if live.content else list(live.problems)
    if problems or live.content is None:
        raise RoutingRefused(
            "what the switch holds is no valid table, so it cannot be adopted:\n" + bullets(problems),
            steps=(overwrite_drift(business_date),),
        )
    day = drift.recorded.effective_date if drift.recorded else None
    plan = exempt_plan(settings, live, Content.of(live.content.frames), day, is_trusted=True)
    record_drift(connection, "adopt", drift, requested_by, reason)
    version = activate(
        settings, connection, switch, plan, kind="adopt", requested_by=requested_by, reason=reason
    )
    return ReleaseResult(
        "adopted", version, plan, f"the switch's own table is recorded as {version}; plan again"
    )


def _check(plan: Plan, approve: str | None) -> None:
    """Raises unless this plan may be applied now."""
    if plan.verdict.is_stopped:
        raise RoutingRefused(explain_verdict(plan), steps=of_verdict(plan))
    if approve and approve != plan.plan_hash:
        raise RoutingRefused(
            f"the approval is for plan {approve}, but the plan is now {plan.plan_hash}: the content or the "
            "live table changed since, so the switch keeps its table",
            steps=(
                read_plan(plan.business_date),
                Step("run `export_routing` again in Airflow", is_alternative=True),
                Step("approve that plan"),
            ),
        )
    if plan.approvals and not approve:
        raise ApprovalNeeded(explain_verdict(plan), steps=of_verdict(plan))
