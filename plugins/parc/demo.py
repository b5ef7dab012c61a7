"""The demonstration behind `make run`: Airflow itself loads, builds and releases fourteen days of a small
operator, through the same interface that a data engineer uses.

Some deliveries are faulty on purpose. By the tenth evening one has been refused and one is missing; by the
last both have arrived, and a third has been restated."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from parc import routing
from parc.errors import ConfigurationError, ParcError
from parc.feeds import FACTS, IN_LOADING_ORDER, REFERENCES
from parc.findings import Step
from parc.host.client import POLL_SECONDS, Airflow
from parc.instants import PARIS, time_shown
from parc.ledger import deliveries, releases
from parc.platform import start
from parc.routing.switches import local
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect

FIRST, LAST = date(2012, 4, 16), date(2012, 4, 29)
BEFORE_GO_LIVE = date(2012, 4, 23)
SCALE, SEED = 0.03, 2012
TENTH = date(2012, 4, 25)
REFUSED, LATE = ("interventions", date(2012, 4, 23)), ("boutique_visits", date(2012, 4, 24))
AT_ONCE = (
    "bad_rows@calls:2012-04-18",
    "duplicates@interventions:2012-04-19",
    "unknown_codes@boutique_visits:2012-04-20",
    f"missing_column@{REFUSED[0]}:{REFUSED[1]}",
)
OVER_DAYS = ("restated@calls:2012-04-24", f"late@{LATE[0]}:{LATE[1]}")
LAST_LOADED = ("calls",)
EVENING = (tuple(feed for feed in FACTS if feed not in LAST_LOADED), LAST_LOADED)
"""The feeds of an evening, in groups that are loaded at the same time."""
RUN_SECONDS = 600
Advance = Callable[[str, int, int], None]
READING = timedelta(seconds=2)
SWITCH_NOW = datetime(2012, 4, 30, 10, tzinfo=PARIS)
"""The clock of the demonstration's own switch: in opening hours, after the last business date."""


