"""Releases: from a plan to a live table and back, one at a time, never half.

The order of every release, the exempt ones included:

1. the lock (one release at a time) and a fencing token, on one connection that lives as long;
2. a release that a killed process left behind is settled by what the switch says;
3. plan, checks, approval;
4. the intent with its rows is committed to ops.routing_release;
5. stage -> verify on the idle side -> activate (the one atomic step) -> read back;
6. the end is committed: activated, or rolled back with a hold.

Killed before 5's last step, the old table stays live; killed after it, the next run finds the new one live,
reads it back and records the end.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import polars as pl

from parc.errors import ApprovalNeeded, RoutingRefused
from parc.ledger import locks
from parc.numbers import e164
from parc.pseudonyms import Pseudonyms
from parc.routing.judges.guards import validate
from parc.routing.plans.plan import Plan
from parc.routing.steering import audit
from parc.routing.steering.approval import record_request, requester
from parc.routing.steering.audit import Connection, Kind, Recorded
from parc.routing.steering.drafting import (
    VERSIONS_KEPT,
    Drift,
    bullets,
    drift_message,
    drift_of,
    emergency_plan,
    exempt_plan,
    mismatch,
    night_plan,
    rollback_plan,
    urgent_plan,
)
from parc.routing.switches import Release, Switch, open_switch, readable
from parc.routing.table.content import Content
from parc.settings import Settings
from parc.warehouse import connect

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of an apply, a rollback or an emergency; `version` is the one live afterwards."""

    status: Literal["released", "unchanged", "adopted", "rolled back", "national"]
    version: str | None
    plan: Plan
    message: str


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
) -> Outcome:
    """Bring the switch to the desired state of a business date, or say why not.

    `approve` is the hash of the plan that `approved_by` has seen; it counts for that content on that live
    base alone. `drift` accepts that the switch holds something else than recorded: "adopt" makes a release
    of what it holds and stops there, "overwrite" goes on from it.

    Raises ApprovalNeeded when a person must approve, Busy when another release runs, RoutingRefused
    otherwise; the message names the rule, the figures and the command that mends it.
    """
    if approve and not approved_by:
        raise RoutingRefused("an approval needs a name: say who approves (approved_by)")
    with _exclusive(settings) as (connection, switch):
        live = switch.read_live()
        found = drift_of(connection, live)
        if found and found.live is not None:
            if drift is None:
                _record_drift(connection, "detected", found)
                raise RoutingRefused(drift_message(found, business_date))
            if drift == "adopt":
                return _adopt(settings, connection, switch, found, requested_by, reason)
        elif drift is not None:
            raise RoutingRefused(
                "there is no drift to accept: the switch holds what the last release recorded"
            )
        proposed = night_plan(
            settings, connection, business_date, live, found, bootstrap=bootstrap, is_accepted=True
        )
        if proposed.verdict == "nothing to do":
            return Outcome(
                "unchanged", proposed.base_version, proposed, "the switch holds this table already"
            )
        try:
            _check(proposed, approve)
        except ApprovalNeeded:
            record_request(connection, settings, proposed, requested_by=requested_by)
            raise
        if approve and approved_by:
            asked_by = requester(connection, settings, approve, approved_by, else_by=requested_by)
            requested_by = asked_by or requested_by
        if found:
            _record_drift(connection, "overwrite", found, requested_by, reason)
        kind: Kind = "release" if proposed.base_version else "bootstrap"
        version = _release(
            settings,
            connection,
            switch,
            proposed,
            kind=kind,
            requested_by=requested_by,
            reason=reason,
            approved_by=approved_by if approve else None,
            approved_at=approved_at if approve else None,
        )
        _discard(connection, switch)
        return Outcome("released", version, proposed, f"{version} is live")


def rollback(settings: Settings, *, requested_by: str, reason: str, to: str | None = None) -> Outcome:
    """Make an earlier version live again, byte for byte, and set a hold.

    `to` is a version; by default the one that the live version replaced when it was first released. Exempt
    from limits, approval, gates, freeze windows and drift; the kill switch stops it too.

    Raises RoutingRefused when there is no such version or it does not verify.
    """
    with _exclusive(settings) as (connection, switch):
        proposed, version = rollback_plan(settings, connection, switch, to)
        found = drift_of(connection, switch.read_live())
        if found:
            _record_drift(connection, "overwrite", found, requested_by, reason)
        _release(
            settings,
            connection,
            switch,
            proposed,
            kind="rollback",
            requested_by=requested_by,
            reason=reason,
            former=version,
        )
        return Outcome("rolled back", version, proposed, f"{version} is live again; {_HOLD_HINT}")


