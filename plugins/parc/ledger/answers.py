"""What people answered to findings: who dismissed or acknowledged which, why and until when. Read from
`ops.finding_answer`, of which the newest row of a finding counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection

from parc.findings import Finding, FindingAnswer


def answered(connection: Connection[Any], findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each with the answer that is in force for it."""
    rows = connection.execute(
        """
        select finding_id, answer, answered_by, reason, until
        from (
            select distinct on (finding_id) finding_id, answer, answered_by, reason, until
            from ops.finding_answer
            where finding_id = any(%s)
            order by finding_id, answer_id desc
        ) as newest
        where until > clock_timestamp() and answer <> 'reopened'
        """,
        [[finding.id for finding in findings]],
    ).fetchall()
    answers = {finding_id: FindingAnswer(*values) for finding_id, *values in rows}
    return [replace(finding, answer=answers.get(finding.id)) for finding in findings]
