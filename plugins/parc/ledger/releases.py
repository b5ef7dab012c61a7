"""Releases: what was sent to the switch, with what result, and what blocks the next one.

Read from the `ops.routing_...` tables. They are append-only, so the newest row counts, and they hold no raw
number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from parc.instants import shown

ReleaseKind = Literal["bootstrap", "release", "adopt", "rollback", "emergency"]
Reply = Literal["approved", "rejected", "expired", "superseded"]
"""The answer to a request for approval; `expired`: nobody answered in time; `superseded`: another run planned
again first."""

GOVERNING_DELIVERIES = (
    "select feed, business_date, delivery_id from ops.delivery "
    "where status = 'published' and feed in ('numbering_plan', 'line_assignments')"
)
"""The deliveries that a routing table is made from. A text, because a release runs it through ADBC, in the
same snapshot as its other inputs."""


@dataclass(frozen=True)
class RecordedRelease:
    """A release as recorded. `at` is when it was activated, or when it began if it is not activated yet."""

    release_id: int
    version: str
    kind: ReleaseKind
    fence: int
    content_digest: str
    effective_date: date | None
    base_version: str | None
    base_digest: str | None
    approved_by: str | None
    requested_by: str
    reason: str
    calls_moved_share: float | None
    build_id: int | None
    dag_id: str | None
    run_id: str | None
    at: datetime


@dataclass(frozen=True)
class Stop:
    """A hold or a kill switch in force: who set it, why and when."""

    event: str
    set_by: str
    reason: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.set_by} since {shown(self.at)} ({self.reason})"


@dataclass(frozen=True)
class ApprovalRequest:
    """A question to a person: may this plan be released?"""

    request_id: int
    plan_hash: str


@dataclass(frozen=True)
class ApprovalReply:
    """The answer to a request for approval. `answered_by` is a name; None if nobody answered."""

    plan_hash: str
    business_date: date
    requested_by: str
    verdict: Reply
    answered_by: str | None
    answered_at: datetime | None
    reason: str | None


_COLUMNS = (
    "release_id, version, kind, fence, content_digest, effective_date, base_version, base_digest, "
    "approved_by, requested_by, reason, calls_moved_share, build_id, dag_id, run_id"
)
_ACTIVATED = (
    f"select {_COLUMNS}, at from ops.routing_release inner join ops.routing_release_event "
    "using (release_id) where event = 'activated'"
)


def last_activated(connection: Connection[Any]) -> RecordedRelease | None:
    """The newest release that went live: what the switch should hold."""
    return _release(connection, f"{_ACTIVATED} order by event_id desc limit 1")


def first_activation(connection: Connection[Any], version: str) -> RecordedRelease | None:
    """The release that created this version and activated it first."""
    query = f"{_ACTIVATED} and version = %s and kind <> 'rollback' order by event_id limit 1"
    return _release(connection, query, [version])


def unfinished(connection: Connection[Any]) -> RecordedRelease | None:
    """The newest release whose process died before it recorded an end."""
    return _release(
        connection,
        f"select {_COLUMNS}, created_at as at from ops.routing_release as release where not exists ("
        "select from ops.routing_release_event as event "
        "where event.release_id = release.release_id and event.event <> 'staged'"
        ") order by release_id desc limit 1",
    )


def recent_versions(connection: Connection[Any], count: int) -> set[str]:
    """The last `count` versions that were live."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return set(
            cursor.execute(
                "select version from ops.routing_release "
                "inner join ops.routing_release_event using (release_id) "
                "where event = 'activated' group by version order by max(event_id) desc limit %s",
                [count],
            )
        )


def newest_release_date(connection: Connection[Any]) -> date | None:
    """The newest business date for which a release was begun."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found: date | None = cursor.execute("select max(business_date) from ops.routing_release").fetchone()
    return found


def hold(connection: Connection[Any]) -> Stop | None:
    """The hold in force."""
    return _stop(connection, "ops.routing_hold", "hold_id", "set")


def kill_switch(connection: Connection[Any]) -> Stop | None:
    """The kill switch, if routing is disabled."""
    return _stop(connection, "ops.routing_kill_switch", "event_id", "disabled")


def approval_request(connection: Connection[Any], question_id: UUID) -> ApprovalRequest | None:
    """The request for a question in Airflow; `question_id` is the id of the task instance that asks."""
    with connection.cursor(row_factory=class_row(ApprovalRequest)) as cursor:
        return cursor.execute(
            "select request_id, plan_hash from ops.routing_request where question_id = %s", [question_id]
        ).fetchone()


def requester(connection: Connection[Any], plan_hash: str, approved_by: str) -> str | None:
    """Who asked for this plan: somebody other than the approver, if there is one."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found: str | None = cursor.execute(
            "select requested_by from ops.routing_request where plan_hash = %s "
            "order by requested_by = %s, request_id desc limit 1",
            [plan_hash, approved_by],
        ).fetchone()
    return found


def approval_reply(connection: Connection[Any], dag_id: str, run_id: str) -> ApprovalReply | None:
    """The answer to the last question of an Airflow run; None if there is none."""
    with connection.cursor(row_factory=class_row(ApprovalReply)) as cursor:
        return cursor.execute(
            "select plan_hash, business_date, requested_by, verdict, answered_by, answered_at, "
            "reason from ("
            "select * from ops.routing_request where dag_id = %s and run_id = %s "
            "and question_id is not null order by request_id desc limit 1"
            ") as request inner join ops.routing_answer using (request_id)",
            [dag_id, run_id],
        ).fetchone()


def _release(
    connection: Connection[Any], query: str, values: list[Any] | None = None
) -> RecordedRelease | None:
    with connection.cursor(row_factory=class_row(RecordedRelease)) as cursor:
        return cursor.execute(query.encode(), values).fetchone()


def _stop(connection: Connection[Any], table: str, key: str, event: str) -> Stop | None:
    with connection.cursor(row_factory=class_row(Stop)) as cursor:
        newest = cursor.execute(
            f"select event, set_by, reason, at from {table} order by {key} desc limit 1".encode()
        ).fetchone()
    return newest if newest and newest.event == event else None