def run(settings: Settings, screen: Console) -> None:
    """Start the platform and bring it to the evening of 29 April 2012; skips what is already done.

    Raises ConfigurationError if PARC_LANDING is set (simulated deliveries belong in the demonstration's own
    landing zone), and ParcError naming the DAG that failed and its log.
    """
    if not settings.has_own_landing:
        raise ConfigurationError(
            "PARC_LANDING is set, and the demonstration does not write simulated deliveries into a real "
            "landing zone",
            steps=(Step("unset it"), Step("start the platform alone", "parc up", is_alternative=True)),
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.demonstration_mark.touch()  # before the first DAG is read
    columns = (TextColumn("{task.description:<60}"), BarColumn(20), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        started = _step(bar, "Start PostgreSQL and Airflow", lambda _: start.up(settings))
        airflow = Airflow(settings)
        _step(bar, "Read the DAGs", lambda _: airflow.wait_for_dags(_dag_ids()))
        if _has_unbuilt(settings):
            airflow.trigger("build_marts")  # of a run that was interrupted: no event would start it
        if not _is_loaded(settings):
            airflow.pause("export_routing", True)  # until the marts exist
            _step(
                bar,
                "Simulate 16-25 April 2012, some deliveries faulty",
                lambda advance: _simulate(settings, FIRST, TENTH, AT_ONCE + OVER_DAYS, advance),
            )
            _step(
                bar,
                "Airflow loads them",
                lambda advance: _load(
                    settings, airflow, FIRST, TENTH, (REFERENCES, *EVENING), {LATE, REFUSED}, advance
                ),
            )
            _step(bar, "Airflow builds and tests the marts", lambda _: _wait_for_marts(settings, airflow))
            _step(
                bar,
                "Simulate 26-29 April 2012, the faulty ones sent again",
                lambda advance: _simulate_on(settings, advance),
            )
            _step(
                bar,
                "Airflow loads them",
                lambda advance: _load(settings, airflow, REFUSED[1], LAST, EVENING, set(), advance),
            )
        _step(bar, "Airflow builds and tests the marts", lambda _: _wait_for_marts(settings, airflow))
        airflow.pause("export_routing", False)
        if _released_date(settings) is None:
            _step(
                bar,
                "Release the table of before 25 April, approved by name",
                lambda _: _release(airflow, BEFORE_GO_LIVE),
            )
        if (_released_date(settings) or date.min) < LAST:
            _step(bar, "Release the go-live of 25 April, approved by name", lambda _: _release(airflow, LAST))
        if settings.has_own_switch:
            local.set_clock(settings, SWITCH_NOW)
    for line in (*_summary(settings), *started.lines()):
        screen.print(line, highlight=False, soft_wrap=True)


def _dag_ids() -> set[str]:
    return {"build_marts", "export_routing", *(f"ingest_{feed}" for feed in IN_LOADING_ORDER)}


def _step(bar: Progress, what: str, act: Callable[[Advance], Any]) -> Any:
    """Run a step with a progress bar, or with lines in a log."""
    task: TaskID = bar.add_task(what, total=None)

    def log(words: str) -> None:
        if not bar.console.is_terminal:
            bar.console.print(f"{time_shown(datetime.now(UTC))} {words}", highlight=False, markup=False)

    def advance(step: str, done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        log(f"  {done}/{total} {step}")

    log(what)
    result = act(advance)
    bar.update(task, completed=1, total=1)
    bar.stop_task(task)
    return result


def _simulate(
    settings: Settings,
    first: date,
    last: date,
    faults: tuple[str, ...],
    advance: Advance,
    delivered: tuple[str, ...] = IN_LOADING_ORDER,
) -> None:
    simulate(
        first,
        last,
        scale=SCALE,
        seed=SEED,
        out=settings.landing,
        faults=faults,
        delivered=delivered,
        progress=advance,
    )


def _simulate_on(settings: Settings, advance: Advance) -> None:
    """Simulate the remaining days, and from the refused one on those before, which are sent again. The
    references, due on Mondays, have come already."""
    _simulate(settings, REFUSED[1], LAST, OVER_DAYS, advance, FACTS)


def _load(
    settings: Settings,
    airflow: Airflow,
    first: date,
    last: date,
    groups: tuple[tuple[str, ...], ...],
    faulty: set[tuple[str, date]],
    advance: Advance,
) -> None:
    """Run one load per feed over the days, group after group; a load with a faulty day may fail. The last
    group starts the evening's one build.

    Raises ParcError if any day other than the faulty ones is not published.
    """
    done, total = 0, sum(map(len, groups))
    for feeds in groups:
        airflow.pause("build_marts", feeds != LAST_LOADED)
        runs = {
            feed: airflow.trigger(f"ingest_{feed}", first_date=str(first), last_date=str(last))
            for feed in feeds
        }
        for feed, run_id in runs.items():
            may_fail = feed in {name for name, _ in faulty}
            _wait(airflow, f"ingest_{feed}", run_id, lambda: None, may_fail=may_fail)
            done += 1
            advance(feed, done, total)
    days = {first + timedelta(days=day) for day in range((last - first).days + 1)}
    with connect(settings, "reader") as connection:
        gaps = {
            (feed, day) for feed in FACTS for day in days - set(deliveries.published_dates(connection, feed))
        }
    lost = sorted(gaps - faulty)
    if lost:
        names = ", ".join(f"{feed} {day}" for feed, day in lost)
        raise ParcError(f"not published: {names}; see {airflow.address}")


def _wait(
    airflow: Airflow, dag_id: str, run_id: str, each_poll: Callable[[], None], *, may_fail: bool = False
) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while (state := airflow.state(dag_id, run_id)) != "success":
        if state == "failed" and may_fail:
            return
        if state == "failed":
            raise ParcError(airflow.failures(dag_id, run_id))
        if time.monotonic() > deadline:
            raise ParcError(f"{dag_id} is still {state} after {RUN_SECONDS} s; see {airflow.address}")
        each_poll()
        time.sleep(POLL_SECONDS)


def _wait_for_marts(settings: Settings, airflow: Airflow) -> None:
    """Wait until everything is built and the build's run has ended, so that it cannot start a release
    later."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        runs = airflow.runs("build_marts")
        if runs and runs[-1]["state"] == "failed":
            raise ParcError(airflow.failures("build_marts", runs[-1]["dag_run_id"]))
        if not any(run["state"] in ("queued", "running") for run in runs) and not _has_unbuilt(settings):
            return
        if time.monotonic() > deadline:
            raise ParcError(
                f"the marts were not built in {RUN_SECONDS} s; see {airflow.address}/dags/build_marts"
            )
        time.sleep(POLL_SECONDS)


def _release(airflow: Airflow, business_date: date) -> None:
    run_id = airflow.trigger("export_routing", business_date=str(business_date))

    asked_at: datetime | None = None

    def approve() -> None:
        # Airflow fails a task that is answered before the scheduler has noticed that it waits.
        nonlocal asked_at
        pending = airflow.pending_approvals("export_routing", run_id)
        asked_at = (asked_at or datetime.now(UTC)) if pending else None
        if asked_at and airflow.scheduler_heartbeat() > asked_at + READING:
            for detail in pending:
                airflow.approve(detail)

    _wait(airflow, "export_routing", run_id, approve)


def _is_loaded(settings: Settings) -> bool:
    days = (LAST - FIRST).days + 1
    with connect(settings, "reader") as connection:
        return len(deliveries.published_dates(connection, "calls")) >= days


def _has_unbuilt(settings: Settings) -> bool:
    with connect(settings, "reader") as connection:
        return bool(deliveries.not_built(connection))


def _released_date(settings: Settings) -> date | None:
    with connect(settings, "reader") as connection:
        return releases.newest_release_date(connection)


def _summary(settings: Settings) -> list[str]:
    """The result in five lines."""
    with connect(settings, "reader") as connection:
        feeds = deliveries.by_feed(connection)
        rates = connection.execute(
            """
            select
                sum(home_in_hours_count) filter (where not is_live)
                    / nullif(sum(in_hours_known_answered_count) filter (where not is_live), 0),
                sum(home_in_hours_count) filter (where is_live)
                    / nullif(sum(in_hours_known_answered_count) filter (where is_live), 0)
            from marts.mart_service_quality_daily
            cross join lateral (select business_date >= '2012-04-25' as is_live) as go_live
            where region_code in ('52', '53') and market in ('fixe', 'internet')
            """
        ).fetchone()
        live = routing.status(settings).version
        release = releases.last_activated(connection)
    name = "nobody: it is not a recorded release"
    if release and release.version == live:
        name = release.approved_by or release.requested_by
    assert rates
    return [
        "",
        f"rows       {sum(feed.rows_published for feed in feeds):,} published, "
        f"{sum(feed.rows_quarantined for feed in feeds):,} quarantined",
        f"home rate  Bretagne and Pays de la Loire, fixe and internet: {rates[0]:.1%} before 25 April, "
        f"{rates[1]:.1%} from then on",
        f"routing    version {live} is live, released in the name of {name}",
        "",
    ]
