"""Forget people, and rotate the key of the pseudonyms."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from parc.cli.printing import Json, dump, say, waiting
from parc.cli.routing import By, Why
from parc.loading.names import reported
from parc.settings import Settings
from parc.wording import counted

app = typer.Typer()
secret = typer.Typer(no_args_is_help=True, help="Manage the platform's keys.")

STDIN = "-"


@app.command()
def forget(
    by: By,
    customer: Annotated[
        list[str] | None,
        typer.Option(
            help="A customer's reference; `-` reads one from each line of standard input (with --yes).",
            show_default=False,
        ),
    ] = None,
    number: Annotated[
        list[str] | None,
        typer.Option(help="A telephone number in any spelling; `-` as above.", show_default=False),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Forget everyone forgotten before; after restoring a dump.")
    ] = False,
    delete_files: Annotated[
        bool,
        typer.Option("--delete-files", help="Delete whole files in the landing zone that hold the person."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask for confirmation; there is no undo.")
    ] = False,
    reason: Why = "from the command line",
    as_json: Json = False,
) -> None:
    """Forget one person: stored data no longer leads to them, and no later load brings them back."""
    from parc import privacy

    if again == bool(customer or number) or (again and delete_files):
        raise typer.BadParameter("give a person with --customer and --number, or --again alone")
    if not yes and (as_json or STDIN in {*(customer or []), *(number or [])}):
        raise typer.BadParameter("--json and `-` cannot ask for confirmation: add --yes")
    settings = Settings.from_env()
    if not yes:
        typer.confirm("Forgetting cannot be undone. Continue?", abort=True, err=True)
    with waiting("forgetting"):
        if again:
            done = privacy.forget_again(settings, requested_by=by, reason=reason)
        else:
            done = privacy.forget(
                settings,
                customers=_given(customer),
                numbers=_given(number),
                requested_by=by,
                reason=reason,
                delete_files=delete_files,
            )
    if as_json:
        dump(
            {
                **vars(done),
                "files": {kind: list(map(_masked_path, found)) for kind, found in vars(done.files).items()},
            }
        )
        return
    who = ", ".join(counted(count, kind) for kind, count in done.pseudonym_counts.items())
    say(f"forgotten: {who}; {_rows(done.row_counts)} no longer lead to anyone")
    if done.version:
        say(f"the switch has {done.version}; a rollback cannot go back to earlier tables")
    if done.files.holding:
        say(
            "deleted from the landing zone:"
            if done.are_deleted
            else "these files in the landing zone still hold the person:"
        )
        for place in done.files.holding:
            say(f"  {_masked_path(place)}")
    if done.files.unreadable:
        say("these files could not be read and may hold the person:")
        for place in done.files.unreadable:
            say(f"  {_masked_path(place)}")


def _rows(counts: Mapping[str, int]) -> str:
    """How many rows in how many tables."""
    return f"{counted(sum(counts.values()), 'row')} in {counted(len(counts), 'table')}"


def _masked_path(place: str) -> str:
    """A file's path, with any number or reference in its name masked."""
    return "/".join(map(reported, place.split("/")))


@secret.command()
def rotate(by: By, reason: Why = "from the command line", as_json: Json = False) -> None:
    """Rotate the outer key of the pseudonyms. All stored pseudonyms change; people keep their identity."""
    from parc import privacy

    with waiting("rotating the key"):
        done = privacy.rotate(Settings.from_env(), requested_by=by, reason=reason)
    if as_json:
        dump(vars(done))
        return
    say(f"replaced {counted(done.pseudonym_count, 'pseudonym')}: {_rows(done.row_counts)}")
    say("older dumps need the old key: take a new dump now")
    if done.is_given:
        say(
            "now set PARC_PSEUDONYM_OUTER_KEY to the new key wherever the platform runs, and unset "
            "PARC_PSEUDONYM_OUTER_KEY_NEXT; loads are refused until then"
        )


def _given(values: list[str] | None) -> list[str]:
    """The values, with the lines of standard input for `-`, since others can see a command's arguments."""
    given = [value for value in values or [] if value != STDIN]
    if STDIN in (values or []):
        given += [line.strip() for line in sys.stdin if line.strip()]
    return given
