"""Stores what people answer to findings."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from parc.findings import Finding, FindingAnswer


def keep(connection: Connection[Any], finding: Finding, answer: FindingAnswer) -> None:
    """Record an answer to a finding; it takes the place of an earlier one."""
    connection.execute(
        "insert into ops.finding_answer (finding_id, kind, subject, answer, answered_by, reason, until) "
        "values (%s, %s, %s, %s, %s, %s, %s)",
        [
            finding.id,
            finding.kind,
            finding.subject.name,
            answer.verdict,
            answer.answered_by,
            answer.reason,
            answer.until,
        ],
    )
