"""Stores what was reported of Airflow runs and of the machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from parc.findings import Finding
from parc.host.sending import Notification
from parc.ledger.notices import OVERDUE, Notice


def keep(connection: Connection[Any], notice: Notice, notification: Notification) -> None:
    """Store a notice, replacing an earlier one of its run; that a run is overdue does not replace why it
    failed."""
    values = {
        **vars(notification),
        "dag_id": notice.dag_id,
        "run_id": notice.run_id,
        "kind": notice.kind,
        "feed": notice.feed,
        "business_date": notice.first_date,
        "last_date": notice.last_date,
        "owner": notice.owner,
        "reasons": notice.reasons,
        "impact": notice.impact,
        "steps": Jsonb([asdict(step) for step in notice.steps]),
        "overdue": list(OVERDUE),
    }
    connection.execute(
        """
        insert into ops.notice (
            dag_id, run_id, kind, feed, business_date, last_date, owner, reasons, impact, steps, title, body,
            at, sent_to, retry_at
        )
        values (
            %(dag_id)s, %(run_id)s, %(kind)s, %(feed)s, %(business_date)s, %(last_date)s, %(owner)s,
            %(reasons)s, %(impact)s, %(steps)s, %(title)s, %(body)s, %(at)s, %(sent_to)s, %(retry_at)s
        )
        on conflict (dag_id, run_id) do update set
            kind = excluded.kind,
            feed = excluded.feed,
            business_date = excluded.business_date,
            last_date = excluded.last_date,
            owner = excluded.owner,
            reasons = excluded.reasons,
            impact = excluded.impact,
            steps = excluded.steps,
            title = excluded.title,
            body = excluded.body,
            at = excluded.at,
            sent_to = excluded.sent_to,
            retry_at = excluded.retry_at,
            ended_at = null,
            ended_by = null,
            end_sent_to = null
        where not excluded.kind = any(%(overdue)s) or ops.notice.kind = any(%(overdue)s)
        """,
        values,
    )


def keep_outage(
    connection: Connection[Any], finding: Finding, notification: Notification, *, owner: str
) -> None:
    """Store what was reported of something of the machine, or how that stands now."""
    values = {
        **vars(notification),
        "kind": finding.kind,
        "subject": finding.subject.name,
        "owner": owner,
        "reasons": [finding.text],
        "steps": Jsonb([asdict(step) for step in finding.steps]),
    }
    connection.execute(
        """
        insert into ops.notice (
            kind, subject, owner, reasons, impact, steps, title, body, at, sent_to, retry_at, ended_at,
            end_sent_to
        )
        values (
            %(kind)s, %(subject)s, %(owner)s, %(reasons)s, '', %(steps)s, %(title)s, %(body)s, %(at)s,
            %(sent_to)s, %(retry_at)s, %(ended_at)s, %(end_sent_to)s
        )
        on conflict (kind, subject, at) where dag_id is null do update set
            sent_to = excluded.sent_to,
            retry_at = excluded.retry_at,
            ended_at = excluded.ended_at,
            end_sent_to = excluded.end_sent_to
        """,
        values,
    )


def update(connection: Connection[Any], notice_id: int, notification: Notification) -> None:
    """Note how a notice stands: who has it, whether it has ended, and who knows that."""
    connection.execute(
        """
        update ops.notice set
            sent_to = %(sent_to)s,
            retry_at = %(retry_at)s,
            ended_at = %(ended_at)s,
            ended_by = %(ended_by)s,
            end_sent_to = %(end_sent_to)s
        where notice_id = %(notice_id)s
        """,
        {**vars(notification), "notice_id": notice_id},
    )
