"""Releases for single numbers: send one to a zone by hand, or take forgotten ones out of the table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import polars as pl
from psycopg import Connection

from parc.errors import RoutingRefused
from parc.ledger import releases
from parc.numbers import e164, remark
from parc.pseudonyms import Pseudonyms
from parc.routing.plans.wording import headline
from parc.routing.steering.activation import ReleaseResult, activate, exclusive, strayed
from parc.routing.steering.drafting import VERSIONS_KEPT, drift_of, exempt_plan, urgent_plan
from parc.routing.switches import readable
from parc.routing.table.content import Content
from parc.settings import Settings
from parc.warehouse import connect


def assign(
    settings: Settings, number: str, zone_code: str, *, requested_by: str, reason: str
) -> ReleaseResult:
    """Send the calls of one number to a zone at once, and keep it so in every later release.

    `number` is in any spelling. The release is exempt as a rollback is, but sets no hold: nothing else
    changes. The assignment is recorded first. If the release then fails, the next one that succeeds brings
    it.

    Raises RoutingRefused when it is no telephone number, the zone is unknown or the switch has drifted.
    """
    known = pl.select(e164(pl.lit(number))).item()
    if not known:
        raise RoutingRefused(f"{number} is not a telephone number that can place calls")
    with exclusive(settings) as (connection, switch):
        live = switch.read_live()
        drift = drift_of(connection, live)
        if drift:
            raise strayed(drift)
        plan = urgent_plan(settings, live, known, zone_code)
        _record(connection, known, zone_code, set_by=requested_by, reason=reason)
        if plan.is_empty:
            return ReleaseResult(
                "unchanged", plan.base_version, plan, f"{headline(plan)}: {number} goes to zone {zone_code}"
            )
        recorded = releases.last_activated(connection)
        assert recorded is not None
        version = activate(
            settings,
            connection,
            switch,
            replace(plan, effective_date=recorded.effective_date),
            kind="release",
            requested_by=requested_by,
            reason=reason,
        )
        return ReleaseResult(
            "released", version, plan, f"{version} is live: {number} goes to zone {zone_code}"
        )


def unassign(settings: Settings, number: str, *, requested_by: str, reason: str) -> None:
    """Let the line assignments and prefixes decide about a number again, from the next release on."""
    known = pl.select(e164(pl.lit(number))).item()
    with connect(settings, "exporter") as connection:
        row = connection.execute("select 1 from routing.urgent_zone where number = %s", [known]).fetchone()
        if not row:
            raise RoutingRefused(f"{number} is not assigned by hand")
        _record(connection, known, None, set_by=requested_by, reason=reason)


def forget_numbers(settings: Settings, pseudonyms: Collection[UUID], *, requested_by: str) -> str | None:
    """Send the switch its table without the numbers that have these pseudonyms, and have it forget the tables
    that had them. Returns the version that is live then; None if no table had such a number.

    Exempt as `assign` is. The table is sent twice, so that the previous version has no such number either:
    a rollback can reach only tables without them.

    Raises Busy when another release runs, RoutingRefused when the switch has drifted or does not take it.
    """
    known = Pseudonyms.of_settings(settings)

    def is_without(content: Content | None) -> bool:
        return (
            content is not None
            and known.matching(content.frames["exceptions"]["number"], pseudonyms).is_empty()
        )

    with exclusive(settings) as (connection, switch):
        pointer = switch.pointer()
        reachable = {version for version in (pointer.version, pointer.previous) if version}
        versions = releases.recent_versions(connection, VERSIONS_KEPT) | reachable
        without = {version for version in versions if is_without(switch.verify(version).content)}
        live = None
        if reachable - without:
            drift = drift_of(connection, switch.read_live())
            if drift:
                raise strayed(drift)
            recorded = releases.last_activated(connection)
            for _ in range(2):
                reading = switch.read_live()
                frames = dict(readable(reading).frames)
                removed = known.matching(frames["exceptions"]["number"], pseudonyms)
                frames["exceptions"] = frames["exceptions"].filter(~pl.col("number").is_in(removed.implode()))
                plan = exempt_plan(settings, reading, Content.of(frames), None, is_trusted=True)
                live = activate(
                    settings,
                    connection,
                    switch,
                    replace(plan, effective_date=recorded.effective_date if recorded else None),
                    kind="release",
                    requested_by=requested_by,
                    reason="a person was forgotten",
                )
        # This also drops versions that cannot be read or never were live: they may have the number too.
        switch.discard(without)
        return live


def _record(
    connection: Connection[Any], number: str, zone_code: str | None, *, set_by: str, reason: str
) -> None:
    """Record that a number (E.164) goes to a zone by hand, or no longer (None)."""
    connection.execute(
        "insert into routing.urgent_assignment (number, zone_code, set_by, reason) values (%s, %s, %s, %s)",
        [number, zone_code, remark(set_by), remark(reason)],
    )
