"""Finds runs of Airflow's of which nobody heard that they failed, or that they mended a failure."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from parc.errors import ParcError
from parc.host import environment, programs, services
from parc.host.client import Airflow
from parc.ledger import notices
from parc.settings import Settings
from parc.warehouse import embedded

LOST_AFTER = timedelta(minutes=3)
"""Airflow's DAG processor takes seconds to report a run, a minute on a busy machine."""
BACK = timedelta(days=1)
LONGEST = 60
ENDS_ITS_OWN = "export_routing"
"""Not each of its successes ends its notices: its tasks do."""

log = logging.getLogger(__name__)


def report(settings: Settings, connection: Connection[Any], now: datetime) -> None:
    """Have the end of each of them reported, where this platform's Airflow runs."""
    runs_here = all(program.pid for program in programs.airflow(settings))
    if not runs_here or settings.auth_manager:  # which may not know our login
        return
    try:
        span = {"end_date_gte": (now - BACK).isoformat(), "end_date_lte": (now - LOST_AFTER).isoformat()}
        params = {**span, "state": ["failed", "success"], "order_by": "-end_date", "limit": 100}
        ended = Airflow(settings).call("GET", "/dags/~/dagRuns", params=params)["dag_runs"]
    except ParcError as error:
        log.error("whether notices of runs were lost is not known: %s", error)
        return
    port = int(services.address(settings).rpartition(":")[2])
    variables = environment.variables(settings, port, embedded.airflow_url(settings))
    for dag_id, run_id in unreported(connection, ended):
        log.error("nobody was told of the end of %s %s", dag_id, run_id)
        command = [sys.executable, "-m", "parc.orchestration.lost", dag_id, run_id]
        subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, timeout=LONGEST, check=False)


def unreported(connection: Connection[Any], ended: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """DAG and id of the runs to report, oldest first: those that failed since the last success of their DAG,
    and a success that ended what was reported before. `ended` are runs as Airflow's API has them, newest
    first."""
    found, has_succeeded = [], set()
    for run in ended:
        dag_id, run_id = run["dag_id"], str(run["dag_run_id"])
        if dag_id in has_succeeded:
            continue
        at = datetime.fromisoformat(run["end_date"])
        if run["state"] == "failed":
            is_reported = notices.is_reported(connection, dag_id, run_id, at)
        else:
            has_succeeded.add(dag_id)
            before = notices.open_of_dag(connection, dag_id).values()
            is_reported = dag_id == ENDS_ITS_OWN or not any(each.at < at for each in before)
        if not is_reported:
            found.append((dag_id, run_id))
    return found[::-1]
