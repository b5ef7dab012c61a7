"""Back up the warehouse and what belongs to it, and bring it back."""

from __future__ import annotations

from typing import Annotated

import typer

from parc.cli.printing import Json, dump, following, say
from parc.instants import shown
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
