"""The estimated effect of the rollout: `ops.rollout_effect`, read and written by the estimation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection

COLUMNS = (
    "market",
    "outcome",
    "effect_kind",
    "group_date",
    "week_date",
    "event_week",
    "estimate",
    "treated_mean",
    "p_value",
    "smallest_p_value",
    "treated_region_count",
    "region_count",
    "directorate_count",
    "week_count",
    "tried_order_count",
    "order_count",
    "method",
    "library_version",
    "reason",
    "minimum_detectable_effect",
    "planning_effect",
    "further_week_count",
    "detectable_date",
    "power_reason",
    "input_sha256",
)


def digests(connection: Connection[Any]) -> dict[tuple[str, str], str]:
    """The digest of the inputs of each estimate, by market and outcome."""
    rows = connection.execute("select distinct market, outcome, input_sha256 from ops.rollout_effect")
    return {(market, outcome): digest for market, outcome, digest in rows}


def replace(
    connection: Connection[Any], market: str, outcome: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Replace the effects of a market and outcome with these rows, which have all COLUMNS."""
    with connection.transaction():
        connection.execute(
            "delete from ops.rollout_effect where market = %s and outcome = %s", [market, outcome]
        )
        command = f"copy ops.rollout_effect ({', '.join(COLUMNS)}) from stdin"
        with connection.cursor() as cursor, cursor.copy(command.encode()) as copy:
            for row in rows:
                copy.write_row([row[column] for column in COLUMNS])
