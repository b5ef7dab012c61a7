"""The plans of every kind of release, drafted from the switch, the record and the inputs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import adbc_driver_manager
import polars as pl
import psycopg
from psycopg import Connection

from parc.errors import ConfigurationError, RoutingRefused
from parc.findings import Step
from parc.ledger import releases
from parc.ledger.releases import RecordedRelease
from parc.routing.judges import freshness
from parc.routing.judges.guards import frozen
from parc.routing.judges.proposal import Proposal
from parc.routing.judges.validation import validate
from parc.routing.judges.volumes import calls_moved
from parc.routing.plans.plan import Plan, ReleaseBlock, make_plan
from parc.routing.plans.remedies import ENABLE, RELEASE_HOLD, accept_drift
from parc.routing.plans.wording import bullets
from parc.routing.switches import BOOTSTRAP, Reading, Switch, open_switch, readable
from parc.routing.table.content import NATIONAL_ZONE, Content
from parc.routing.table.desired import desired_state, effective_date, with_urgent
from parc.routing.table.diff import diff
from parc.routing.table.inputs import Provenance, code_version, read_demand, read_inputs
from parc.settings import Settings
from parc.warehouse import connect

VERSIONS_KEPT = 14
RESTORE = Step("restore an earlier table", "parc routing rollback")
CHOOSE = Step("choose another version", "parc routing rollback --to VERSION")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drift:
    """The switch holds something else than the last release. `detail` says what."""

    recorded: RecordedRelease | None
    live: Reading | None
    detail: str


def plan(settings: Settings, business_date: date, *, bootstrap: bool = False) -> Plan:
    """What `apply` would do for this business date, and what blocks it. Changes nothing.

    Raises ConfigurationError when an input is missing, RoutingRefused when the switch cannot be read.
    """
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        live = switch.read_live()
        drift = drift_of(connection, live)
        return night_plan(
            settings, connection, business_date, live, drift, bootstrap=bootstrap, is_accepted=False
        )


def plan_rollback(settings: Settings, *, to: str | None = None) -> Plan:
    """What `rollback` would change. Changes nothing."""
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        return rollback_plan(settings, connection, switch, to)[0]


def plan_emergency(settings: Settings) -> Plan:
    """What `emergency_national` would change. Changes nothing."""
    switch = open_switch(settings)
    with connect(settings, "exporter", autocommit=True) as connection:
        return emergency_plan(settings, connection, switch)


def night_plan(
    settings: Settings,
    connection: Connection[Any],
    business_date: date,
    live: Reading | None,
    drift: Drift | None,
    *,
    bootstrap: bool,
    is_accepted: bool,
) -> Plan:
    """The plan of a business date against the live table. Drift blocks it unless somebody accepted the
    drift."""
    day = effective_date(business_date)
    inputs, context = read_inputs(settings, business_date, day)
    desired = desired_state(inputs, day)
    base = _comparable(live, is_trusted=drift is None)
    is_drifted = drift is not None and drift.live is not None
    blocks = [ReleaseBlock(text) for text in frozen(context.freezes, utc_now(), day)]
    held = releases.hold(connection)
    if held:
        blocks.append(ReleaseBlock(f"held by {held}", (RELEASE_HOLD,)))
    disabled = kill_switch_block(connection)
    if disabled:
        blocks.append(disabled)
    if drift and is_drifted and not is_accepted:
        blocks.append(drift_block(drift, business_date))
    proposed = make_plan(
        Proposal(day, inputs, context, base, desired, diff(base, desired)),
        business_date=business_date,
        base=live,
        blocks=blocks,
        is_drifted=is_drifted,
        provenance=context.provenance,
        is_bootstrap_allowed=bootstrap,
    )
    gate = freshness.judge(settings, business_date, context.provenance.build_id)
    rulings = freshness.rulings(
        gate,
        business_date,
        context.demand,
        is_change=not proposed.is_empty,
        is_go_live=any(proposed.going()),
    )
    return replace(proposed, gate=gate, rulings=[*proposed.rulings, *rulings])


def rollback_plan(
    settings: Settings, connection: Connection[Any], switch: Switch, to: str | None
) -> tuple[Plan, str]:
    """The plan of going back to a version, and that version. Raises RoutingRefused if that is not
    possible."""
    live = switch.read_live()
    version = to or _before(connection, live)
    origin = releases.first_activation(connection, version) if version else None
    if version is None or origin is None:
        known = ", ".join(sorted(releases.recent_versions(connection, VERSIONS_KEPT))) or "none"
        what = (
            f"no release was recorded as {version}" if version else "there is no release before the live one"
        )
        raise RoutingRefused(f"{what}; the last ones are: {known}", steps=(CHOOSE,))
    if live and live.version == version and not live.problems:
        raise RoutingRefused(f"{version} is live already")
    former = switch.verify(version)
    problem = mismatch(former, origin)
    if problem or former.content is None:
        raise RoutingRefused(f"{version} cannot be restored: {problem}", steps=(CHOOSE,))
    return exempt_plan(settings, live, former.content, origin.effective_date, is_trusted=False), version


def _before(connection: Connection[Any], live: Reading | None) -> str | None:
    """The version that a rollback goes back to by default.

    If the switch has drifted, that is the last recorded version. Otherwise it is the one that the live
    version replaced when it was first released.
    """
    recorded = releases.last_activated(connection)
    if recorded is None:
        return None
    if live is None or live.version != recorded.version:
        return recorded.version
    origin = releases.first_activation(connection, recorded.version)
    return origin.base_version if origin else None


def emergency_plan(settings: Settings, connection: Connection[Any], switch: Switch) -> Plan:
    """The plan of every zone on the national route, made from the live table alone."""
    live = switch.read_live()
    if live is None or live.content is None:
        what = "; ".join(live.problems) if live else "it is empty"
        raise RoutingRefused(
            f"the table on the switch cannot be sent to the national route: {what}",
            steps=(RESTORE, replace(BOOTSTRAP, is_alternative=True)),
        )
    frames = live.content.frames
    national = frames["routes"].filter(zone_code=NATIONAL_ZONE)
    everywhere = frames["routes"].select("zone_code").unique().join(national.drop("zone_code"), how="cross")
    desired = Content.of({**frames, "routes": everywhere})
    problems = validate(desired.frames)
    if problems:
        raise RoutingRefused(
            "the table on the switch has no national route to fall back on:\n" + bullets(problems),
            steps=(RESTORE,),
        )
    recorded = releases.last_activated(connection)
    return exempt_plan(
        settings, live, desired, recorded.effective_date if recorded else None, is_trusted=True
    )


def urgent_plan(settings: Settings, live: Reading | None, number: str, zone_code: str) -> Plan:
    """The plan of sending one number (E.164) to a zone, with nothing else changed.

    Raises RoutingRefused when the live table cannot be read or has no such zone.
    """
    frames = readable(live).frames
    zones = set(frames["routes"]["zone_code"])
    if zone_code not in zones:
        raise RoutingRefused(f"the live table has no zone {zone_code}; it has {', '.join(sorted(zones))}")
    one = pl.DataFrame({"number": [number], "zone_code": [zone_code]})
    desired = Content.of({**frames, "exceptions": with_urgent(frames["exceptions"], one)})
    return exempt_plan(settings, live, desired, None, is_trusted=True)


def exempt_plan(
    settings: Settings, live: Reading | None, desired: Content, day: date | None, *, is_trusted: bool
) -> Plan:
    """The plan of a release that no guard judges. Calls moved are stated if the volumes can be read."""
    base = _comparable(live, is_trusted=is_trusted)
    diffs = diff(base, desired)
    moved = None
    if base and day:
        try:
            demand = read_demand(settings, day - timedelta(days=1))
            moved = calls_moved(base.frames, desired.frames, diffs, demand, day)
        except (
            ConfigurationError,
            adbc_driver_manager.Error,
            psycopg.Error,
            pl.exceptions.PolarsError,
        ) as error:
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


def drift_of(connection: Connection[Any], live: Reading | None) -> Drift | None:
    """How the switch differs from the record. A release that was killed after its flip is no drift."""
    recorded, left = releases.last_activated(connection), releases.unfinished(connection)
    if left and live and (left.version, left.content_digest) == (live.version, live.digest):
        recorded = left
    if recorded is None:
        return Drift(None, live, "the switch has a table that no release recorded") if live else None
    if live is None:
        return Drift(recorded, None, f"{recorded.version} is expected, the switch is empty")
    problem = mismatch(live, recorded)
    return Drift(recorded, live, f"{recorded.version} is expected, {problem}") if problem else None


def drift_block(drift: Drift, business_date: date) -> ReleaseBlock:
    """What has drifted, and how to accept it."""
    return ReleaseBlock(
        f"drift: the switch does not hold the last recorded release: {drift.detail}",
        accept_drift(business_date),
    )


def kill_switch_block(connection: Connection[Any]) -> ReleaseBlock | None:
    """Who disabled routing and how to enable it; None while it is enabled."""
    disabled = releases.kill_switch(connection)
    return ReleaseBlock(f"routing is disabled by {disabled}", (ENABLE,)) if disabled else None


def _comparable(live: Reading | None, *, is_trusted: bool) -> Content | None:
    """The live content, if changes can be counted against it."""
    if live is None or live.content is None or (not is_trusted and validate(live.content.frames)):
        return None
    return live.content


def mismatch(reading: Reading | None, meant: RecordedRelease) -> str:
    """How the switch differs from what was meant; empty if it does not."""
    if reading is None:
        return "the switch has no active table"
    if reading.version != meant.version:
        return f"the switch has {reading.version} active"
    if reading.problems:
        return "; ".join(reading.problems)
    return "" if reading.digest == meant.content_digest else "the content is not that of the release (digest)"


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)