def emergency_national(settings: Settings, *, requested_by: str, reason: str) -> Outcome:
    """Send every zone's calls to the national route at once, and set a hold.

    Made from the table on the switch alone, so it needs no mart; exempt as a rollback is.

    Raises RoutingRefused when the switch's table cannot be read or has no national default.
    """
    with _exclusive(settings) as (connection, switch):
        live = switch.read_live()
        proposed = emergency_plan(settings, connection, switch)
        found = drift_of(connection, live)
        if found:
            _record_drift(connection, "overwrite", found, requested_by, reason)
        if proposed.is_empty and not found:
            audit.record_hold(connection, "set", set_by=requested_by, reason=reason)
            return Outcome(
                "unchanged", proposed.base_version, proposed, f"all is national already; {_HOLD_HINT}"
            )
        version = _release(
            settings, connection, switch, proposed, kind="emergency", requested_by=requested_by, reason=reason
        )
        return Outcome(
            "national", version, proposed, f"{version} is live: every zone is national; {_HOLD_HINT}"
        )


def assign(settings: Settings, number: str, zone_code: str, *, requested_by: str, reason: str) -> Outcome:
    """Send the calls of one number to a zone at once, and keep it so in every later release.

    `number` in any spelling. Exempt as a rollback is, without its hold: nothing else changes. It is recorded
    first: where the release then fails, the next one that succeeds brings it.

    Raises RoutingRefused when it is no telephone number, the zone is unknown or the switch has strayed.
    """
    known = pl.select(e164(pl.lit(number))).item()
    if not known:
        raise RoutingRefused(f"{number} is no telephone number that a call can come from")
    with _exclusive(settings) as (connection, switch):
        live = switch.read_live()
        found = drift_of(connection, live)
        if found:
            raise RoutingRefused(_strayed(found))
        proposed = urgent_plan(settings, live, known, zone_code)
        with connection.transaction():
            audit.record_urgent(connection, known, zone_code, set_by=requested_by, reason=reason)
        if proposed.is_empty:
            return Outcome("unchanged", proposed.base_version, proposed, "the switch sends it there already")
        recorded = audit.last_activated(connection)
        assert recorded is not None
        version = _release(
            settings,
            connection,
            switch,
            replace(proposed, effective_date=recorded.effective_date),
            kind="release",
            requested_by=requested_by,
            reason=reason,
        )
        return Outcome("released", version, proposed, f"{version} is live: {number} goes to zone {zone_code}")


def unassign(settings: Settings, number: str, *, requested_by: str, reason: str) -> None:
    """Let the line assignments and prefixes decide over a number again, from the next release on."""
    known = pl.select(e164(pl.lit(number))).item()
    with connect(settings, "exporter") as connection:
        row = connection.execute("select 1 from routing.urgent_zone where number = %s", [known]).fetchone()
        if not row:
            raise RoutingRefused(f"{number} is not assigned by hand")
        audit.record_urgent(connection, known, None, set_by=requested_by, reason=reason)


