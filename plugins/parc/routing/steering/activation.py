"""Bringing a plan to the switch: one release at a time, never half.

The order of every release, the exempt ones included:

1. Take the lock (one release at a time), on a connection that lives as long as the release.
2. Settle a release that a killed process left behind, by what the switch says.
3. Make and check the plan.
4. Take a fencing token and commit the intent with its rows to ops.routing_release.
5. Stage, verify on the idle side, activate (the one atomic step), read back.
6. Commit the end: activated, or rolled back with a hold. Record the table that is live, for the pages.

If the process is killed before the last step of 5, the old table stays live. If it is killed after that, the
next run finds the new table live, reads it back and records the end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection

from parc.errors import RoutingRefused, parts_of
from parc.findings import Step
from parc.ledger import locks, releases, write_releases
from parc.ledger.releases import RecordedRelease, ReleaseKind
from parc.routing.plans.plan import Plan
from parc.routing.plans.remedies import RELEASE_HOLD, accept_drift, read_plan
from parc.routing.steering.drafting import VERSIONS_KEPT, Drift, kill_switch_block, mismatch
from parc.routing.steering.live_record import record_live
from parc.routing.steering.record import begin_release
from parc.routing.switches import Release, Switch, open_switch
from parc.settings import Settings
from parc.warehouse import connect

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReleaseResult:
    """The result of an apply, a rollback, an emergency or an assignment; `version` is live afterwards."""

    status: Literal["released", "unchanged", "adopted", "rolled back", "national"]
    version: str | None
    plan: Plan
    message: str


@contextmanager
def exclusive(settings: Settings) -> Iterator[tuple[Connection[Any], Switch]]:
    """Steps 1 and 2. The lock belongs to a database session, so it goes when the process does.

    Raises Busy when another release runs, RoutingRefused when routing is disabled.
    """
    switch = open_switch(settings)
    busy = "another routing release is running"
    with (
        connect(settings, "exporter", autocommit=True) as connection,
        locks.held(connection, locks.ROUTING, busy),
    ):
        disabled = kill_switch_block(connection)
        if disabled:
            raise RoutingRefused(disabled.text, steps=disabled.steps)
        left = releases.unfinished(connection)
        if left:
            settle(connection, switch, left, write_releases.next_fence(connection))
        yield connection, switch


def activate(
    settings: Settings,
    connection: Connection[Any],
    switch: Switch,
    plan: Plan,
    *,
    kind: ReleaseKind,
    requested_by: str,
    reason: str,
    approved_by: str | None = None,
    approved_at: datetime | None = None,
    former: str | None = None,
) -> str:
    """Steps 4 to 6; returns the version that is live. `former` is the version that already has the content.

    Raises RoutingRefused when the release did not go live or had to be rolled back.
    """
    fence = write_releases.next_fence(connection)
    version = former or f"{fence:08d}-{plan.desired.digest[:12]}"
    with connection.transaction():
        release_id = begin_release(
            connection,
            settings,
            plan,
            kind=kind,
            version=version,
            fence=fence,
            requested_by=requested_by,
            reason=reason,
            approved_by=approved_by,
            approved_at=approved_at,
        )
        if kind in ("rollback", "emergency"):
            write_releases.record_hold(
                connection, "set", set_by=requested_by, reason=reason, release_id=release_id
            )
    intent = releases.unfinished(connection)
    assert intent is not None and intent.release_id == release_id
    try:
        switch.stage(Release(version, plan.desired, asdict(plan.provenance)))
        problem = mismatch(switch.verify(version), intent)
    except Exception as error:
        why, steps = parts_of(error)
        write_releases.record_event(connection, release_id, "failed", f"staging: {why}")
        raise RoutingRefused(
            f"{version} could not be staged, the switch keeps its table: {why}", steps=steps
        ) from error
    if problem:
        write_releases.record_event(connection, release_id, "failed", problem)
        raise RoutingRefused(f"{version} does not verify on the switch, which keeps its table: {problem}")
    write_releases.record_event(connection, release_id, "staged")
    cause: Exception | None = None
    try:
        # The event above went through this session, so we still hold the lock. From here the token protects.
        switch.activate(version, fence)
    except Exception as error:
        cause = error  # the switch may have changed all the same: what it says counts
    end, detail = settle(connection, switch, intent, fence)
    if end == "rolled_back":
        back = intent.base_version or "no table, as before"
        raise RoutingRefused(
            f"{version} did not verify after activation ({detail}); rolled back to {back} and held",
            steps=(Step("find the cause"), RELEASE_HOLD),
        ) from cause
    if end == "abandoned":
        why, steps = parts_of(cause) if cause else (detail, ())
        raise RoutingRefused(
            f"{version} could not be activated, the switch keeps its table: {why}", steps=steps
        ) from cause
    record_live(settings, connection, version, plan.desired, plan.live, plan.diffs)
    return version


def settle(
    connection: Connection[Any], switch: Switch, intent: RecordedRelease, fence: int
) -> tuple[Literal["activated", "rolled_back", "abandoned"], str]:
    """End a release by what the switch says: if its table is live but damaged, it is rolled back.

    Returns the end and, unless that is "activated", the reason.
    """
    pointer = switch.pointer()
    if pointer.version == intent.version:
        problem = mismatch(switch.read_live(), intent)
        if not problem:
            write_releases.record_event(connection, intent.release_id, "activated")
            return "activated", ""
        switch.rollback(fence)
    elif pointer.previous == intent.version and pointer.fence >= intent.fence:
        problem = "its process ended while it was rolled back"
    else:
        problem = f"the switch did not change to it, {pointer.version} is active"
        write_releases.record_event(connection, intent.release_id, "abandoned", problem)
        return "abandoned", problem
    write_releases.record_automatic_rollback(connection, intent, problem)
    return "rolled_back", problem


def record_drift(
    connection: Connection[Any],
    action: Literal["detected", "adopt", "overwrite"],
    drift: Drift,
    accepted_by: str | None = None,
    reason: str | None = None,
) -> None:
    """Record that the switch has drifted, or that somebody accepted it."""
    write_releases.record_drift(
        connection,
        action,
        recorded=drift.recorded,
        live_version=drift.live.version if drift.live else None,
        live_digest=drift.live.digest if drift.live else None,
        detail=drift.detail,
        accepted_by=accepted_by,
        reason=reason,
    )


def strayed(drift: Drift) -> RoutingRefused:
    """Why nothing can be changed while the switch has drifted, and what to do first."""
    return RoutingRefused(
        f"the switch differs from its last release: {drift.detail}",
        steps=(read_plan(None), *accept_drift(None)),
    )


def discard_old(connection: Connection[Any], switch: Switch) -> None:
    """Have the switch forget old versions, and with them their numbers. A failure does not fail the
    release."""
    try:
        switch.discard(releases.recent_versions(connection, VERSIONS_KEPT))
    except OSError:
        log.exception("old releases could not be discarded")
