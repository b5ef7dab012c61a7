"""The platform as a whole: start, stop, its state, what is wrong with it, the demonstration."""

from __future__ import annotations

from typing import Annotated

import typer

from parc.cli.printing import Json, dump, screen, table, waiting
from parc.settings import Settings

app = typer.Typer()


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
