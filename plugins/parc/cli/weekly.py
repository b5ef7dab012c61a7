"""Makes and sends the weekly pages of the directorates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from parc.cli.printing import Json, dump, say, table, waiting
from parc.settings import Settings

if TYPE_CHECKING:
    from parc import weekly

app = typer.Typer()


@app.command()
def report(
    week: Annotated[str, typer.Option(help="The week, such as 2012-W17.")],
    directorate: Annotated[
        str | None, typer.Option(help="Code of one directorate, such as OUEST; default: all.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Mail it to the addresses that do not have it.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --send: also to those that have it.")] = False,
    as_json: Json = False,
) -> None:
    """Write the Monday page of each directorate, as HTML and PDF, and mail it with --send."""
    from parc import weekly
    from parc.warehouse.logins import directorate_codes

    settings = Settings.from_env()
    try:
        of_week = weekly.IsoWeek.named(week)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--week") from None
    codes = directorate_codes(settings)
    if directorate is not None and directorate not in codes:
        there_are = f"there are {', '.join(codes)}"
        raise typer.BadParameter(
            f"'{directorate}' is no directorate; {there_are}", param_hint="--directorate"
        )
    if again and not send:
        raise typer.BadParameter("it needs --send", param_hint="--again")
    with waiting("writing the pages"):
        asked = codes if directorate is None else [directorate]
        made = weekly.make(settings, of_week, asked)
        if send:
            made = weekly.send(settings, made, again=again)
    dump([each.to_json() for each in made]) if as_json else table(None, [_row(each) for each in made])
    if len(made) < len(asked):
        say(weekly.described(made, asked), to_stderr=True)
    weekly.check_sent(made)


def _row(page: weekly.WeeklyPage) -> dict[str, str]:
    return {
        "directorate": page.directorate_code,
        "figures": {True: "final", False: "provisional", None: "none"}[page.page.is_final],
        "mails": str(page.new_mail_count),
        "sent before": str(page.earlier_mail_count),
        "page": str(page.files.pdf),
    }