def forget_numbers(settings: Settings, pseudonyms: Collection[UUID], *, requested_by: str) -> str | None:
    """Send the switch its table without the numbers that have these pseudonyms, and have it forget the tables
    that had them; returns the version that is live then, None where no table had one.

    Exempt as `assign` is. The table is sent twice, so that the one before it has no such number either: a
    rollback reaches back to tables without them alone.

    Raises Busy when another release runs, RoutingRefused when the switch has strayed or does not take it.
    """
    known = Pseudonyms.of_settings(settings)

    def is_without(content: Content | None) -> bool:
        return (
            content is not None
            and known.those_of(content.frames["exceptions"]["number"], pseudonyms).is_empty()
        )

    with _exclusive(settings) as (connection, switch):
        pointer = switch.pointer()
        reachable = {version for version in (pointer.version, pointer.previous) if version}
        versions = audit.recent_versions(connection, VERSIONS_KEPT) | reachable
        without = {version for version in versions if is_without(switch.verify(version).content)}
        live = None
        if reachable - without:
            found = drift_of(connection, switch.read_live())
            if found:
                raise RoutingRefused(_strayed(found).removesuffix("."))
            recorded = audit.last_activated(connection)
            for _ in range(2):
                reading = switch.read_live()
                frames = dict(readable(reading).frames)
                gone = known.those_of(frames["exceptions"]["number"], pseudonyms)
                frames["exceptions"] = frames["exceptions"].filter(~pl.col("number").is_in(gone.implode()))
                proposed = exempt_plan(settings, reading, Content.of(frames), None, is_trusted=True)
                live = _release(
                    settings,
                    connection,
                    switch,
                    replace(proposed, effective_date=recorded.effective_date if recorded else None),
                    kind="release",
                    requested_by=requested_by,
                    reason="a person was forgotten",
                )
        # With what cannot be read, and what was staged and never live: they may have the number too.
        switch.discard(without)
        return live


_HOLD_HINT = "no release follows until `parc routing release-hold`"


def _strayed(found: Drift) -> str:
    return (
        f"the switch has strayed from its last release: {found.detail}. That comes first: "
        "`parc routing verify`, then `parc routing apply --drift adopt` or `--drift overwrite`."
    )


@contextmanager
def _exclusive(settings: Settings) -> Iterator[tuple[Connection, Switch]]:
    """The lock, held by a session: it goes when the process does. What a killed run left is settled first."""
    switch = open_switch(settings)
    busy = "another routing release is running; try again when it has ended (`parc routing status`)"
    with (
        connect(settings, "exporter", autocommit=True) as connection,
        locks.held(connection, locks.ROUTING, busy),
    ):
        disabled = audit.kill_switch(connection)
        if disabled:
            raise RoutingRefused(
                f"routing is disabled by {disabled}; `parc routing enable` allows releases again"
            )
        left = audit.unfinished(connection)
        if left:
            _settle(connection, switch, left, audit.next_fence(connection))
        yield connection, switch


def _adopt(
    settings: Settings, connection: Connection, switch: Switch, found: Drift, requested_by: str, reason: str
) -> Outcome:
    """Make a release of what the switch holds, so that it is the recorded one again."""
    live = found.live
    assert live is not None
    problems = validate(live.content.frames) if live.content else list(live.problems)
    if problems or live.content is None:
        raise RoutingRefused(
            "what the switch holds is no table to adopt; `--drift overwrite` replaces it:\n"
            + bullets(problems)
        )
    day = found.recorded.effective_date if found.recorded else None
    proposed = exempt_plan(settings, live, Content.of(live.content.frames), day, is_trusted=True)
    _record_drift(connection, "adopt", found, requested_by, reason)
    version = _release(
        settings, connection, switch, proposed, kind="adopt", requested_by=requested_by, reason=reason
    )
    return Outcome(
        "adopted", version, proposed, f"the switch's own table is recorded as {version}; plan again"
    )


def _record_drift(
    connection: Connection,
    action: str,
    found: Drift,
    accepted_by: str | None = None,
    reason: str | None = None,
) -> None:
    audit.record_drift(
        connection,
        action,
        recorded=found.recorded,
        live_version=found.live.version if found.live else None,
        live_digest=found.live.digest if found.live else None,
        detail=found.detail,
        accepted_by=accepted_by,
        reason=reason,
    )


def _check(proposed: Plan, approve: str | None) -> None:
    """Whether this plan may be applied now."""
    for_date = f"--date {proposed.business_date}"
    if proposed.refusals:
        raise RoutingRefused(
            f"routing release for {proposed.effective_date} refused; the switch keeps its table:\n"
            + bullets(proposed.refusals)
            + f"\nSee `parc routing plan {for_date}`; mend the data or the seeds, then `parc build` "
            "and apply again"
        )
    if proposed.blocks:
        raise RoutingRefused(
            f"no routing release for {proposed.effective_date}:\n" + bullets(proposed.blocks)
        )
    if approve and approve != proposed.plan_hash:
        raise RoutingRefused(
            f"the approval is for plan {approve}, but the plan is now {proposed.plan_hash}: the content or "
            f"the live table changed since, so the switch keeps its table. Look again (`parc routing plan "
            f"{for_date}`, or run `export_routing` again in Airflow) and approve that one"
        )
    if proposed.approvals and not approve:
        raise ApprovalNeeded(
            f"the routing release for {proposed.effective_date} needs a person's approval:\n"
            + bullets(proposed.approvals)
            + f"\nSee `parc routing plan {for_date}`, then `parc routing apply {for_date}"
            f"{' --drift overwrite' if proposed.is_drifted else ''} --approve {proposed.plan_hash}`"
        )


