"""The task that builds the marts."""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from parc.orchestration.assets import MARTS
from parc.orchestration.notice import Failed

log = logging.getLogger(__name__)

SLOWEST = 5


@task(outlets=[MARTS])
def build_marts() -> None:
    """Build what is published and not yet built; skipped when the marts hold everything already."""
    import psycopg

    from parc.build import build, document
    from parc.errors import BuildFailed, ParcError, parts_of
    from parc.settings import Settings

    context = get_current_context()
    log.info("::group::models and tests, as dbt finishes them")
    try:
        result = build(
            Settings.from_env(),
            full_refresh=bool(context["params"]["full_refresh"]),
            progress=lambda what, done, total: log.info("%d/%d %s", done, total, what),
        )
    except BuildFailed as error:
        log.info("::endgroup::")
        for line in str(error).splitlines():
            log.error(line)
        # The same data would fail again: no retry.
        raise Failed(error.text, steps=error.steps) from None
    except (ParcError, psycopg.OperationalError) as error:
        log.info("::endgroup::")
        # Another build runs, or the warehouse was lost: Airflow tries again.
        text, steps = parts_of(error)
        raise ParcError(text.strip(), steps=steps) from None
    log.info("::endgroup::")
    if result.build_id is None:
        raise AirflowSkipException(result.message)
    context["outlet_events"][MARTS].extra = {
        "build_id": result.build_id,
        "delivery_count": result.delivery_count,
        "date_count": result.date_count,
    }
    for line in result.message.splitlines():
        log.info(line)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.nodes_by_status.items()))
    slowest = sorted(result.seconds_by_node.items(), key=lambda each: -each[1])[:SLOWEST]
    log.info("dbt: %s; slowest: %s", counts, ", ".join(f"{name} {took:.1f} s" for name, took in slowest))
    try:
        document(Settings.from_env())
    except ParcError as error:  # the figures are published; the previous page stays
        log.warning("the dbt project's page was not renewed: %s", error.text)
