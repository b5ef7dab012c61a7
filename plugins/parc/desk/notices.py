"""What Airflow told of runs that failed or are overdue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from parc.desk.matter import Matter
from parc.instants import shown

NOTICES_TOLD = 5
RELEASE_KINDS = ("drift", "hold", "kill switch")


def matters(connection: psycopg.Connection[Any], told: Sequence[Matter]) -> list[Matter]:
    """The newest notices since the last good build, but for runs whose cause is `told` already."""
    rows = connection.execute(
        """
        select notice_id, dag_id, split_part(text, chr(10), 1), split_part(text, chr(10), 3), at
        from ops.notice
        where at > coalesce((select published_at from marts.published_build), '-infinity')
        order by at desc
        limit %s
        """,
        [NOTICES_TOLD],
    )
    return [
        Matter(
            "notice",
            False,
            dag_id,
            f"{title}: {why} (told {shown(at)})",
            f'parc sql "select text from ops.notice where notice_id = {notice_id}"',
        )
        for notice_id, dag_id, title, why, at in rows
        if not any(_is_cause(matter, dag_id) for matter in told)
    ]


def _is_cause(matter: Matter, dag_id: str) -> bool:
    if dag_id == "build_marts":
        return matter.kind == "build failed"
    if dag_id == "export_routing":
        return matter.kind in RELEASE_KINDS
    return matter.subject.startswith(f"{dag_id.removeprefix('ingest_')} ")
