"""Reports on Airflow runs that failed or are overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from parc.findings import Finding, FindingKind, Severity, Step, Subject
from parc.instants import shown
from parc.wording import joined

OVERDUE = (FindingKind.BUILD_RUN_OVERDUE, FindingKind.RELEASE_RUN_OVERDUE)


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


def since_last_good_build(connection: Connection[Any], count: int) -> list[Notice]:
    """The newest notices since the build that BI sees, at most `count`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select
                kind,
                dag_id,
                run_id,
                feed,
                business_date as first_date,
                last_date,
                owner,
                reasons,
                impact,
                steps,
                notice_id,
                at
            from ops.notice
            where at > coalesce((select published_at from marts.published_build), '-infinity')
            order by at desc
            limit %s
            """,
            [count],
        ).fetchall()
    return [
        Notice(
            **row | {"kind": FindingKind(row["kind"]), "steps": tuple(Step(**step) for step in row["steps"])}
        )
        for row in rows
    ]
