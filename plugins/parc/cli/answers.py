"""Says what a person knows about something that needs attention."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from parc.cli.printing import not_blank, say
from parc.cli.routing import CLOCK, By
from parc.findings import ANSWER_LASTS, AnswerVerdict, FindingAnswer
from parc.instants import PARIS, shown
from parc.settings import Settings

app = typer.Typer()

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the finding, as `parc status` shows it.")]
Reason = Annotated[str, typer.Option(callback=not_blank, help="Why; kept in the record.")]
Until = Annotated[
    datetime | None, typer.Option(help="Until when (Paris time); default: seven days.", **CLOCK)
]


@app.command()
def acknowledge(finding: Id, reason: Reason, by: By, until: Until = None) -> None:
    """Say that somebody is at a finding. It is shown with that, and still counts as wrong."""
    _answer("acknowledged", finding, reason, by, until)


@app.command()
def dismiss(finding: Id, reason: Reason, by: By, until: Until = None) -> None:
    """Say that a finding does not count. It is listed as dismissed, until then or until it ends by itself."""
    _answer("dismissed", finding, reason, by, until)


@app.command()
def reopen(finding: Id, reason: Reason, by: By) -> None:
    """Take back what was said about a finding: it counts again, and nobody is at it."""
    from parc import desk

    found = desk.reopen(Settings.from_env(), finding, by=by, reason=reason)
    say(f"{found.subject.name}: reopened by {by}: {reason}")


def _answer(verdict: AnswerVerdict, finding: str, reason: str, by: str, until: datetime | None) -> None:
    from parc import desk

    now = datetime.now(PARIS)
    until = until or now + ANSWER_LASTS
    if until <= now:
        raise typer.BadParameter(f"{shown(until)} is past: say until when with --until")
    found = desk.answer(Settings.from_env(), finding, FindingAnswer(verdict, by, reason, until))
    say(f"{found.subject.name}: {found.answer}")
