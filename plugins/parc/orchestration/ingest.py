"""One ingest DAG per feed, all from this factory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from parc.findings import FindingKind, Step, each_once
from parc.orchestration.assets import feed_asset
from parc.orchestration.dates import ACCEPT_DATE, business_dates, date_param
from parc.orchestration.limits import LOADING, NIGHT_FIRST
from parc.orchestration.notice import Failed, RunMended, RunNotice, keep_reason
from parc.orchestration.timetable import NightTimetable
from parc.policy import LOOK_EVERY, dates_looked_at, night_of, waits_until

if TYPE_CHECKING:
    from parc.loading.dates import AcceptedDates

log = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=4)
LONGEST_LOAD = timedelta(hours=6)


@dataclass(frozen=True)
class IngestSpec:
    """When a feed is fetched (`cron`, Europe/Paris) and who owns it."""

    feed: str
    cron: str
    owner: str


def ingest_dag(spec: IngestSpec, doc_md: str) -> DAG:
    """The DAG `ingest_<feed>`: wait for the night's delivery, load the run's business dates, then report what
    was refused or missing.

    All dates of the run are loaded first, so that one bad day never holds back the others; the last task
    fails with the reasons. An asset event is emitted if at least one day was published.
    """
    asset = feed_asset(spec.feed)
    with DAG(
        dag_id=f"ingest_{spec.feed}",
        doc_md=doc_md,
        schedule=NightTimetable(spec.cron),
        catchup=False,
        max_active_runs=3,
        dagrun_timeout=timedelta(hours=12),
        on_success_callback=RunMended(),
        on_failure_callback=RunNotice(
            FindingKind.INGEST_RUN_FAILED,
            impact="The published days are as they were; everything else that the run loaded is published.",
            remedy=(
                Step("have it sent, or sent again: ingest_late loads it within half an hour"),
                Step("load it yourself", f"parc ingest {spec.feed} {{dates}}", is_alternative=True),
            ),
            feed=spec.feed,
        ),
        default_args={
            "owner": spec.owner,
            "retries": 2,
            "retry_delay": timedelta(minutes=2),
            "weight_rule": NIGHT_FIRST,
            "on_failure_callback": keep_reason,
        },
        tags=["ingest", spec.feed],
        params={
            "first_date": date_param(
                "First business date", "Load from this day on, instead of the run's night."
            ),
            "last_date": date_param("Last business date", "Last day to load; default: the first day alone."),
            "accept_date": ACCEPT_DATE,
        },
    ) as dag:

        @task.sensor(
            mode="reschedule",
            poke_interval=LOOK_EVERY.total_seconds(),
            timeout=LONGEST_WAIT.total_seconds(),
            execution_timeout=timedelta(minutes=5),
            silent_fail=True,
            retries=5,  # stopping the platform in the middle of a look costs one
            doc_md="Waits for the night's delivery, until a quarter of an hour before the marts are built.",
        )
        def wait() -> bool:
            return _has_waited(spec.feed)

        @task(
            outlets=[asset],
            pool=LOADING,
            trigger_rule=TriggerRule.ALL_DONE,
            execution_timeout=LONGEST_LOAD,
            doc_md="Read, check and publish each business date of the run.",
        )
        def load() -> None:
            context = get_current_context()
            days = dates_to_load(context)
            is_nightly = context["dag_run"].run_type == "scheduled"
            accepted_dates = accepted_dates_of(context, days[-1])
            refuse_dates(accepted_dates, spec.feed, days)
            published = load_deliveries(
                ((spec.feed, day) for day in days), accepted_dates=accepted_dates, complete_only=is_nightly
            )
            if not published:
                raise AirflowSkipException("nothing new was published")
            get_current_context()["outlet_events"][asset].extra = event_of(published[spec.feed])

        wait() >> load() >> report()
    return dag


@task(
    trigger_rule=TriggerRule.NONE_FAILED,
    retries=0,
    execution_timeout=timedelta(minutes=5),
    doc_md="Fails when a delivery was refused or is missing, and says which and why.",
)
def report() -> None:
    """Fail with the reasons why `load` could not publish a delivery.

    Raises Failed.
    """
    outcomes = get_current_context()["ti"].xcom_pull(task_ids="load", key="outcomes") or []
    bad = [row for row in outcomes if row["is_failure"]]
    if bad:
        text = "\n".join([f"{len(bad)} refused or missing:", *(row["message"] for row in bad)])
        steps = each_once(Step(**step) for row in bad for step in row["steps"])
        raise Failed(text, steps=steps)


def dates_to_load(context: Mapping[str, Any]) -> list[date]:
    """The business dates of a run.

    Raises Failed when it has none.
    """
    days = business_dates(context["params"], context["dag_run"].logical_date)
    if not days:
        raise Failed("this run has no scheduled date: trigger it with first_date (and last_date for a range)")
    return days


def accepted_dates_of(context: Mapping[str, Any], night: date) -> AcceptedDates:
    """The business dates that a run accepts: a nightly run goes by its night, a person may mistype."""
    from parc.loading import by_hand, of_night
    from parc.settings import Settings

    if context["dag_run"].run_type == "scheduled":
        return of_night(night)
    is_accepted = bool(context["params"].get("accept_date"))
    return by_hand(Settings.from_env(), date.today(), is_accepted=is_accepted)


def refuse_dates(accepted_dates: AcceptedDates, what: str, days: Sequence[date]) -> None:
    """Raises Failed if the first or the last of these dates is not accepted, or if they are too
    many."""
    from parc.errors import DeliveryRefused
    from parc.loading.dates import MOST_DATES

    try:
        accepted_dates.check(what, days[0], days[-1])
    except DeliveryRefused as refusal:
        raise Failed(refusal.text) from None
    if len(days) > MOST_DATES:
        text = f"{what}: {len(days):,} dates are too many, {MOST_DATES:,} at most: take them in parts"
        raise Failed(text)


def load_deliveries(
    deliveries: Iterable[tuple[str, date]], *, accepted_dates: AcceptedDates, complete_only: bool = False
) -> dict[str, dict[date, int]]:
    """Load each delivery, whatever happens to the others. Returns, by feed, the rows of each date published.

    A delivery of a date outside `accepted_dates` is refused. With `complete_only`, as at night, one that is
    still being written counts as missing, and files where no night looks are reported.

    If the run was killed and tried again, what it published before counts too, as long as no build has it:
    otherwise no event would be emitted. Passing errors (a lost warehouse, a held lock) are raised once all
    deliveries were tried, so that Airflow retries; on the last try they are left to `report`.
    """
    from parc.errors import ConfigurationError, ParcError, parts_of
    from parc.loading import loads, not_built, overlooked, strays
    from parc.settings import Settings

    ti = get_current_context()["ti"]
    settings = Settings.from_env()
    rows: list[dict[str, Any]] = []
    errors: list[ParcError] = []
    feeds: set[str] = set()
    days: set[date] = set()
    published: dict[str, dict[date, int]] = {}
    with loads(settings) as load:
        for feed, day in deliveries:
            log.info("%s, business date %s", feed, day)
            feeds.add(feed)
            days.add(day)
            try:
                outcome = load.ingest(feed, day, complete_only=complete_only, accepted_dates=accepted_dates)
            except Exception as error:
                log.exception("%s %s was not loaded", feed, day)
                why, steps = parts_of(error)
                errors.append(ParcError(f"{feed} {day}: {why}", steps=steps))
                if isinstance(error, ConfigurationError):  # all the others would fail too
                    break
                continue
            for warning in outcome.warnings:
                log.warning(warning)
            log.log(logging.ERROR if outcome.is_failure else logging.INFO, outcome.message)
            rows.append(_row(outcome))
            is_new = outcome.status == "published"
            if is_new or (outcome.status == "unchanged" and day in not_built(settings, feed)):
                published.setdefault(feed, {})[day] = outcome.rows_published
    if errors and ti.try_number <= ti.max_tries:
        text = "\n".join(error.text for error in errors)
        raise ParcError(text, steps=each_once(step for error in errors for step in error.steps))
    rows += [_failure(error.text, error.steps) for error in errors]
    if complete_only and days:
        first, _ = dates_looked_at(max(days))
        found = [*strays(settings), *overlooked(settings, first)]
        rows += [_failure(str(stray)) for stray in found if stray.feed in feeds]
    ti.xcom_push(key="outcomes", value=rows)
    return published


def event_of(rows_by_date: dict[date, int]) -> dict[str, Any]:
    """The content of the asset event about published dates."""
    return {
        "business_dates": sorted(map(str, rows_by_date)),
        "rows_published": sum(rows_by_date.values()),
    }


def _has_waited(feed: str) -> bool:
    """Whether the run can continue. Only a nightly run waits, and only for what the feed calendar expects of
    its night."""
    run = get_current_context()["dag_run"]
    if run.run_type != "scheduled" or run.logical_date is None:
        log.info("a %s run does not wait", run.run_type)
        return True
    day, until = night_of(run.logical_date), waits_until(run.logical_date)
    log.info("%s, business date %s", feed, day)
    if datetime.now(UTC) >= until:
        log.info("the wait is over: loading what is there")
        return True
    from parc.loading import has_arrived  # takes seconds to import: only for a run that waits
    from parc.policy import due_of
    from parc.settings import Settings

    settings = Settings.from_env()
    if has_arrived(settings, feed, day):
        log.info("it has arrived")
        return True
    states = [due.state for due in due_of(settings, day) if due.feed == feed]
    if not states or states[0] not in ("expected", "missing"):
        log.info("nothing is due" if not states else f"it is {states[0]} already")
        return True
    log.info("it has not arrived; the next look is in %s, the last at %s", LOOK_EVERY, until)
    return False


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
        "steps": [asdict(step) for step in outcome.steps],
    }


def _failure(message: str, steps: Sequence[Step] = ()) -> dict[str, Any]:
    return {"is_failure": True, "message": message, "steps": [asdict(step) for step in steps]}
