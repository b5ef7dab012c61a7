"""One ingest DAG per feed, all from this factory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, TriggerRule, get_current_context, task
from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from parc.orchestration.assets import feed_asset
from parc.orchestration.dates import business_dates, date_param

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestSpec:
    """When a feed is fetched (`cron`, Europe/Paris) and who owns it."""

    feed: str
    cron: str
    owner: str


def ingest_dag(spec: IngestSpec, doc_md: str) -> DAG:
    """The DAG `ingest_<feed>`: load the run's business dates, then say what was refused or missing.

    Loading comes first for every date of the run, so one bad day never holds back the others; the second
    task fails with the reasons. Asset events are emitted when at least one day was published.
    """
    asset = feed_asset(spec.feed)
    with DAG(
        dag_id=f"ingest_{spec.feed}",
        doc_md=doc_md,
        schedule=CronTriggerTimetable(
            # Whatever its documentation says, without a zero the night before the platform began is run too.
            spec.cron,
            timezone="Europe/Paris",
            run_immediately=timedelta(0),
        ),
        catchup=False,
        max_active_runs=2,
        dagrun_timeout=timedelta(hours=6),
        default_args={
            "owner": spec.owner,
            "retries": 2,
            "retry_delay": timedelta(minutes=2),
            "execution_timeout": timedelta(hours=5),
        },
        tags=["ingest", spec.feed],
        params={
            "first_date": date_param(
                "First business date", "Load from this day on, instead of the run's night."
            ),
            "last_date": date_param("Last business date", "Load up to this day; else the first alone."),
        },
    ) as dag:

        @task(outlets=[asset], doc_md="Read, check and publish each business date of the run.")
        def load() -> None:
            from parc.loading import ingest
            from parc.settings import Settings

            context = get_current_context()
            settings = Settings.from_env()
            logging.getLogger("great_expectations").setLevel(logging.WARNING)
            outcomes = []
            for day in business_dates(context):
                outcomes.append(ingest(settings, spec.feed, day))
                log.info(outcomes[-1].message)
                for warning in outcomes[-1].warnings:
                    log.warning(warning)
            context["ti"].xcom_push(key="outcomes", value=[_row(outcome) for outcome in outcomes])
            if not any(outcome.status == "published" for outcome in outcomes):
                raise AirflowSkipException("nothing new was published")
            context["outlet_events"][asset].extra = {
                "business_dates": [str(o.business_date) for o in outcomes if o.status == "published"],
                "rows_published": sum(o.rows_published for o in outcomes if o.status == "published"),
            }

        @task(
            trigger_rule=TriggerRule.NONE_FAILED,
            retries=0,
            doc_md="Fails when a delivery was refused or is missing, and says which and why.",
        )
        def report() -> None:
            outcomes = get_current_context()["ti"].xcom_pull(task_ids="load", key="outcomes") or []
            bad = [row["message"] for row in outcomes if row["is_failure"]]
            for message in bad:
                log.error(message)
            if bad:
                raise AirflowFailException(f"{len(bad)} refused or missing: which and why, above")

        load() >> report()
    return dag


def _row(outcome: Any) -> dict[str, Any]:
    return {
        "business_date": str(outcome.business_date),
        "status": outcome.status,
        "is_failure": outcome.is_failure,
        "delivery_id": outcome.delivery_id,
        "rows_read": outcome.rows_read,
        "rows_published": outcome.rows_published,
        "rows_quarantined": outcome.rows_quarantined,
        "message": outcome.message,
    }
