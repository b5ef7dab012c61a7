"""The command line: every task of the platform, without Airflow.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the environment; 4 a delivery was refused or is missing;
5 a build failed; 6 routing refused; 7 a routing plan waits for approval; 8 another run holds the lock.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn

import psycopg
import typer

from parc.cli import (
    answers,
    backup,
    checks,
    deliveries,
    marts,
    night,
    people,
    platform,
    quarantine,
    query,
    routing,
    weekly,
)
from parc.cli.printing import say
from parc.errors import ConfigurationError, ParcError
from parc.host import shell
from parc.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(platform.app)
app.add_typer(backup.app)
app.add_typer(answers.app)
app.add_typer(night.app)
app.add_typer(deliveries.app)
app.add_typer(checks.app)
app.add_typer(marts.app)
app.add_typer(query.app)
app.add_typer(weekly.app)
app.add_typer(people.app)
app.add_typer(people.secret, name="secret")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(routing.app, name="routing")

INTERRUPTED = 130


@cache
def command() -> Any:
    """The command with all its subcommands; making it reads the signatures of every one."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line; any error becomes one message, never a traceback."""
    # A lost connection is reported once, below; psycopg would log its consequences too.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    os.umask(0o077)  # only the platform's user may read its files; Airflow's plugin sets this too
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # some names cannot be written to a terminal
    try:
        for number, argument in enumerate(sys.argv[1:], start=1):
            check_text(number, argument)
        command()()
    except ParcError as error:
        end(with_shell_function(error), error.exit_code)
    except KeyboardInterrupt:
        end("interrupted; the next run repeats what was not finished", INTERRUPTED)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        end(
            f"the connection to the warehouse was lost: {reason}; run this again",
            ConfigurationError.exit_code,
        )
    except SystemExit:
        raise
    except BaseException as error:
        end(describe_unexpected(error), ParcError.exit_code)


def check_text(number: int, argument: str) -> None:
    """Raise NotText if an argument is not valid UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        text = argument.encode(errors="backslashreplace").decode()
        raise NotText(f"argument {number} is not UTF-8: {text}") from None


class NotText(ParcError):
    """An argument is not valid UTF-8."""

    exit_code = 2


def with_shell_function(error: ParcError) -> str:
    """An error as a text; where its commands mean another platform in a shell, with the function for it."""
    text = str(error)
    with suppress(ParcError):  # the error may be that of the settings
        settings = Settings.from_env()
        if any(step.command.startswith("parc ") for step in error.steps) and shell.is_needed(settings):
            text += f"\n  In a shell, first: {shell.definition(settings)}"
    return text


def describe_unexpected(error: BaseException) -> str:
    """Describe an unexpected error in one line and write the details to a log. Covers panics of Rust
    libraries."""
    from parc.loading import incidents

    try:
        return incidents.record(Settings.from_env().home / "logs" / "command.log", error)
    except (OSError, ParcError):
        return incidents.one_line(error)


def end(message: str, code: int) -> NoReturn:
    """Print the message to standard error and exit."""
    say(f"parc: {message}", to_stderr=True)
    sys.exit(code)
