"""What a release writes: the `ops.routing_...` tables. Rows are only ever added.

Names and reasons that people typed are written without telephone numbers (`parc.numbers.remark`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any, Literal, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from parc.findings import Step
from parc.ledger.releases import RecordedRelease, ReleaseKind, Reply, first_activation
from parc.numbers import remark


@dataclass(frozen=True)
class Intent:
    """A release that is about to begin: a row of `ops.routing_release`, whose columns have comments there.

    `rollout` is None if the release was not made from a rollout plan.
    """

    version: str
    kind: ReleaseKind
    fence: int
    business_date: date | None
    effective_date: date | None
    plan_hash: str
    content_digest: str
    base_version: str | None
    base_digest: str | None
    row_counts: dict[str, int]
    rows_changed: dict[str, dict[str, float]]
    calls_moved_share: float | None
    calls_moved: list[dict[str, Any]]
    approval_reasons: list[str]
    approved_by: str | None
    approved_at: datetime | None
    requested_by: str
    reason: str
    dag_id: str | None
    run_id: str | None
    build_id: int | None
    delivery_ids: dict[str, int]
    rollout: list[dict[str, str | None]] | None
    rollout_sha256: str | None
    input_sha256: dict[str, str]
    code_version: str


class RowChange(NamedTuple):
    """A row of a routing table that a release adds, removes or changes (JSON values).

    `calls_moved_share` is the share (0-1) of calls of a route's zone and market that move; None if unknown or
    in another table.
    """

    table_name: str
    change: str
    row_key: Mapping[str, Any]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    calls_moved_share: float | None


def next_fence(connection: Connection[Any]) -> int:
    """A fencing token greater than every earlier one."""
    row = connection.execute("select nextval('ops.routing_fence')").fetchone()
    assert row is not None
    return int(row[0])


def raise_fence(connection: Connection[Any], least: int) -> None:
    """Have the next fencing token be at least this one, or greater still if it already would be."""
    connection.execute(
        "select setval('ops.routing_fence', greatest(%s, (select last_value from ops.routing_fence)))",
        [least],
    )


def begin(connection: Connection[Any], intent: Intent) -> int:
    """Record the intent of a release before the switch is touched; returns the release_id."""
    values = {
        name: Jsonb(value) if isinstance(value, dict | list) else value
        for name, value in vars(intent).items()
    }
    values |= {
        "approved_by": intent.approved_by and remark(intent.approved_by),
        "requested_by": remark(intent.requested_by),
        "reason": remark(intent.reason),
    }
    marks = ", ".join(f"%({name})s" for name in values)
    row = connection.execute(
        f"insert into ops.routing_release ({', '.join(values)}) values ({marks}) "
        "returning release_id".encode(),
        values,
    ).fetchone()
    assert row is not None
    return int(row[0])


def record_changes(connection: Connection[Any], release_id: int, changes: Iterable[RowChange]) -> None:
    """Record rows that a release changes."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            f"copy ops.routing_change (release_id, {', '.join(RowChange._fields)}) from stdin"
        ) as copy,
    ):
        for row in changes:
            texts = (values and Jsonb(values) for values in (row.row_key, row.before, row.after))
            copy.write_row((release_id, row.table_name, row.change, *texts, row.calls_moved_share))


def record_site_work(
    connection: Connection[Any],
    release_id: int,
    site_code: str,
    half_hours: Sequence[tuple[int, time, float, float]],
) -> None:
    """Record what a release would bring to a site: the weekday and start of each half-hour, its calls and
    their seconds of work."""
    connection.execute(
        "insert into ops.routing_site_work (release_id, site_code, weekdays, half_hours_local, call_counts, "
        "handle_seconds) values (%s, %s, %s, %s, %s, %s)",
        [release_id, site_code, *(list(values) for values in zip(*half_hours, strict=True))],
    )


def record_event(connection: Connection[Any], release_id: int, event: str, detail: str = "") -> None:
    """Record a step or the end of a release."""
    connection.execute(
        "insert into ops.routing_release_event (release_id, event, detail) values (%s, %s, %s)",
        [release_id, event, detail],
    )


def record_automatic_rollback(connection: Connection[Any], failed: RecordedRelease, detail: str) -> None:
    """Record that a release went live, failed its check and was undone.

    In one transaction: its end, the rollback as a release of its own, and a hold.
    """
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


def record_hold(
    connection: Connection[Any],
    event: Literal["set", "released"],
    *,
    set_by: str,
    reason: str,
    release_id: int | None = None,
) -> None:
    """Set or release the hold."""
    connection.execute(
        "insert into ops.routing_hold (event, release_id, set_by, reason) values (%s, %s, %s, %s)",
        [event, release_id, remark(set_by), remark(reason)],
    )


