"""Reports on Airflow runs that failed or are overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.host.sending import Notification
from parc.instants import shown
from parc.wording import joined

OVERDUE = (FindingKind.BUILD_RUN_OVERDUE, FindingKind.RELEASE_RUN_OVERDUE)
_OF_BUILDS = [FindingKind.BUILD_RUN_FAILED, FindingKind.BUILD_RUN_OVERDUE]
_OF_RELEASES = [FindingKind.RELEASE_RUN_FAILED, FindingKind.RELEASE_RUN_OVERDUE]
_COLUMNS = (
    "kind, dag_id, run_id, feed, business_date as first_date, last_date, owner, reasons, impact, steps, "
    "notice_id, at"
)


@dataclass(frozen=True)
class Notice:
    """A report on a run: why it failed (a text for each failed task), the impact, and what to do. `feed` is
    None if the DAG belongs to no feed, the dates if the run has none; `notice_id` and `at` (UTC) are None
    until the notice is in the ledger."""

    kind: FindingKind
    dag_id: str
    run_id: str
    feed: str | None
    first_date: date | None
    last_date: date | None
    owner: str
    reasons: list[str]
    impact: str
    steps: tuple[Step, ...]
    notice_id: int | None = None
    at: datetime | None = None

    @property
    def dates(self) -> str:
        """The business dates in words."""
        days = sorted({day for day in (self.first_date, self.last_date) if day})
        return " to ".join(map(str, days)) or "none"

    @property
    def title(self) -> str:
        """A one-line summary."""
        state = "is overdue" if self.kind in OVERDUE else "failed"
        return f"{self.dag_id} {state}" + (f" for {self.dates}" if self.first_date else "")

    @property
    def finding(self) -> Finding:
        """The notice as a finding, with the first line of its reasons, and the list that it announces."""
        first, *others = self.reasons[0].splitlines() or [""]
        if first.endswith(":"):
            first += f" {joined(line.strip(' -') for line in others)}"
        text = f"{self.title}: {first}"
        steps = self.steps
        if self.at:
            text += f" (reported {shown(self.at)})"
            query = f"select text from ops.notice where notice_id = {self.notice_id}"
            steps = (*steps, Step("read the whole notice", f'parc sql "{query}"'))
        subject = Subject(
            name=self.dag_id,
            feed=self.feed,
            first_date=self.first_date,
            last_date=self.last_date,
            dag_id=self.dag_id,
            run_id=self.run_id,
        )
        return Finding(self.kind, Severity.NOTE, subject, text, steps)


@dataclass(frozen=True)
class ReportedNotice:
    """A row of the history of notices. `dag_id` and `run_id` are None if it is about the machine."""

    kind: FindingKind
    dag_id: str | None
    run_id: str | None
    title: str
    text: str
    at: datetime
    sent_to: str | None
    retry_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None

    @property
    def minutes(self) -> int:
        """How long it took until it was mended."""
        return int((self.ended_at - self.at).total_seconds() / 60) if self.ended_at else 0


def reported(connection: Connection[Any], count: int) -> list[ReportedNotice]:
    """The last notices, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select kind, dag_id, run_id, title, text, at, sent_to, retry_at, ended_at, ended_by "
            "from ops.notice order by at desc limit %s",
            [count],
        ).fetchall()
    return [ReportedNotice(**row | {"kind": FindingKind(row["kind"])}) for row in rows]


def still_true(connection: Connection[Any], count: int) -> list[Notice]:
    """The newest notices whose cause has not ended, at most `count`.

    A notice ends when a later run of its DAG succeeds, and when what the run should have made is there,
    whoever made it: a build is published, a release is live or was answered, the run's dates are published.
    That of a failed release also ends when a later plan is neither refused nor blocked.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select {_COLUMNS}
            from ops.notice as notice
            where ended_at is null and dag_id is not null and not case
                when kind = any(%(of_builds)s) then exists (
                    select from marts.published_build where published_at > notice.at
                )
                when kind = any(%(of_releases)s) then exists (
                    select from ops.routing_release_event where event = 'activated' and at > notice.at
                ) or exists (select from ops.routing_answer where at > notice.at)
                or kind = %(release_failed)s and exists (
                    select from ops.routing_plan
                    where at > notice.at and verdict not in ('refused', 'blocked')
                )
                when feed is not null and business_date is not null then not exists (
                    select
                    from generate_series(business_date::timestamp, last_date::timestamp, '1 day') as day
                    where not exists (
                        select from ops.delivery
                        where delivery.feed = notice.feed
                            and delivery.business_date = day::date
                            and delivery.status = 'published'
                            and coalesce(delivery.seen_at, delivery.published_at) > notice.at
                    )
                )
                else false
            end
            order by at desc
            limit %(count)s
            """.encode(),
            {
                "count": count,
                "of_builds": _OF_BUILDS,
                "of_releases": _OF_RELEASES,
                "release_failed": FindingKind.RELEASE_RUN_FAILED,
            },
        ).fetchall()
    return [_notice(row) for row in rows]


def open_of_dag(connection: Connection[Any], dag_id: str) -> dict[int, Notification]:
    """By `notice_id`, what was reported of a DAG of which no run has succeeded since, oldest first."""
    return _notifications(connection, "dag_id = %s and ended_at is null", dag_id)


def is_reported(connection: Connection[Any], dag_id: str, run_id: str, ended_at: datetime) -> bool:
    """Whether there is a notice that a run failed when it ended; one of before it was cleared is none."""
    row = connection.execute(
        "select exists (select from ops.notice where dag_id = %s and run_id = %s "
        "and at > %s - interval '1 second' and not kind = any(%s))",
        [dag_id, run_id, ended_at, list(OVERDUE)],
    ).fetchone()
    assert row
    return bool(row[0])


def to_send_again(connection: Connection[Any], now: datetime) -> dict[int, Notification]:
    """By `notice_id`, what was reported of runs and is due to be sent again, because an address has not taken
    it; oldest first."""
    return _notifications(connection, "retry_at <= %s and dag_id is not null", now)


def _notifications(connection: Connection[Any], which: str, value: object) -> dict[int, Notification]:
    rows = connection.execute(
        "select notice_id, title, body, at, sent_to, retry_at, ended_at, ended_by, end_sent_to "
        f"from ops.notice where {which} order by at".encode(),
        [value],
    ).fetchall()
    return {notice_id: Notification(*values) for notice_id, *values in rows}


def _notice(row: dict[str, Any]) -> Notice:
    steps = tuple(Step(**step) for step in row["steps"])
    return Notice(**row | {"kind": FindingKind(row["kind"]), "steps": steps})
