"""The append-only memory of releases: ops.routing_* written and read, never changed, without raw numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from parc.instants import shown
from parc.numbers import remark
from parc.pseudonyms import Pseudonyms
from parc.routing.plans.plan import Plan
from parc.routing.table.content import SHAPES
from parc.routing.table.diff import TableDiff

Connection = psycopg.Connection[Any]
Kind = Literal["bootstrap", "release", "adopt", "rollback", "emergency"]
CHANGES_KEPT = 10_000


@dataclass(frozen=True)
class Recorded:
    """A release as recorded. `at` is when it was activated, or begun where that is not yet known."""

    release_id: int
    version: str
    kind: Kind
    fence: int
    content_digest: str
    effective_date: date | None
    base_version: str | None
    base_digest: str | None
    approved_by: str | None
    requested_by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Entry:
    """The newest row of the holds or of the kill switch."""

    event: str
    set_by: str
    reason: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.set_by} since {shown(self.at)} ({self.reason})"


_RECORDED = (
    "release_id, version, kind, fence, content_digest, effective_date, base_version, base_digest, "
    "approved_by, requested_by, reason"
)


def last_activated(connection: Connection) -> Recorded | None:
    """What the switch should hold: the newest release that went live; None before the first."""
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        return cursor.execute(
            f"select {_RECORDED}, at from ops.routing_release inner join ops.routing_release_event "
            "using (release_id) where event = 'activated' order by event_id desc limit 1"
        ).fetchone()


def unfinished(connection: Connection) -> Recorded | None:
    """A release whose process died before it recorded an end."""
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        return cursor.execute(
            f"select {_RECORDED}, created_at as at from ops.routing_release r where not exists "
            "(select from ops.routing_release_event e "
            "where e.release_id = r.release_id and event <> 'staged') order by release_id desc limit 1"
        ).fetchone()


def first_activation(connection: Connection, version: str) -> Recorded | None:
    """The release that made this version and first brought it live."""
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        return cursor.execute(
            f"select {_RECORDED}, at from ops.routing_release inner join ops.routing_release_event "
            "using (release_id) where event = 'activated' and version = %s and kind <> 'rollback' "
            "order by event_id limit 1",
            [version],
        ).fetchone()


def recent_versions(connection: Connection, count: int) -> set[str]:
    """The last `count` versions that were live."""
    rows = connection.execute(
        "select version from ops.routing_release inner join ops.routing_release_event using (release_id) "
        "where event = 'activated' group by version order by max(event_id) desc limit %s",
        [count],
    ).fetchall()
    return {row[0] for row in rows}


def next_fence(connection: Connection) -> int:
    """A token greater than every earlier one."""
    row = connection.execute("select nextval('ops.routing_fence')").fetchone()
    assert row is not None
    return int(row[0])


def begin_release(
    connection: Connection,
    plan: Plan,
    *,
    kind: Kind,
    version: str,
    fence: int,
    requested_by: str,
    reason: str,
    approved_by: str | None,
    approved_at: datetime | None,
    run: tuple[str, str] | None,
    pseudonyms: Pseudonyms,
) -> int:
    """Record the intent and its rows, before the switch is touched; returns the release_id."""
    origin = plan.provenance
    values = {
        "version": version,
        "kind": kind,
        "fence": fence,
        "business_date": plan.business_date,
        "effective_date": plan.effective_date,
        "plan_hash": plan.plan_hash,
        "content_digest": plan.desired.digest,
        "base_version": plan.base_version,
        "base_digest": plan.base_digest,
        "row_counts": Jsonb(plan.desired.row_counts),
        "rows_changed": Jsonb({name: table.counts() for name, table in plan.diffs.items()}),
        "calls_moved_share": plan.moved.share if plan.moved else None,
        "calls_moved": Jsonb(plan.moved_pairs()),
        "approval_reasons": Jsonb([str(finding) for finding in plan.approvals]),
        "approved_by": approved_by and remark(approved_by),
        "approved_at": approved_at,
        "requested_by": remark(requested_by),
        "reason": remark(reason),
        "dag_id": run and run[0],
        "run_id": run and run[1],
        **asdict(origin),
        "delivery_ids": Jsonb(origin.delivery_ids),
        "input_sha256": Jsonb(origin.input_sha256),
        "rollout": Jsonb(origin.rollout) if origin.rollout else None,
    }
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    row = connection.execute(
        f"insert into ops.routing_release ({names}) values ({marks}) returning release_id".encode(), values
    ).fetchone()
    assert row is not None
    _record_changes(connection, int(row[0]), plan, pseudonyms)
    return int(row[0])


def record_event(connection: Connection, release_id: int, event: str, detail: str = "") -> None:
    """Record a step or the end of a release."""
    connection.execute(
        "insert into ops.routing_release_event (release_id, event, detail) values (%s, %s, %s)",
        [release_id, event, detail],
    )


def record_automatic_rollback(connection: Connection, failed: Recorded, detail: str) -> None:
    """Record that `failed` went live, did not verify and was undone: its end, the rollback as a release of
    its own, and a hold, in one transaction."""
    with connection.transaction():
        record_event(connection, failed.release_id, "rolled_back", detail)
        reason = f"automatic: {failed.version} did not verify after activation: {detail}"
        former = first_activation(connection, failed.base_version) if failed.base_version else None
        row = None
        if former:
            row = connection.execute(
                "insert into ops.routing_release (version, kind, fence, effective_date, plan_hash, "
                "content_digest, base_version, base_digest, row_counts, rows_changed, calls_moved, "
                "approval_reasons, requested_by, reason, delivery_ids, input_sha256, code_version) "
                "select base_version, 'rollback', fence, %s, plan_hash, base_digest, version, "
                "content_digest, '{}', '{}', '[]', '[]', requested_by, %s, '{}', '{}', code_version "
                "from ops.routing_release where release_id = %s returning release_id",
                [former.effective_date, remark(reason), failed.release_id],
            ).fetchone()
        if row:
            record_event(connection, row[0], "activated")
        record_hold(
            connection, "set", set_by=failed.requested_by, reason=reason, release_id=failed.release_id
        )


def hold(connection: Connection) -> Entry | None:
    """The hold in force."""
    entry = _newest(connection, "ops.routing_hold", "hold_id")
    return entry if entry and entry.event == "set" else None


def record_hold(
    connection: Connection, event: str, *, set_by: str, reason: str, release_id: int | None = None
) -> None:
    """Set or release the hold."""
    connection.execute(
        "insert into ops.routing_hold (event, release_id, set_by, reason) values (%s, %s, %s, %s)",
        [event, release_id, remark(set_by), remark(reason)],
    )


def record_urgent(
    connection: Connection, number: str, zone_code: str | None, *, set_by: str, reason: str
) -> None:
    """Record that a number (E.164) goes to a zone by hand, or no longer."""
    connection.execute(
        "insert into routing.urgent_assignment (number, zone_code, set_by, reason) values (%s, %s, %s, %s)",
        [number, zone_code, remark(set_by), remark(reason)],
    )


def record_drain(
    connection: Connection,
    event: str,
    site_code: str,
    drained_until: datetime | None,
    *,
    set_by: str,
    reason: str,
) -> None:
    """Record that a site is drained until an instant, or no longer."""
    connection.execute(
        "insert into ops.routing_drain (event, site_code, drained_until, set_by, reason) "
        "values (%s, %s, %s, %s, %s)",
        [event, site_code, drained_until, remark(set_by), remark(reason)],
    )


def kill_switch(connection: Connection) -> Entry | None:
    """Who disabled routing, while it is."""
    entry = _newest(connection, "ops.routing_kill_switch", "event_id")
    return entry if entry and entry.event == "disabled" else None


def record_kill_switch(connection: Connection, event: str, *, set_by: str, reason: str) -> None:
    """Disable or enable routing."""
    connection.execute(
        "insert into ops.routing_kill_switch (event, set_by, reason) values (%s, %s, %s)",
        [event, remark(set_by), remark(reason)],
    )


def record_drift(
    connection: Connection,
    action: str,
    *,
    recorded: Recorded | None,
    live_version: str | None,
    live_digest: str | None,
    detail: str,
    accepted_by: str | None = None,
    reason: str | None = None,
) -> None:
    """Record that the switch held something else than recorded, or that somebody accepted it."""
    connection.execute(
        "insert into ops.routing_drift (action, recorded_version, recorded_digest, live_version, "
        "live_digest, detail, accepted_by, reason) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            action,
            recorded and recorded.version,
            recorded and recorded.content_digest,
            live_version,
            live_digest,
            detail,
            accepted_by and remark(accepted_by),
            reason and remark(reason),
        ],
    )


def _newest(connection: Connection, table: str, key: str) -> Entry | None:
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"select event, set_by, reason, at from {table} order by {key} desc limit 1".encode()
        ).fetchone()


def _record_changes(connection: Connection, release_id: int, plan: Plan, pseudonyms: Pseudonyms) -> None:
    shares = {(pair["zone_code"], pair["market"]): pair["share"] for pair in plan.moved_pairs()}
    statement = (
        "copy ops.routing_change (release_id, table_name, change, row_key, before, after, calls_moved_share) "
        "from stdin"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for table in plan.diffs.values():
            for change, key, before, after in itertools.islice(_rows(table, pseudonyms), CHANGES_KEPT):
                share = None
                if table.name == "routes":
                    share = shares.get((key["zone_code"], key["market"]), 0.0) if plan.moved else None
                copy.write_row(
                    (release_id, table.name, change, _json(key), _json(before), _json(after), share)
                )


def _rows(table: TableDiff, pseudonyms: Pseudonyms) -> Iterable[tuple[str, dict[str, Any], Any, Any]]:
    for change, key, before, after in table.rows():
        if SHAPES[table.name].has_numbers:
            yield change, {"number_key": str(pseudonyms.of(str(key["number"])))}, before, after
        else:
            yield change, key, before, after


def _json(values: dict[str, Any] | None) -> Jsonb | None:
    if values is None:
        return None
    return Jsonb({k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()})
