"""Start, stop, inspect and demonstrate the platform."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from parc.cli.printing import (
    Json,
    dump,
    following,
    hanging,
    print_facts,
    print_findings,
    print_shell_function,
    print_steps,
    say,
    screen,
    short,
    table,
    waiting,
)
from parc.instants import shown
from parc.settings import Settings

app = typer.Typer()


@app.command()
def up(
    no_airflow: Annotated[
        bool,
        typer.Option(
            "--no-airflow",
            help="Start only the warehouse; of an Airflow that was started before, what has ended.",
        ),
    ] = False,
) -> None:
    """Start the platform: the warehouse (embedded unless PARC_WAREHOUSE_DSN names one) and Airflow."""
    from parc.platform import start

    settings = Settings.from_env()
    with following() as follow:
        started = start.up(settings, with_airflow=not no_airflow, progress=follow)
    for line in started.lines():
        screen.print(line, highlight=False, soft_wrap=True)
    if not no_airflow:  # the container that brings the schema up to date does not see the landing zone
        start.check_landing(settings)


@app.command()
def stop() -> None:
    """Stop what `up` started; no data is lost."""
    from parc.platform import start

    with waiting("stopping"):
        stopped = start.down(Settings.from_env())
    say("stopped: " + (", ".join(stopped) or "nothing was running"))


@app.command()
def bi(
    export: Annotated[
        bool, typer.Option("--export", help="Write the dashboards as they are to bi/assets instead.")
    ] = False,
    only_files: Annotated[
        bool, typer.Option("--only-files", help="Only write what Superset is told; a container starts it.")
    ] = False,
) -> None:
    """Start Superset on the marts (`make bi` installs it first); the platform must be up."""
    from parc.platform import bi

    settings = Settings.from_env()
    if export:
        with waiting("exporting"):
            changed = bi.export(settings)
        say(changed)
    elif only_files:
        bi.write_files(settings)
    else:
        with waiting("starting Superset"):
            started = bi.start(settings)
        for line in started.lines():
            screen.print(line, highlight=False, soft_wrap=True)


@app.command()
def status(as_json: Json = False) -> None:
    """Show what needs attention, then what is due, running, loaded, built and released."""
    from parc.host import services
    from parc.platform import status

    settings = Settings.from_env()
    found = status.overview(settings)
    if as_json:
        dump(found.to_json())
        return
    print_findings(found.findings, services.ui_address(settings))
    due = [
        {"feed": each.feed, "due": shown(each.due_at), "state": each.state, "what": short(each.detail)}
        for each in found.due
    ]
    table(f"Due for the night of {found.night}" if found.night else "Due", due)
    table("Feeds", [_named(row, FEED_HEADINGS) for row in found.feeds], spare=("first", "days"))
    table("Builds", [_named(row, BUILD_HEADINGS) for row in found.builds], spare=("full", "finished"))
    running = ", ".join(f"{row['process']} {row['pid']}" for row in found.processes if row["pid"])
    screen.print(f"\nProcesses: {running}" if running else "\nAirflow: not started", highlight=False)
    if found.restarts:
        rows = [_named(row, RESTART_HEADINGS) for row in found.restarts]
        table("Ended by themselves and started again", rows)
    screen.print("\nRouting", highlight=False)
    print_facts(found.routing.facts())


FEED_HEADINGS = {
    "feed": "feed",
    "published_days": "days",
    "first_day": "first",
    "last_day": "last",
    "rows_published": "rows",
    "rows_quarantined": "quarantined",
    "refused_deliveries": "refused",
    "days_not_built": "not built",
}
RESTART_HEADINGS = {"process": "process", "ended_at": "ended", "restarted_at": "started again"}
BUILD_HEADINGS = {
    "build_id": "build",
    "status": "status",
    "is_full_refresh": "full",
    "started_at": "started",
    "finished_at": "finished",
    "reason": "reason",
}


def _named(row: dict[str, Any], headings: dict[str, str]) -> dict[str, Any]:
    """A row as shown on the screen."""
    return {heading: _cell(row[name]) for name, heading in headings.items()}


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return shown(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    return short(value) if isinstance(value, str) else value


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check everything the platform depends on, and show what fixes each problem."""
    from parc.host import services
    from parc.platform import doctor

    settings = Settings.from_env()
    with waiting("checking"):
        checks = doctor.checks(settings)
    if as_json:
        dump([check.to_json() for check in checks])
    else:
        marks = {"ok": "[green]ok[/]    ", "note": "[yellow]note[/]  ", "wrong": "[red]wrong[/] "}
        for check in checks:
            hanging(f"{marks[check.state]} ", f"{check.name}: {check.text}")
            if check.finding:
                print_steps(check.finding, services.ui_address(settings))
        if any(check.command for check in checks):
            print_shell_function()
    if not all(check.is_ok for check in checks):
        raise typer.Exit(3)


@app.command()
def demo() -> None:
    """Simulate fourteen days of a small operator and let Airflow load, build and release them."""
    from parc import demo

    demo.run(Settings.from_env(), screen)
