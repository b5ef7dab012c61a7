"""Runs the whole night in one command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.status import Status

from parc.cli.printing import (
    DATE,
    AcceptDate,
    Json,
    dump,
    escape,
    hanging,
    log_step,
    print_facts,
    print_findings,
    screen,
    stderr,
)
from parc.settings import Settings

if TYPE_CHECKING:
    from parc.desk import Due
    from parc.loading import Outcome
    from parc.nightly import NightRun, NightStep

app = typer.Typer()
MARKS = {
    "done": "[green]ok[/]   ",
    "unchanged": "[dim]same[/] ",
    "waiting": "[yellow]waits[/]",
    "failed": "[red]wrong[/]",
}


ROWS_SHOWN = 3


@app.command()
def nightly(
    day: Annotated[datetime, typer.Option("--date", formats=DATE, help="Business date of the night.")],
    accept_date: AcceptDate = False,
    as_json: Json = False,
) -> None:
    """Load what is due, build the marts, check the switch and release to it, without Airflow.

    Exits with the first of these that applies: 3 the environment, 5 the build failed, 6 routing refused or
    drifted, 7 a plan waits for approval, 4 a delivery refused or missing; else 0. Running it again does
    nothing if nothing is new.
    """
    from parc import nightly
    from parc.host import services
    from parc.loading import by_hand

    settings = Settings.from_env()
    by_hand(settings, date.today(), is_accepted=accept_date).check("night", day.date())
    with watching(is_silent=as_json) as watch:
        night = nightly.run(settings, day.date(), progress=watch.see)
    dump(night.to_json()) if as_json else sum_up(night, services.ui_address(settings))
    raise typer.Exit(night.exit_code)


@dataclass
class Watch:
    """Prints each step when it ends. A step in progress shows as a spinner, or as a line in a log."""

    spinner: Status
    is_silent: bool
    has_begun: bool = False

    def see(self, step: NightStep) -> None:
        """Show a step's new state."""
        if step.state == "running":
            self.spinner.update(f"{step.name} {escape(step.message)}")
            self.spinner.start()
            if not (stderr.is_terminal or self.has_begun):
                log_step(f"{step.name} {step.message}".strip())
            self.has_begun = True
            return
        self.spinner.stop()
        self.has_begun = False
        if not self.is_silent:
            hanging(f"{MARKS[step.state]} {step.seconds:6.1f} s  {step.name:<14}", step.message)


@contextmanager
def watching(*, is_silent: bool) -> Iterator[Watch]:
    """A watch whose spinner stops at the end of the block."""
    watch = Watch(stderr.status(""), is_silent)
    try:
        yield watch
    finally:
        watch.spinner.stop()


def sum_up(night: NightRun, airflow: str) -> None:
    """Print the result of the night and what needs attention."""
    from parc import routing

    late = sum(each.business_date != night.business_date for each in night.with_status("published"))
    facts = {
        "published": f"{len(night.with_status('published'))} ({late} of earlier nights), "
        f"{len(night.with_status('unchanged'))} unchanged",
        "refused": _named([*night.with_status("refused"), *night.still_refused]),
        "missing": _named(night.with_status("missing")),
        "BI sees": night.bi,
        "switch": night.switch,
    }
    screen.print(f"\nNight of {night.business_date}", highlight=False)
    print_facts(facts)
    if night.plan and night.plan.verdict == "needs approval":
        plan = routing.render_text(night.plan, ROWS_SHOWN)
        screen.print(f"\n{escape(plan)}", highlight=False, soft_wrap=True)
    screen.print()
    print_findings(night.findings, airflow)


def _named(deliveries: Sequence[Outcome | Due]) -> str:
    return ", ".join(f"{each.feed} {each.business_date}" for each in deliveries) or "none"