def _release(
    settings: Settings,
    connection: Connection,
    switch: Switch,
    proposed: Plan,
    *,
    kind: Kind,
    requested_by: str,
    reason: str,
    approved_by: str | None = None,
    approved_at: datetime | None = None,
    former: str | None = None,
) -> str:
    """Steps 4 to 6; `former` names the version that the desired content has already. Returns what is live."""
    fence = audit.next_fence(connection)
    version = former or f"{fence:08d}-{proposed.desired.digest[:12]}"
    with connection.transaction():
        release_id = audit.begin_release(
            connection,
            proposed,
            kind=kind,
            version=version,
            fence=fence,
            requested_by=requested_by,
            reason=reason,
            approved_by=approved_by,
            approved_at=approved_at,
            run=settings.airflow_run,
            pseudonyms=Pseudonyms.of_settings(settings),
        )
        if kind in ("rollback", "emergency"):
            audit.record_hold(connection, "set", set_by=requested_by, reason=reason, release_id=release_id)
    intent = audit.unfinished(connection)
    assert intent is not None and intent.release_id == release_id
    try:
        switch.stage(Release(version, proposed.desired, asdict(proposed.provenance)))
        problem = mismatch(switch.verify(version), intent)
    except Exception as error:
        audit.record_event(connection, release_id, "failed", f"staging: {error}")
        raise RoutingRefused(f"{version} could not be staged, the switch keeps its table: {error}") from error
    if problem:
        audit.record_event(connection, release_id, "failed", problem)
        raise RoutingRefused(f"{version} does not verify on the switch, which keeps its table: {problem}")
    audit.record_event(connection, release_id, "staged")
    cause: Exception | None = None
    try:
        # The event above went through this session, so the lock is still ours; the token guards the rest.
        switch.activate(version, fence)
    except Exception as error:
        cause = error  # it may have changed the switch all the same: what the switch says counts
    end, detail = _settle(connection, switch, intent, fence)
    if end == "rolled_back":
        back = intent.base_version or "no table, as before"
        raise RoutingRefused(
            f"{version} did not verify after activation ({detail}); rolled back to {back} and held: find the "
            "cause, then `parc routing release-hold`"
        ) from cause
    if end == "abandoned":
        raise RoutingRefused(
            f"{version} could not be activated, the switch keeps its table: {cause or detail}"
        ) from cause
    return version


def _settle(
    connection: Connection, switch: Switch, intent: Recorded, fence: int
) -> tuple[Literal["activated", "rolled_back", "abandoned"], str]:
    """Bring a begun release to its end by what the switch says, and roll back what is live and not whole.

    Returns the end and, where it is not "activated", why.
    """
    pointer = switch.pointer()
    if pointer.version == intent.version:
        problem = mismatch(switch.read_live(), intent)
        if not problem:
            audit.record_event(connection, intent.release_id, "activated")
            return "activated", ""
        switch.rollback(fence)
    elif pointer.previous == intent.version and pointer.fence >= intent.fence:
        problem = "its process ended while it was rolled back"
    else:
        problem = f"the switch did not change to it, {pointer.version} is active"
        audit.record_event(connection, intent.release_id, "abandoned", problem)
        return "abandoned", problem
    audit.record_automatic_rollback(connection, intent, problem)
    return "rolled_back", problem


def _discard(connection: Connection, switch: Switch) -> None:
    """Forget old versions, and with them their numbers; that is housekeeping and fails no release."""
    try:
        switch.discard(audit.recent_versions(connection, VERSIONS_KEPT))
    except OSError:
        log.exception("old releases could not be discarded")
