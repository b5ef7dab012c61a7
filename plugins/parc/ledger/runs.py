"""Which run of Airflow's made what: noted as soon as it begins, so that a run that dies is known too."""

from __future__ import annotations

from typing import Any

import psycopg

from parc.settings import Settings


def note(
    connection: psycopg.Connection[Any],
    settings: Settings,
    *,
    build_id: int | None = None,
    delivery_id: int | None = None,
) -> None:
    """Note that the run of these settings works on a build or a delivery; nothing where there is no run."""
    if settings.airflow_run:
        connection.execute(
            "insert into ops.airflow_run (dag_id, run_id, build_id, delivery_id) values (%s, %s, %s, %s) "
            "on conflict do nothing",
            [*settings.airflow_run, build_id, delivery_id],
        )
