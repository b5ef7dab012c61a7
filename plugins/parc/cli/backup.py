"""Back up the warehouse and what belongs to it, and bring it back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from parc.cli.printing import Json, dump, following, say
from parc.cli.routing import By
from parc.instants import PARIS, iso, shown
from parc.settings import Settings
from parc.wording import counted

app = typer.Typer()


@app.command()
def backup(
    check: Annotated[
        bool, typer.Option("--check", help="Take none; read all that are kept, and say what is damaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Back up the warehouse to PARC_BACKUPS, verify the backup, and remove what is too old."""
    from parc import backup as backing_up

    settings = Settings.from_env()
    if check:
        found = list(backing_up.check(settings))
        if as_json:
            dump([{**backing_up.described(each), "problem": problem} for each, problem in found])
        else:
            for each, problem in found:
                say(f"{shown(each.ended_at)}: {problem or 'whole'}")
        if damaged := sum(bool(problem) for _, problem in found):
            raise backing_up.BackupFailed(f"{counted(damaged, 'backup')} of {len(found)} cannot be restored")
        if not found:
            raise backing_up.BackupFailed("there is no backup")
        return
    with following() as follow:
        taken = backing_up.take(settings, follow)
    if as_json:
        dump(backing_up.described(taken))
        return
    seconds = (taken.ended_at - taken.started_at).total_seconds()
    say(f"backed up and verified: {taken.byte_count / 1024**3:.2f} GiB in {seconds:.0f} s, {taken.folder}")


@app.command()
def restore(
    by: By,
    to: Annotated[
        str | None,
        typer.Option(
            help="The moment, as 2012-04-30 03:00; Paris time unless it has an offset (+00:00).",
            show_default=False,
        ),
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="To the last change that was kept.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up the warehouse that is here, if there is one.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Bring the warehouse back to a moment, from PARC_BACKUPS; nothing is sent to the switch."""
    from parc.platform import restore as restoring

    if (to is None) != latest:
        raise typer.BadParameter("say to which moment: --to, or --latest")
    settings = Settings.from_env()
    planned = restoring.plan(settings, _moment(to) if to else None, is_replacing_allowed=replace)
    say(str(planned))
    if not yes:
        typer.confirm("Continue?", abort=True, err=True)
    with following() as follow:
        done = restoring.run(settings, planned, requested_by=by, progress=follow)
    for text in done.damaged:
        say(f"passed over a damaged backup: {text}")
    last = done.last_change_at
    say(f"restored; its last change is {f'of {iso(last)}' if last else 'that of the backup'}")
    if done.forgotten_count:
        say(f"forgotten again: {counted(done.forgotten_count, 'pseudonym')} on the list")
    say(f"the switch: {done.difference or 'it holds what this warehouse released last'}")
    say("next: parc up, then parc doctor, parc routing verify, and parc backup")
    if done.is_routing_disabled:
        say("routing is disabled: when you have read what differs, parc routing enable")


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given.strip())
    except ValueError:
        raise typer.BadParameter(f"{given} is no moment; write it as 2012-04-30 03:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=PARIS)
