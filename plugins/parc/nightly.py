"""One night without Airflow: load what is due, build the marts, check the switch and release to it, unless a
person must approve; after a Sunday, send the weekly pages. Each step is independent: a failure does not hold
back what can still be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from parc import desk, loading, policy, routing, weekly
from parc.build import BuildResult, document
from parc.build import build as build_marts
from parc.desk import Due
from parc.errors import (
    ApprovalNeeded,
    BuildFailed,
    Busy,
    ConfigurationError,
    DeliveryRefused,
    RoutingRefused,
)
from parc.findings import Finding, with_steps
from parc.instants import shown
from parc.ledger import builds, deliveries, locks, releases
from parc.loading import Outcome
from parc.routing import Plan
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.logins import directorate_codes

REQUESTED_BY = "nightly"
WORST_FIRST = (
    ConfigurationError.exit_code,
    BuildFailed.exit_code,
    RoutingRefused.exit_code,
    ApprovalNeeded.exit_code,
    DeliveryRefused.exit_code,
)

StepState = Literal["running", "done", "unchanged", "waiting", "failed"]


@dataclass(frozen=True)
class NightStep:
    """One step of a night: what it did, or what it is doing while `running`. `exit_code` is 0 if nobody
    needs to act."""

    name: str
    state: StepState
    message: str
    seconds: float = 0.0
    exit_code: int = 0


Progress = Callable[[NightStep], None]


@dataclass
class NightRun:
    """The results of a night's run. `still_refused` are deliveries that were refused before and have not
    changed since: they are not read again. `release_date` is the business date of its release, never before
    the last release's, so that running an old night again does not take the switch back."""

    business_date: date
    release_date: date | None = None
    steps: list[NightStep] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    still_refused: list[Due] = field(default_factory=list)
    build: BuildResult | None = None
    plan: Plan | None = None
    bi: str = ""
    switch: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 when all is well, else that of the worst step: build before routing, approval and deliveries."""
        codes = {step.exit_code for step in self.steps}
        return next((code for code in WORST_FIRST if code in codes), 0)

    def with_status(self, *statuses: str) -> list[Outcome]:
        """Deliveries that ended with one of these statuses."""
        return [outcome for outcome in self.outcomes if outcome.status in statuses]

    def to_json(self) -> dict[str, Any]:
        """As JSON values (dates and instants as text)."""
        return {
            "business_date": self.business_date,
            "exit_code": self.exit_code,
            "steps": [asdict(step) for step in self.steps],
            "deliveries": [asdict(outcome) for outcome in self.outcomes],
            "still_refused": [asdict(due) for due in self.still_refused],
            "build": self.build.to_json() if self.build else None,
            "bi": self.bi,
            "release_date": self.release_date,
            "plan": routing.render_json(self.plan) if self.plan else None,
            "switch": self.switch,
            "findings": [finding.to_json() for finding in self.findings],
        }


def run(settings: Settings, business_date: date, progress: Progress | None = None) -> NightRun:
    """Do everything that the night of a business date needs. A second run does nothing unless something new
    has arrived; after a run that was killed, the next one resumes.

    Refused or missing deliveries, a failed build, and a release that is refused or waits for approval show in
    the night's `exit_code`. `progress` is called as each step begins, advances and ends.

    Raises DeliveryRefused for a date that no night has, Busy when another night, build or release runs,
    ConfigurationError when the environment (warehouse, landing zone) is not what the platform needs: fix it
    and run this again.
    """
    night = NightRun(business_date)
    watch = _Watch(night, progress or (lambda _: None))
    busy = "another `parc nightly` is running"
    with (
        connect(settings, "maintenance", autocommit=True) as connection,
        locks.held(connection, locks.NIGHT, busy),
    ):
        _ingest(settings, night, watch)
        _build(settings, night, watch)
        if builds.published(connection):
            released = releases.newest_release_date(connection)
            night.release_date = max(business_date, released or business_date)
            _release(settings, night, watch)
            _send_weekly_pages(settings, night, watch)
        night.bi = _seen_by_bi(settings)
    night.switch = routing.status(settings).live
    night.findings = desk.findings(settings, plan_for=night.release_date)
    return night


@dataclass(frozen=True)
class _Watch:
    """Times the steps of a night, keeps them and reports them."""

    night: NightRun
    progress: Progress

    @contextmanager
    def step(self, name: str, at: str = "") -> Iterator[_Running]:
        """A step, whose result its body sets; `at` says what it is working on."""
        self.progress(NightStep(name, "running", at))
        began, running = time.monotonic(), _Running(name, self.progress)
        yield running
        ended = NightStep(name, running.state, running.message, time.monotonic() - began, running.exit_code)
        self.night.steps.append(ended)
        self.progress(ended)


@dataclass
class _Running:
    name: str
    progress: Progress
    state: StepState = "done"
    message: str = ""
    exit_code: int = 0

    def end(self, state: StepState, message: str, exit_code: int = 0) -> None:
        self.state, self.message, self.exit_code = state, message, exit_code

    def advance(self, what: str, done: int, total: int) -> None:
        self.progress(NightStep(self.name, "running", f"{done}/{total} {what}"))


def _ingest(settings: Settings, night: NightRun, watch: _Watch) -> None:
    day = night.business_date
    accepted_dates = loading.of_night(day)
    wanted, night.still_refused = policy.deliveries_of(settings, day)
    for each in night.still_refused:
        with watch.step("ingest") as step:
            text = f"{each.feed} {day}: refused before, the same files are still there: {each.detail}"
            step.end("failed", text, DeliveryRefused.exit_code)
    with loading.loads(settings) as loads:
        for feed, day in wanted:
            with watch.step("ingest", f"{feed} {day}") as step:
                try:
                    outcome = loads.ingest(feed, day, complete_only=True, accepted_dates=accepted_dates)
                except Busy as busy:  # the holder of its lock loads it, or the next night does
                    step.end("failed", str(busy), DeliveryRefused.exit_code)
                    continue
                night.outcomes.append(outcome)
                if outcome.is_failure:
                    step.end("failed", with_steps(outcome.message, outcome.steps), DeliveryRefused.exit_code)
                elif outcome.status == "published":
                    step.end("done", outcome.message)
                else:
                    step.end("unchanged", outcome.message)
    first, _ = policy.dates_looked_at(day)
    if strays := [*loading.strays(settings), *loading.overlooked(settings, first)]:
        with watch.step("ingest") as step:
            places: dict[str, list[str]] = {}
            for stray in strays:
                places.setdefault(stray.why, []).append(stray.place)
            text = "; ".join(f"{', '.join(alike)} {why}" for why, alike in places.items())
            step.end("failed", text, DeliveryRefused.exit_code)


def _build(settings: Settings, night: NightRun, watch: _Watch) -> None:
    with watch.step("build") as step:
        try:
            night.build = build_marts(settings, progress=step.advance)
        except BuildFailed as error:  # the night's findings have the steps
            step.end("failed", error.text, error.exit_code)
            return
        step.end("done" if night.build.build_id else "unchanged", night.build.message)
    with watch.step("document") as step:
        try:
            made = document(settings)
        except (BuildFailed, Busy) as error:  # the figures are published; the previous page stays
            step.end("failed", str(error))
            return
        step.end("done" if made else "unchanged", f"the dbt project's page: {made}" if made else "")


def _release(settings: Settings, night: NightRun, watch: _Watch) -> None:
    assert night.release_date
    with watch.step("check switch") as step:
        status = routing.status(settings)
        if status.drift:
            step.end("failed", f"drift: {status.drift}", RoutingRefused.exit_code)
        elif status.version is None:
            step.end("done", "the switch has no table yet")
        else:
            step.end("done", f"{status.version} is live, as released")
    with watch.step("plan release") as step:
        try:
            night.plan = plan = routing.plan(settings, night.release_date)
        except RoutingRefused as error:  # the night's findings have the steps
            step.end("failed", error.text, error.exit_code)
            return
        text = f"{routing.headline(plan)}: {'; '.join(plan.reasons)}"
        if plan.verdict.is_stopped:
            step.end("failed", text, RoutingRefused.exit_code)
        elif plan.verdict == "needs approval":
            routing.ask(settings, plan, requested_by=REQUESTED_BY)
            step.end("waiting", text, ApprovalNeeded.exit_code)
        elif plan.verdict == "nothing to do":
            step.end("unchanged", routing.headline(plan))
        else:
            step.end("done", f"ready for {plan.effective_date}")
    if plan.verdict != "ready":
        return
    with watch.step("release") as step:
        try:
            outcome = routing.apply(
                settings,
                night.release_date,
                requested_by=REQUESTED_BY,
                reason=f"night of {night.business_date}",
            )
        except RoutingRefused as error:
            step.end("failed", str(error), error.exit_code)
        else:
            step.end("done", outcome.message)


def _send_weekly_pages(settings: Settings, night: NightRun, watch: _Watch) -> None:
    if not weekly.is_due(night.business_date):
        return
    with watch.step("weekly pages") as step:
        try:
            made = weekly.of_night(settings, night.business_date)
            weekly.check_sent(made)
        except (ConfigurationError, Busy) as error:
            step.end("failed", str(error), ConfigurationError.exit_code)
        else:
            step.end("done" if made else "unchanged", weekly.described(made, directorate_codes(settings)))


def _seen_by_bi(settings: Settings) -> str:
    """The build that BI reads, and its last day of calls."""
    with connect(settings, "reader") as connection:
        build = builds.published(connection)
        newest = deliveries.newest_built_date(connection, "calls")
    if build is None:
        return "nothing yet"
    calls = f"calls up to {newest}" if newest else "no calls yet"
    return f"build {build.build_id} of {shown(build.published_at)}, {calls}"
