"""The command line: every task of the platform, without Airflow.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the environment; 4 a delivery was refused or is missing;
5 a build failed; 6 routing refused; 7 a routing plan waits for approval; 8 another run holds the lock.
"""

from __future__ import annotations

import csv
import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from parc.errors import ApprovalNeeded, DeliveryRefused, ParcError, RoutingRefused
from parc.feeds import FEEDS
from parc.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
routing_app = typer.Typer(no_args_is_help=True, help="The switch: plan, apply, verify, take back.")
app.add_typer(routing_app, name="routing")
screen = Console(width=None if sys.stdout.isatty() else 200)

DATE = ["%Y-%m-%d"]
NARROWEST_COLUMN = 10
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
From = Annotated[datetime | None, typer.Option("--from", formats=DATE, help="First business date.")]
To = Annotated[datetime | None, typer.Option("--to", formats=DATE, help="Last business date.")]
Day = Annotated[datetime | None, typer.Option("--date", formats=DATE, help="Business date.")]


def main() -> None:
    """Run the command line; what a user can mend is one message, never a traceback."""
    try:
        app()
    except ParcError as error:
        print(f"parc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("parc: interrupted; what was not finished is done again by the next run", file=sys.stderr)
        sys.exit(130)
    except psycopg.OperationalError as error:
        print(f"parc: the warehouse went away: {str(error).strip()}; run this again", file=sys.stderr)
        sys.exit(3)


@app.command()
def up(
    no_airflow: Annotated[bool, typer.Option("--no-airflow", help="Only the warehouse.")] = False,
) -> None:
    """Start the platform: the warehouse (embedded unless PARC_WAREHOUSE_DSN names one) and Airflow."""
    from parc import platform

    settings = Settings.from_env()
    with waiting("starting"):
        started = platform.up(settings, with_airflow=not no_airflow)
    for line in started.lines():
        screen.print(line, highlight=False, soft_wrap=True)


@app.command()
def stop() -> None:
    """Stop what `up` started; nothing is lost."""
    from parc import platform

    with waiting("stopping"):
        stopped = platform.down(Settings.from_env())
    print("stopped: " + (", ".join(stopped) or "nothing was running"))


@app.command()
def status(as_json: Json = False) -> None:
    """What runs, what has been loaded, built and released, and what waits."""
    from parc import platform

    found = platform.status(Settings.from_env())
    if as_json:
        dump(found)
        return
    for section, rows in found.items():
        table(section, rows)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check everything the platform stands on, and name the command that mends what is wrong."""
    from parc import platform

    checks = platform.doctor(Settings.from_env())
    if as_json:
        dump([vars(check) for check in checks])
    else:
        for check in checks:
            mark = "[green]ok[/]    " if check.is_ok else "[red]wrong[/] "
            screen.print(f"{mark} {check.name}: {check.finding}", highlight=False, soft_wrap=True)
    if not all(check.is_ok for check in checks):
        raise typer.Exit(3)


@app.command()
def demo() -> None:
    """Simulate fourteen days of a small operator and let Airflow load, build and release them."""
    from parc import demo

    demo.run(Settings.from_env(), screen)


def list_faults(is_wanted: bool) -> None:
    """Show every fault with what the platform promises to make of it, and end."""
    if is_wanted:
        from parc.simulate.faults import FAULTS

        rows = [
            {"fault": each.name, "what it does": each.does, "what becomes of it": each.promise,
             "feeds": ", ".join(each.feeds)}
            for each in FAULTS.values()
        ]  # fmt: skip
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
        typer.Option("--list-faults", callback=list_faults, is_eager=True, help="Show the faults there are."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write deliveries of a synthetic operator, with faults on request."""
    from parc.simulate import simulate as run

    with progress_bar() as advance:
        summary = run(
            first.date(), last.date(), scale=scale, seed=seed,
            out=out or Settings.from_env().landing, faults=[each for each in faults.split(",") if each],
            progress=advance,
        )  # fmt: skip
    if as_json:
        dump(vars(summary))
    else:
        counts = ", ".join(f"{count:,} {feed}" for feed, count in summary.rows.items())
        print(f"{summary.deliveries} deliveries in {summary.out}: rows of {counts}")
        for aim in summary.faults:
            print(f"  fault: {aim}")


@app.command()
def ingest(
    feed: Annotated[str, typer.Argument(help=f"One of {', '.join(FEEDS)}.")],
    day: Day = None,
    first: From = None,
    last: To = None,
    as_json: Json = False,
) -> None:
    """Load the deliveries of a feed; the same bytes again are a no-op."""
    from parc.loading import ingest as load

    settings = Settings.from_env()
    days = list(date_range(day, first, last))
    outcomes = []
    with progress_bar() as advance:
        for done, each in enumerate(days, start=1):
            outcomes.append(load(settings, feed, each))
            advance(f"{feed} {each}", done, len(days))
    if as_json:
        dump([vars(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            print(outcome.message)
            for warning in outcome.warnings:
                print(f"  warning: {warning}")
    if any(outcome.is_failure for outcome in outcomes):
        raise typer.Exit(DeliveryRefused.exit_code)


@app.command()
def build(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Recompute all days.")] = False,
    as_json: Json = False,
) -> None:
    """Build what is published and not yet built, test it, and show it to BI all at once."""
    from parc.build import build as run

    with progress_bar() as advance:
        result = run(Settings.from_env(), full_refresh=full_refresh, progress=advance)
    if as_json:
        dump(vars(result))
    elif result.build_id is None:
        print("the marts already hold every published delivery")
    else:
        print(
            f"build {result.build_id} published: {result.delivery_count} deliveries, "
            f"{result.date_count} days, {sum(result.rows_by_mart.values()):,} rows in "
            f"{len(result.rows_by_mart)} marts"
        )


Why = Annotated[str, typer.Option("--reason", help="Why; kept in the audit.")]
By = Annotated[str, typer.Option("--by", default_factory=getpass.getuser, help="Who; kept in the audit.")]
Due = Annotated[
    datetime | None,
    typer.Option("--date", formats=DATE, help="Business date, due the day after; default: the newest built."),
]
Bootstrap = Annotated[bool, typer.Option("--bootstrap", help="The first table of an empty switch.")]


@routing_app.command("plan")
def routing_plan(
    day: Due = None,
    bootstrap: Bootstrap = False,
    as_json: Json = False,
) -> None:
    """Show exactly what a release would change on the live switch; changes nothing."""
    from parc import routing

    with waiting("planning"):
        settings = Settings.from_env()
        plan = routing.plan(settings, due(settings, day), bootstrap=bootstrap)
    dump(plan.to_json()) if as_json else print(plan.to_text())
    if plan.verdict in ("refused", "blocked"):
        raise typer.Exit(RoutingRefused.exit_code)
    if plan.verdict == "needs approval":
        raise typer.Exit(ApprovalNeeded.exit_code)


@routing_app.command("apply")
def routing_apply(
    by: By,
    day: Due = None,
    reason: Why = "from the command line",
    bootstrap: Bootstrap = False,
    approve: Annotated[str | None, typer.Option(help="Hash of the plan that you have read.")] = None,
    drift: Annotated[str | None, typer.Option(help="Accept drift: adopt or overwrite.")] = None,
    as_json: Json = False,
) -> None:
    """Plan again and bring the release to the switch; verified, or taken back."""
    from parc import routing

    if drift not in (None, "adopt", "overwrite"):
        raise typer.BadParameter("--drift takes adopt or overwrite")
    with waiting("releasing"):
        settings = Settings.from_env()
        outcome = routing.apply(
            settings, due(settings, day), requested_by=by, reason=reason, bootstrap=bootstrap,
            approve=approve, approved_by=by if approve else None, drift=drift,  # type: ignore[arg-type]
        )  # fmt: skip
    tell(outcome, as_json)


@routing_app.command("rollback")
def routing_rollback(
    by: By,
    reason: Why = "from the command line",
    to: Annotated[str | None, typer.Option(help="A version; default: the one before the live one.")] = None,
    as_json: Json = False,
) -> None:
    """Make the former table live again, byte for byte, and hold further releases."""
    from parc import routing

    with waiting("rolling back"):
        outcome = routing.rollback(Settings.from_env(), requested_by=by, reason=reason, to=to)
    tell(outcome, as_json)


@routing_app.command("emergency")
def routing_emergency(
    what: Annotated[str, typer.Argument(help="national: every zone to the national route.")],
    by: By,
    reason: Why = "from the command line",
    as_json: Json = False,
) -> None:
    """Send all calls to the national route at once, and hold further releases."""
    from parc import routing

    if what != "national":
        raise typer.BadParameter("the emergency there is: `parc routing emergency national`")
    with waiting("releasing"):
        outcome = routing.emergency_national(Settings.from_env(), requested_by=by, reason=reason)
    tell(outcome, as_json)


@routing_app.command("verify")
def routing_verify(as_json: Json = False) -> None:
    """Read the live table back and compare it with the last release."""
    from parc import routing

    with waiting("reading back"):
        verification = routing.verify(Settings.from_env())
    dump(verification.to_json()) if as_json else print(verification.to_text())
    if not verification.is_ok:
        raise typer.Exit(RoutingRefused.exit_code)


@routing_app.command("status")
def routing_status(as_json: Json = False) -> None:
    """What is live, since when, and what holds or blocks the next release."""
    from parc import routing

    found = routing.status(Settings.from_env())
    dump(found.to_json()) if as_json else print(found.to_text())


@routing_app.command("release-hold")
def routing_release_hold(by: By, reason: Why = "from the command line") -> None:
    """Let nightly releases go on after a rollback or an emergency."""
    from parc import routing

    routing.release_hold(Settings.from_env(), released_by=by, reason=reason)
    print("the hold is released; the next release brings the desired table again")


@routing_app.command("disable")
def routing_disable(by: By, reason: Why = "from the command line") -> None:
    """The kill switch: no release of any kind until `enable`."""
    from parc import routing

    routing.disable(Settings.from_env(), disabled_by=by, reason=reason)
    print("routing is disabled; `parc routing enable` allows releases again")


@routing_app.command("enable")
def routing_enable(by: By, reason: Why = "from the command line") -> None:
    """Allow releases again."""
    from parc import routing

    routing.enable(Settings.from_env(), enabled_by=by, reason=reason)
    print("routing is enabled")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One query.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Query the warehouse, read-only: marts, ledger, everything but the routing numbers."""
    from parc.warehouse import connect

    with connect(Settings.from_env(), "reader") as connection:
        connection.read_only = True
        try:
            cursor = connection.execute(query.encode())
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise ParcError(f"the query failed: {str(error).strip()}") from None
        names = [column.name for column in cursor.description or []]
    if as_json:
        dump([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    else:
        table(None, [dict(zip(names, row, strict=True)) for row in rows])


def due(settings: Settings, day: datetime | None) -> date:
    """The business date of a release: the given one, else the newest built."""
    from parc.routing.night import newest_business_date

    return day.date() if day else newest_business_date(settings)


def tell(outcome: Any, as_json: bool) -> None:
    """Print what came of a release."""
    if as_json:
        dump({"status": outcome.status, "version": outcome.version, "message": outcome.message})
    else:
        print(outcome.message)


def date_range(day: datetime | None, first: datetime | None, last: datetime | None) -> Iterator[date]:
    """The dates of `--date D`, or of `--from D --to D`."""
    if (day is None) == (first is None or last is None) or (day is not None and (first or last)):
        raise typer.BadParameter("name the days: --date D, or --from D --to D")
    start, end = (day, day) if day else (first, last)
    assert start is not None and end is not None
    if end < start:
        raise typer.BadParameter(f"--from {start.date()} is after --to {end.date()}")
    for offset in range((end - start).days + 1):
        yield start.date() + timedelta(days=offset)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error where a person looks on; silent elsewhere."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield advance


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on standard error where a person looks on."""
    with Console(stderr=True).status(what):
        yield


def table(title: str | None, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table; one below the other where they have too many columns for the screen."""
    if not rows:
        screen.print(f"{title}: nothing" if title else "(no rows)")
        return
    if len(rows[0]) * NARROWEST_COLUMN > screen.width:
        for number, row in enumerate(rows, start=1):
            record = Table(title=f"row {number}", title_justify="left", show_header=False)
            for name, value in row.items():
                record.add_row(name, "" if value is None else escape(str(value)))
            screen.print(record)
        return
    grid = Table(title=title, title_justify="left")
    for name in rows[0]:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    screen.print(grid)


def dump(value: object) -> None:
    """Print JSON; what JSON has no word for becomes text."""
    json.dump(value, sys.stdout, default=str, ensure_ascii=False, indent=2)
    print()
