"""Notes to whom weekly pages were sent."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection


def note(
    connection: Connection[Any],
    directorate_code: str,
    week_start_date: date,
    address_digest: str,
    build_id: int,
) -> None:
    """The address has the page, with the figures of this build."""
    connection.execute(
        """
        insert into ops.weekly_mail (directorate_code, week_start_date, address_digest, build_id)
        values (%s, %s, %s, %s)
        on conflict (directorate_code, week_start_date, address_digest) do update set
            build_id = excluded.build_id,
            sent_at = excluded.sent_at
        """,
        [directorate_code, week_start_date, address_digest, build_id],
    )
