"""Which Airflow run made what. It is noted when the work begins, so that runs that die are recorded too."""

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
    """Note that the settings' Airflow run works on a build or a delivery; does nothing outside Airflow."""
    if settings.airflow_run:
        connection.execute(
            "insert into ops.airflow_run (dag_id, run_id, build_id, delivery_id) values (%s, %s, %s, %s) "
            "on conflict do nothing",
            [*settings.airflow_run, build_id, delivery_id],
        )
