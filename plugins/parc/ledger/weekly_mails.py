"""To whom weekly pages were sent."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg import Connection


def sent_to(connection: Connection[Any], directorate_code: str, week_start_date: date) -> set[str]:
    """The digests of the addresses that have the page of a directorate and week."""
    rows = connection.execute(
        "select address_digest from ops.weekly_mail where directorate_code = %s and week_start_date = %s",
        [directorate_code, week_start_date],
    )
    return {digest for (digest,) in rows}
