"""Releases: from a plan to a live table and back, one at a time, never half.

The order of every release, the exempt ones included:

1. the advisory lock (one release at a time) and a fencing token, on one connection that lives as long;
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import polars as pl
import psycopg
from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

from parc.errors import ApprovalNeeded, Busy, ConfigurationError, RoutingRefused
from parc.routing import audit
from parc.routing.audit import Connection, Kind, Recorded
from parc.routing.diff import diff
from parc.routing.guards import Proposal, frozen, validate
from parc.routing.inputs import Provenance, code_version, read_demand, read_inputs
from parc.routing.planning import Plan, make_plan
from parc.routing.state import desired_state, effective_date
from parc.routing.switches import Reading, Release, Switch, open_switch
from parc.routing.tables import NATIONAL_ZONE, Content
from parc.routing.volumes import calls_moved
from parc.settings import Settings
from parc.warehouse import connect

LOCK = 7_201_200_020
VERSIONS_KEPT = 14

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drift:
    """The switch holds something else than the last release recorded."""

    recorded: Recorded | None
    live: Reading | None
    detail: str


@dataclass(frozen=True)
class Outcome:
    """What came of an apply, a rollback or an emergency; `version` is the one live afterwards."""

    status: Literal["released", "unchanged", "adopted", "rolled back", "national"]
    version: str | None
    plan: Plan
    message: str


def plan(settings: Settings, business_date: date, *, bootstrap: bool = False) -> Plan:
    """What `apply` would do for this business date, and what stands in its way. Changes nothing.

    Raises ConfigurationError when an input is missing, RoutingRefused when the switch cannot be read.
    """
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        live = switch.read_live()
        found = drift_of(connection, live)
        return _night_plan(
            settings, connection, business_date, live, found, bootstrap=bootstrap, is_accepted=False
        )


def plan_rollback(settings: Settings, *, to: str | None = None) -> Plan:
    """What `rollback` would change. Changes nothing."""
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        return _rollback_plan(settings, connection, switch, to)[0]


def plan_emergency(settings: Settings) -> Plan:
    """What `emergency_national` would change. Changes nothing."""
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        return _emergency_plan(settings, connection, switch)


def apply(
    settings: Settings,
    business_date: date,
    *,
    requested_by: str,
    reason: str,
    bootstrap: bool = False,
    approve: str | None = None,
    approved_by: str | None = None,
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
                raise RoutingRefused(_drift_message(found, business_date))
            if drift == "adopt":
                return _adopt(settings, connection, switch, found, requested_by, reason)
        elif drift is not None:
            raise RoutingRefused(
                "there is no drift to accept: the switch holds what the last release recorded"
            )
        proposed = _night_plan(
            settings, connection, business_date, live, found, bootstrap=bootstrap, is_accepted=True
        )
        if proposed.verdict == "nothing to do":
            return Outcome(
                "unchanged", proposed.base_version, proposed, "the switch holds this table already"
            )
        _check(proposed, approve)
        if found:
            _record_drift(connection, "overwrite", found, requested_by, reason)
        kind: Kind = "release" if proposed.base_version else "bootstrap"
        version = _release(
            settings, connection, switch, proposed, kind=kind, requested_by=requested_by, reason=reason,
            approved_by=approved_by if approve else None,
        )  # fmt: skip
        _discard(connection, switch)
        return Outcome("released", version, proposed, f"{version} is live")


def rollback(settings: Settings, *, requested_by: str, reason: str, to: str | None = None) -> Outcome:
    """Make an earlier version live again, byte for byte, and set a hold.

    `to` is a version; by default the one that the live version replaced when it was first released. Exempt
    from limits, approval, gates, freeze windows and drift; the kill switch stops it too.

    Raises RoutingRefused when there is no such version or it does not verify.
    """
    with _exclusive(settings) as (connection, switch):
        proposed, version = _rollback_plan(settings, connection, switch, to)
        found = drift_of(connection, switch.read_live())
        if found:
            _record_drift(connection, "overwrite", found, requested_by, reason)
        _release(
            settings, connection, switch, proposed, kind="rollback", requested_by=requested_by, reason=reason,
            former=version,
        )  # fmt: skip
        return Outcome("rolled back", version, proposed, f"{version} is live again; {_HOLD_HINT}")


def emergency_national(settings: Settings, *, requested_by: str, reason: str) -> Outcome:
    """Send every zone's calls to the national route at once, and set a hold.

    Made from the table on the switch alone, so it needs no mart; exempt as a rollback is.

    Raises RoutingRefused when the switch's table cannot be read or has no national default.
    """
    with _exclusive(settings) as (connection, switch):
        live = switch.read_live()
        proposed = _emergency_plan(settings, connection, switch)
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


_HOLD_HINT = "no release follows until `parc routing release-hold`"


@contextmanager
def _exclusive(settings: Settings) -> Iterator[tuple[Connection, Switch]]:
    """The lock, held by a session: it goes when the process does. What a killed run left is settled first."""
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if not row or not row[0]:
            raise Busy(
                "another routing release is running; try again when it has ended (`parc routing status`)"
            )
        try:
            disabled = audit.kill_switch(connection)
            if disabled:
                raise RoutingRefused(
                    f"routing is disabled by {disabled}; `parc routing enable` allows releases again"
                )
            left = audit.unfinished(connection)
            if left:
                _settle(connection, switch, left, audit.next_fence(connection))
            yield connection, switch
        finally:
            # The server ends a closed session in its own time, and the next run would find the lock taken.
            with suppress(psycopg.OperationalError):
                connection.execute("select pg_advisory_unlock(%s)", [LOCK])


def _night_plan(
    settings: Settings,
    connection: Connection,
    business_date: date,
    live: Reading | None,
    found: Drift | None,
    *,
    bootstrap: bool,
    is_accepted: bool,
) -> Plan:
    day = effective_date(business_date)
    inputs, around = read_inputs(settings, business_date, day)
    desired = desired_state(inputs, day)
    base = _comparable(live, is_trusted=found is None)
    blocks = frozen(around.freezes, utc_now(), day)
    held, disabled = audit.hold(connection), audit.kill_switch(connection)
    if held:
        blocks.append(f"held by {held}; `parc routing release-hold` lets releases through again")
    if disabled:
        blocks.append(f"routing is disabled by {disabled}; `parc routing enable` allows releases again")
    if found and found.live is not None and not is_accepted:
        blocks.append(_drift_message(found, business_date))
    return make_plan(
        Proposal(day, inputs, around.demand, base, desired, diff(base, desired)),
        business_date=business_date,
        base=live,
        blocks=blocks,
        is_drifted=found is not None and found.live is not None,
        provenance=around.provenance,
        is_bootstrap_allowed=bootstrap,
    )


def _rollback_plan(
    settings: Settings, connection: Connection, switch: Switch, to: str | None
) -> tuple[Plan, str]:
    live = switch.read_live()
    version = to or _before(connection, live)
    origin = audit.first_activation(connection, version) if version else None
    if version is None or origin is None:
        known = ", ".join(sorted(audit.recent_versions(connection, VERSIONS_KEPT))) or "none"
        what = (
            f"no release was recorded as {version}" if version else "there is no release before the live one"
        )
        raise RoutingRefused(f"{what}; the last ones are: {known} (`parc routing rollback --to VERSION`)")
    if live and live.version == version and not live.problems:
        raise RoutingRefused(f"{version} is live already")
    former = switch.verify(version)
    problem = _mismatch(former, origin)
    if problem or former.content is None:
        raise RoutingRefused(
            f"{version} cannot be restored: {problem}; choose another: `parc routing rollback --to VERSION`"
        )
    return _exempt_plan(settings, live, former.content, origin.effective_date, is_trusted=False), version


def _before(connection: Connection, live: Reading | None) -> str | None:
    """What a rollback goes back to: the last recorded version where the switch has strayed from it, else the
    one that the live version replaced when it was first released."""
    recorded = audit.last_activated(connection)
    if recorded is None:
        return None
    if live is None or live.version != recorded.version:
        return recorded.version
    origin = audit.first_activation(connection, recorded.version)
    return origin.base_version if origin else None


def _emergency_plan(settings: Settings, connection: Connection, switch: Switch) -> Plan:
    live = switch.read_live()
    if live is None or live.content is None:
        what = "; ".join(live.problems) if live else "it is empty"
        raise RoutingRefused(
            f"the table on the switch cannot be sent to the national route: {what}. Restore one with "
            "`parc routing rollback`, or make the first with `parc routing apply --bootstrap`"
        )
    frames = live.content.frames
    national = frames["routes"].filter(pl.col("zone_code") == NATIONAL_ZONE)
    everywhere = frames["routes"].select("zone_code").unique().join(national.drop("zone_code"), how="cross")
    desired = Content.of({**frames, "routes": everywhere})
    problems = validate(desired.frames)
    if problems:
        raise RoutingRefused(
            "the table on the switch has no national route to fall back on; `parc routing rollback` restores "
            "an earlier one:\n" + _bullets(problems)
        )
    recorded = audit.last_activated(connection)
    return _exempt_plan(
        settings, live, desired, recorded.effective_date if recorded else None, is_trusted=True
    )


def _exempt_plan(
    settings: Settings, live: Reading | None, desired: Content, day: date | None, *, is_trusted: bool
) -> Plan:
    """The plan of a release that no guard judges; calls moved are told where the volumes can be read."""
    base = _comparable(live, is_trusted=is_trusted)
    diffs = diff(base, desired)
    moved = None
    if base and day:
        try:
            demand = read_demand(settings, day - timedelta(days=1))
            moved = calls_moved(base.frames, desired.frames, diffs, demand, day)
        except (ConfigurationError, dbapi.Error) as error:
            log.warning("calls moved are unknown: %s", error)
    return Plan(
        business_date=None,
        effective_date=day,
        base_version=live.version if live else None,
        base_digest=live.digest if live else None,
        base_fence=live.fence if live else 0,
        live=base,
        desired=desired,
        diffs=diffs,
        moved=moved,
        provenance=Provenance(code_version=code_version()),
    )


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
            + _bullets(problems)
        )
    day = found.recorded.effective_date if found.recorded else None
    proposed = _exempt_plan(settings, live, Content.of(live.content.frames), day, is_trusted=True)
    _record_drift(connection, "adopt", found, requested_by, reason)
    version = _release(
        settings, connection, switch, proposed, kind="adopt", requested_by=requested_by, reason=reason
    )
    return Outcome(
        "adopted", version, proposed, f"the switch's own table is recorded as {version}; plan again"
    )


def drift_of(connection: Connection, live: Reading | None) -> Drift | None:
    """How the switch has strayed from what was recorded; a release killed after its flip is no drift."""
    recorded, left = audit.last_activated(connection), audit.unfinished(connection)
    if left and live and (left.version, left.content_digest) == (live.version, live.digest):
        recorded = left
    if recorded is None:
        return Drift(None, live, "the switch has a table that no release recorded") if live else None
    if live is None:
        return Drift(recorded, None, f"the switch is empty, {recorded.version} was recorded")
    problem = _mismatch(live, recorded)
    return Drift(recorded, live, problem) if problem else None


def _drift_message(found: Drift, business_date: date) -> str:
    version = found.recorded.version if found.recorded else "none"
    return (
        f"drift: the switch does not hold the last recorded release ({version}): {found.detail}. Accept it "
        f"first: `parc routing apply --date {business_date} --drift adopt` (the switch is right) or "
        "`--drift overwrite` (the release is)"
    )


def _record_drift(
    connection: Connection,
    action: str,
    found: Drift,
    accepted_by: str | None = None,
    reason: str | None = None,
) -> None:
    audit.record_drift(
        connection, action, recorded=found.recorded, live_version=found.live.version if found.live else None,
        live_digest=found.live.digest if found.live else None, detail=found.detail, accepted_by=accepted_by,
        reason=reason,
    )  # fmt: skip


def _comparable(live: Reading | None, *, is_trusted: bool) -> Content | None:
    """The live content where changes can be counted against it."""
    if live is None or live.content is None or (not is_trusted and validate(live.content.frames)):
        return None
    return live.content


def _check(proposed: Plan, approve: str | None) -> None:
    """Whether this plan may be applied now."""
    for_date = f"--date {proposed.business_date}"
    if proposed.refusals:
        raise RoutingRefused(
            f"routing release for {proposed.effective_date} refused; the switch keeps its table:\n"
            + _bullets(proposed.refusals)
            + f"\nSee `parc routing plan {for_date}`; mend the data or the seeds, then `parc build` "
            "and apply again"
        )
    if proposed.blocks:
        raise RoutingRefused(
            f"no routing release for {proposed.effective_date}:\n" + _bullets(proposed.blocks)
        )
    if approve and approve != proposed.plan_hash:
        raise RoutingRefused(
            f"the approval is for plan {approve}, but the plan is now {proposed.plan_hash}: the content or "
            f"the live table changed since. Look again (`parc routing plan {for_date}`) and approve that one"
        )
    if proposed.approvals and not approve:
        raise ApprovalNeeded(
            f"the routing release for {proposed.effective_date} needs a person's approval:\n"
            + _bullets(proposed.approvals)
            + f"\nSee `parc routing plan {for_date}`, then `parc routing apply {for_date}"
            f"{' --drift overwrite' if proposed.is_drifted else ''} --approve {proposed.plan_hash}`"
        )


def _bullets(entries: Iterable[object]) -> str:
    return "\n".join(f"  - {entry}" for entry in entries)


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
    former: str | None = None,
) -> str:
    """Steps 4 to 6; `former` names a version that the switch has already. Returns the version now live."""
    fence = audit.next_fence(connection)
    version = former or f"{fence:08d}-{proposed.desired.digest[:12]}"
    with connection.transaction():
        release_id = audit.begin_release(
            connection, proposed, kind=kind, version=version, fence=fence, requested_by=requested_by,
            reason=reason, approved_by=approved_by, secret=settings.pseudonym_secret,
        )  # fmt: skip
        if kind in ("rollback", "emergency"):
            audit.record_hold(connection, "set", set_by=requested_by, reason=reason, release_id=release_id)
    intent = audit.unfinished(connection)
    assert intent is not None and intent.release_id == release_id
    try:
        if former is None:
            switch.stage(Release(version, proposed.desired, asdict(proposed.provenance)))
        problem = _mismatch(switch.verify(version), intent)
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


def _mismatch(reading: Reading | None, meant: Recorded) -> str:
    """How what the switch holds differs from what was meant; empty where it does not."""
    if reading is None:
        return "the switch has no active table"
    if reading.version != meant.version:
        return f"the switch has {reading.version} active"
    if reading.problems:
        return "; ".join(reading.problems)
    return "" if reading.digest == meant.content_digest else "the content is not that of the release (digest)"


def _settle(
    connection: Connection, switch: Switch, intent: Recorded, fence: int
) -> tuple[Literal["activated", "rolled_back", "abandoned"], str]:
    """Bring a begun release to its end by what the switch says, and roll back what is live and not whole.

    Returns the end and, where it is not "activated", why.
    """
    pointer = switch.pointer()
    if pointer.version == intent.version:
        problem = _mismatch(switch.read_live(), intent)
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


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)