def record_kill_switch(
    connection: Connection[Any], event: Literal["disabled", "enabled"], *, set_by: str, reason: str
) -> None:
    """Disable or enable routing."""
    connection.execute(
        "insert into ops.routing_kill_switch (event, set_by, reason) values (%s, %s, %s)",
        [event, remark(set_by), remark(reason)],
    )


def record_drain(
    connection: Connection[Any],
    event: Literal["set", "ended"],
    site_code: str,
    drained_until: datetime | None,
    *,
    set_by: str,
    reason: str,
) -> None:
    """Record that a site is drained until an instant, or no longer (`drained_until` None)."""
    connection.execute(
        "insert into ops.routing_drain (event, site_code, drained_until, set_by, reason) "
        "values (%s, %s, %s, %s, %s)",
        [event, site_code, drained_until, remark(set_by), remark(reason)],
    )


def record_drift(
    connection: Connection[Any],
    action: Literal["detected", "adopt", "overwrite"],
    *,
    recorded: RecordedRelease | None,
    live_version: str | None,
    live_digest: str | None,
    detail: str,
    accepted_by: str | None = None,
    reason: str | None = None,
) -> None:
    """Record that the switch had a table other than the last release, or that somebody accepted it."""
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


def request_approval(
    connection: Connection[Any],
    *,
    plan_hash: str,
    business_date: date | None,
    plan_id: int,
    requested_by: str,
    question_id: UUID | None,
    run: tuple[str, str] | None,
) -> None:
    """Record that a person is asked to approve a plan. Asking the same question again changes nothing."""
    connection.execute(
        "insert into ops.routing_request "
        "(plan_hash, business_date, plan_id, requested_by, question_id, dag_id, run_id) "
        "values (%s, %s, %s, %s, %s, %s, %s) on conflict (question_id) do nothing",
        [plan_hash, business_date, plan_id, remark(requested_by), question_id, *(run or (None, None))],
    )


def reply(
    connection: Connection[Any],
    request_id: int,
    verdict: Reply,
    *,
    answered_by: str | None,
    answered_by_id: str | None,
    answered_at: datetime | None,
    reason: str | None,
) -> None:
    """Record the answer to a request. The first answer counts."""
    texts = [text and remark(text) for text in (answered_by, answered_by_id, reason)]
    connection.execute(
        "insert into ops.routing_answer "
        "(request_id, verdict, answered_by, answered_by_id, reason, answered_at) "
        "values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        [request_id, verdict, *texts, answered_at],
    )


def clock(connection: Connection[Any]) -> datetime:
    """The present instant (UTC) by the clock that stamps every record."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        now: datetime = cursor.execute("select clock_timestamp()").fetchall()[0]
    return now


def reply_by_command(
    connection: Connection[Any],
    plan_hash: str,
    verdict: Literal["approved", "rejected"],
    *,
    answered_by: str,
    reason: str,
    answered_at: datetime | None = None,
) -> int:
    """Record an answer given on the command line (now, or at `answered_at`) to all open requests for this
    plan; returns how many there were."""
    return connection.execute(
        "insert into ops.routing_answer (request_id, verdict, answered_by, reason, answered_at) "
        "select request_id, %s, %s, %s, coalesce(%s, clock_timestamp()) from ops.routing_request "
        "where plan_hash = %s on conflict do nothing",
        [verdict, remark(answered_by), remark(reason), answered_at, plan_hash],
    ).rowcount


def record_plan(
    connection: Connection[Any],
    *,
    business_date: date,
    effective_date: date,
    plan_hash: str,
    verdict: str,
    subject: str,
    reasons: list[str],
    steps: tuple[Step, ...],
    build_id: int | None,
    requested_by: str,
    run: tuple[str, str] | None,
    content: Mapping[str, Any] | None = None,
) -> int:
    """Record what could be done with a plan, and the plan as JSON values; returns the plan_id."""
    row = connection.execute(
        "insert into ops.routing_plan (business_date, effective_date, plan_hash, verdict, subject, reasons, "
        "steps, build_id, requested_by, dag_id, run_id, content) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning plan_id",
        [
            business_date,
            effective_date,
            plan_hash,
            verdict,
            subject,
            reasons,
            Jsonb([asdict(step) for step in steps]),
            build_id,
            remark(requested_by),
            *(run or (None, None)),
            None if content is None else Jsonb(content),
        ],
    ).fetchone()
    assert row is not None
    return int(row[0])
