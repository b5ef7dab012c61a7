"""People and keys: somebody is forgotten, the keys of the pseudonyms are changed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from parc.cli.printing import Json, dump, say, waiting
from parc.cli.routing import By, Why
from parc.loading.names import told
from parc.settings import Settings

app = typer.Typer()
secret = typer.Typer(no_args_is_help=True, help="The keys that the platform keeps.")

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
        bool, typer.Option("--again", help="All who were forgotten: after a dump was restored.")
    ] = False,
    delete_files: Annotated[
        bool,
        typer.Option("--delete-files", help="Delete the landing zone's files that hold the person, whole."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: this cannot be undone.")] = False,
    reason: Why = "from the command line",
    as_json: Json = False,
) -> None:
    """Forget one person: what is stored leads to them no more, and no load brings them back."""
    from parc import privacy

    if again == bool(customer or number) or (again and delete_files):
        raise typer.BadParameter("name a person with --customer and --number, or give --again alone")
    if not yes and (as_json or STDIN in {*(customer or []), *(number or [])}):
        raise typer.BadParameter("with --json or `-` nobody is asked: give --yes")
    settings = Settings.from_env()
    if not yes:
        typer.confirm("What is forgotten cannot be brought back. Go on?", abort=True, err=True)
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
                "files": {kind: list(map(_told, found)) for kind, found in vars(done.files).items()},
            }
        )
        return
    who = ", ".join(
        f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in done.pseudonym_counts.items()
    )
    rows = sum(done.row_counts.values())
    say(f"forgotten: {who}; {rows:,} rows in {len(done.row_counts)} tables lead to nobody now")
    if done.version:
        say(f"the switch has {done.version}; a rollback does not reach the tables before it")
    if done.files.holding:
        say(
            "deleted from the landing zone:"
            if done.are_deleted
            else "the landing zone still holds the person in:"
        )
        for place in done.files.holding:
            say(f"  {_told(place)}")
    if done.files.unreadable:
        say("could not be read, and may hold the person:")
        for place in done.files.unreadable:
            say(f"  {_told(place)}")


def _told(place: str) -> str:
    """Where a file lies, without the number or reference that its name may hold."""
    return "/".join(map(told, place.split("/")))


@secret.command()
def rotate(by: By, reason: Why = "from the command line", as_json: Json = False) -> None:
    """Change the outer key of the pseudonyms: all that is stored follows, and people stay who they are."""
    from parc import privacy

    with waiting("changing the keys"):
        done = privacy.rotate(Settings.from_env(), requested_by=by, reason=reason)
    if as_json:
        dump(vars(done))
        return
    rows = sum(done.row_counts.values())
    say(f"{done.pseudonym_count:,} pseudonyms are new, in {rows:,} rows of {len(done.row_counts)} tables")
    say("a dump from before needs the former key: take one now")
    if done.is_given:
        say(
            "now set PARC_PSEUDONYM_OUTER_KEY to the new key wherever the platform runs, and unset "
            "PARC_PSEUDONYM_OUTER_KEY_NEXT: until then loads are refused"
        )


def _given(values: list[str] | None) -> list[str]:
    """The values, and for `-` the lines of standard input: others may see how a command was called."""
    given = [value for value in values or [] if value != STDIN]
    if STDIN in (values or []):
        given += [line.strip() for line in sys.stdin if line.strip()]
    return given
