"""Stores reports on Airflow runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from parc.ledger.notices import OVERDUE, Notice


def keep(connection: Connection[Any], notice: Notice, *, text: str, sent_to: str | None) -> None:
    """Store a notice, replacing an earlier one of its run; that a run is overdue does not replace why it
    failed. `text` is the full text as sent, `sent_to` the addresses that accepted it, None if there are
    none."""
    values = {
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
        "text": text,
        "sent_to": sent_to,
        "overdue": list(OVERDUE),
    }
    connection.execute(
        """
        insert into ops.notice (
            dag_id, run_id, kind, feed, business_date, last_date, owner, reasons, impact, steps, text, sent_to
        )
        values (
            %(dag_id)s, %(run_id)s, %(kind)s, %(feed)s, %(business_date)s, %(last_date)s, %(owner)s,
            %(reasons)s, %(impact)s, %(steps)s, %(text)s, %(sent_to)s
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
            text = excluded.text,
            sent_to = excluded.sent_to,
            at = excluded.at,
            ended_at = null,
            ended_by = null
        where not excluded.kind = any(%(overdue)s) or ops.notice.kind = any(%(overdue)s)
        """,
        values,
    )


def end(connection: Connection[Any], notice: Notice, run_id: str) -> None:
    """Note that a later run of the notice's DAG succeeded."""
    connection.execute(
        "update ops.notice set ended_at = clock_timestamp(), ended_by = %s where notice_id = %s",
        [run_id, notice.notice_id],
    )
