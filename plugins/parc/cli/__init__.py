"""The command line: every task of the platform, without Airflow.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the environment; 4 a delivery was refused or is missing;
5 a build failed; 6 routing refused; 7 a routing plan waits for approval; 8 another run holds the lock.
"""

from __future__ import annotations

import logging
import sys

import psycopg
import typer

from parc.cli import checks, deliveries, marts, night, platform, quarantine, routing
from parc.errors import ParcError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(platform.app)
app.add_typer(night.app)
app.add_typer(deliveries.app)
app.add_typer(checks.app)
app.add_typer(marts.app)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(routing.app, name="routing")


def main() -> None:
    """Run the command line; what a user can mend is one message, never a traceback."""
    # What it logs of a lost connection follows from the loss, which is told once.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        app()
    except ParcError as error:
        print(f"parc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("parc: interrupted; what was not finished is done again by the next run", file=sys.stderr)
        sys.exit(130)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        print(f"parc: the warehouse went away: {reason}; run this again", file=sys.stderr)
        sys.exit(3)
