"""Simulate, load and withdraw deliveries."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from parc.cli.printing import (
    DATE,
    AcceptDate,
    Day,
    From,
    Json,
    To,
    date_range,
    dump,
    not_blank,
    progress_bar,
    say,
    table,
)
from parc.errors import Busy, DeliveryRefused
from parc.feeds import FEEDS
from parc.findings import with_steps
from parc.settings import Settings
from parc.wording import counted

if TYPE_CHECKING:
    from parc.loading import Outcome

app = typer.Typer()


def list_faults(is_wanted: bool) -> None:
    """Show every fault and how the platform responds to it, then exit."""
    if is_wanted:
        from parc.simulate.faults import FAULTS

        rows = [
            {
                "fault": each.name,
                "what it does": each.does,
                "what the platform does": each.promise,
                "feeds": ", ".join(each.feeds),
            }
            for each in FAULTS.values()
        ]
        table(None, rows)
        raise typer.Exit


@app.command()
def simulate(
    first: Annotated[datetime, typer.Option("--from", formats=DATE, help="First business date.")],
    last: Annotated[datetime, typer.Option("--to", formats=DATE, help="Last business date.")],
    scale: Annotated[float, typer.Option(help="1 is the nation: 220,000 calls a day.", min=0.0001)] = 0.02,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    out: Annotated[str | None, typer.Option(help="URL to write to; default: the landing zone.")] = None,
    faults: Annotated[
        str,
        typer.Option(help="Faults to make: bad_rows,late@calls:2012-04-20 (see --list-faults)."),
    ] = "",
    list_faults: Annotated[
        bool,
        typer.Option("--list-faults", callback=list_faults, is_eager=True, help="List all faults."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write deliveries of a synthetic operator, with faults on request."""
    from parc.simulate import simulate as run

    with progress_bar() as advance:
        summary = run(
            first.date(),
            last.date(),
            scale=scale,
            seed=seed,
            out=out or Settings.from_env().landing,
            faults=[each for each in faults.split(",") if each],
            progress=advance,
        )
    if as_json:
        dump(vars(summary))
    else:
        counts = ", ".join(f"{count:,} {feed}" for feed, count in summary.rows.items())
        say(f"{counted(summary.deliveries, 'delivery', 'deliveries')} in {summary.out}: rows of {counts}")
        for aim in summary.faults:
            say(f"  fault: {aim}")


@app.command()
def ingest(
    feed: Annotated[str, typer.Argument(help=f"One of {', '.join(FEEDS)}.")],
    day: Day = None,
    first: From = None,
    last: To = None,
    accept_date: AcceptDate = False,
    as_json: Json = False,
) -> None:
    """Load the deliveries of a feed. Files that are already published are skipped."""
    from parc.loading import by_hand, loads
    from parc.loading.dates import MOST_DATES

    settings = Settings.from_env()
    days = date_range(day, first, last)
    accepted_dates = by_hand(settings, date.today(), is_accepted=accept_date)
    accepted_dates.check(feed, days[0], days[-1])
    if len(days) > MOST_DATES:
        raise typer.BadParameter(f"{len(days):,} dates are too many, {MOST_DATES:,} at most: split the range")
    outcomes: list[Outcome] = []
    busy = []
    try:
        with progress_bar() as advance, loads(settings) as load:
            for done, each in enumerate(days, start=1):
                try:
                    outcomes.append(load.ingest(feed, each, accepted_dates=accepted_dates))
                except Busy as error:
                    busy.append(error)
                advance(f"{feed} {each}", done, len(days))
    except BaseException:
        if outcomes:  # report what was done before the failure
            _print_outcomes(outcomes, as_json)
        raise
    _print_outcomes(outcomes, as_json)
    if busy:
        raise busy[0]
    if any(outcome.is_failure for outcome in outcomes):
        raise typer.Exit(DeliveryRefused.exit_code)


def _print_outcomes(outcomes: list[Outcome], as_json: bool) -> None:
    if as_json:
        dump([asdict(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        say(with_steps(outcome.message, outcome.steps))
        for warning in outcome.warnings:
            say(f"  warning: {warning}")


@app.command()
def withdraw(
    delivery: Annotated[int, typer.Argument(help="Number of the delivery, as shown in messages.")],
    reason: Annotated[str, typer.Option(callback=not_blank, help="Why; recorded in the ledger.")],
) -> None:
    """Withdraw a delivery, as if it had never arrived. The next build removes it from the marts."""
    from parc.loading import withdraw as run

    say(run(Settings.from_env(), delivery, reason))
