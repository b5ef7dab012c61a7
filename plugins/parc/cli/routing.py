"""The telephone switch: plan, apply, verify, roll back."""

from __future__ import annotations

import getpass
import os
import pwd
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parc.cli.printing import DATE, Json, dump, not_blank, print_facts, say, waiting
from parc.errors import ApprovalNeeded, RoutingRefused
from parc.instants import PARIS
from parc.loading.dates import EARLIEST, LATEST
from parc.settings import Settings

if TYPE_CHECKING:
    from parc.routing import ReleaseResult

app = typer.Typer(no_args_is_help=True, help=__doc__)


def login() -> str:
    """The user who is logged in, whatever the environment says."""
    return pwd.getpwuid(os.getuid()).pw_name


def check_name(settings: Settings, by: str) -> None:
    """Raises RoutingRefused if four eyes are required and the name is not that of the login."""
    if settings.four_eyes and by != login():
        raise RoutingRefused(f"PARC_FOUR_EYES is on: you are {login()}, and --by {by} is somebody else")


def near(moment: datetime | None) -> datetime | None:
    """The moment, if it lies in the years that the platform handles."""
    if moment and not EARLIEST.year <= moment.year <= LATEST.year:
        raise typer.BadParameter(f"the year {moment.year}: take one from {EARLIEST.year} to {LATEST.year}")
    return moment


def instant(text: str) -> datetime:
    """An instant as a person writes it, in Paris time."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is not an instant such as 2012-04-25T10:00") from None
    return given if given.tzinfo else given.replace(tzinfo=PARIS)


Why = Annotated[str, typer.Option("--reason", callback=not_blank, help="Why; kept in the record.")]
By = Annotated[
    str,
    typer.Option(
        "--by",
        default_factory=getpass.getuser,
        show_default="your login",
        callback=not_blank,
        help="Who; kept in the record.",
    ),
]
BusinessDate = Annotated[
    datetime | None,
    typer.Option(
        "--date",
        formats=DATE,
        callback=near,
        help="Business date; the release takes effect the day after. Default: the newest built.",
    ),
]


CLOCK: dict[str, Any] = {
    "parser": instant,
    "callback": near,
    "metavar": "YYYY-MM-DDTHH:MM",
    "show_default": False,
}
Bootstrap = Annotated[bool, typer.Option("--bootstrap", help="Allow the first table on an empty switch.")]


@app.command("plan")
def routing_plan(
    day: BusinessDate = None,
    bootstrap: Bootstrap = False,
    as_json: Json = False,
) -> None:
    """Show exactly what a release would change on the switch. Changes nothing."""
    from parc import routing

    with waiting("planning"):
        settings = Settings.from_env()
        plan = routing.plan(settings, due(settings, day), bootstrap=bootstrap)
    dump(routing.render_json(plan)) if as_json else say(routing.render_text(plan))
    if plan.verdict.is_stopped:
        raise typer.Exit(RoutingRefused.exit_code)
    if plan.verdict == "needs approval":
        raise typer.Exit(ApprovalNeeded.exit_code)


@app.command("apply")
def routing_apply(
    by: By,
    day: BusinessDate = None,
    reason: Why = "from the command line",
    bootstrap: Bootstrap = False,
    approve: Annotated[
        str | None, typer.Option(help="Approve the plan that you have read: its hash.")
    ] = None,
    drift: Annotated[str | None, typer.Option(help="Accept drift: adopt or overwrite.")] = None,
    as_json: Json = False,
) -> None:
    """Plan again and bring the release to the switch. It is verified, or rolled back."""
    from parc import routing

    if drift not in (None, "adopt", "overwrite"):
        raise typer.BadParameter("--drift takes adopt or overwrite")
    with waiting("releasing"):
        settings = Settings.from_env()
        if approve:
            routing.check_approver(settings, by)
        check_name(settings, by)
        result = routing.apply(
            settings,
            due(settings, day),
            requested_by=by,
            reason=reason,
            bootstrap=bootstrap,
            approve=approve,
            approved_by=by if approve else None,
            drift=drift,  # type: ignore[arg-type]
        )
    report(result, as_json)


@app.command("reject")
def routing_reject(
    plan_hash: Annotated[str, typer.Argument(help="Hash of the plan that waits.")],
    by: By,
    reason: Why = "from the command line",
) -> None:
    """Reject a plan that waits for approval: the switch keeps its table."""
    from parc import routing

    settings = Settings.from_env()
    check_name(settings, by)
    routing.reject(settings, plan_hash, rejected_by=by, reason=reason)
    say("rejected; the switch keeps its table, and the next run plans again")


@app.command("rollback")
def routing_rollback(
    by: By,
    reason: Why = "from the command line",
    to: Annotated[
        str | None, typer.Option(help="The version to restore; default: the one before the live one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an earlier table live again, byte for byte, and hold further releases."""
    from parc import routing

    with waiting("rolling back"):
        result = routing.rollback(Settings.from_env(), requested_by=by, reason=reason, to=to)
    report(result, as_json)


@app.command("emergency")
def routing_emergency(
    what: Annotated[str, typer.Argument(help="national: every zone to the national route.")],
    by: By,
    reason: Why = "from the command line",
    as_json: Json = False,
) -> None:
    """Send all calls to the national route at once, and hold further releases."""
    from parc import routing

    if what != "national":
        raise typer.BadParameter("there is only one emergency: `parc routing emergency national`")
    with waiting("releasing"):
        result = routing.emergency_national(Settings.from_env(), requested_by=by, reason=reason)
    report(result, as_json)


@app.command("assign")
def routing_assign(
    number: Annotated[str, typer.Argument(help="Who calls, in any spelling.")],
    by: By,
    zone: Annotated[
        str | None, typer.Option(help="The zone that takes its calls.", show_default=False)
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="Let the feeds decide again.")] = False,
    reason: Why = "from the command line",
    as_json: Json = False,
) -> None:
    """Send the calls of one number to a zone within seconds, and keep it so in every later release."""
    from parc import routing

    if (zone is None) != end:
        raise typer.BadParameter("name a zone with --zone, or end an assignment with --end")
    settings = Settings.from_env()
    with waiting("releasing"):
        if zone:
            report(routing.assign(settings, number, zone, requested_by=by, reason=reason), as_json)
        else:
            routing.unassign(settings, number, requested_by=by, reason=reason)
            say(f"{number} is routed by the feeds again from the next release on")


@app.command("drain")
def routing_drain(
    site: Annotated[str, typer.Argument(help="Site code.")],
    by: By,
    until: Annotated[datetime | None, typer.Option(help="Until when (Paris time).", **CLOCK)] = None,
    end: Annotated[bool, typer.Option("--end", help="Give it calls again now.")] = False,
    reason: Why = "from the command line",
) -> None:
    """Give a site no new call for a while, at once and without a release: the other sites of its routes
    take them."""
    from parc import routing

    if (until is None) != end:
        raise typer.BadParameter("say until when with --until, or end the drain with --end")
    settings = Settings.from_env()
    with waiting("draining"):
        if until:
            done = routing.drain(settings, site, until, drained_by=by, reason=reason)
        else:
            routing.end_drain(settings, site, ended_by=by, reason=reason)
            done = f"{site} gets calls again"
    say(done)


@app.command("explain")
def routing_explain(
    number: Annotated[str, typer.Argument(help="Who calls, in any spelling; or `anonymous`.")],
    at: Annotated[
        datetime | None,
        typer.Option(help="When (Paris time); default: now.", **CLOCK),
    ] = None,
    dialled: Annotated[str, typer.Option(help="The service number that is called.")] = "3900",
    day: BusinessDate = None,
    as_json: Json = False,
) -> None:
    """Show where a call goes and which rule decides each step, by the live table and by the planned one."""
    from parc import routing

    settings = Settings.from_env()
    with waiting("reading the tables"):
        explanation = routing.explain(
            settings, number, dialled, at or datetime.now(PARIS), day.date() if day else None
        )
    dump(explanation.to_json()) if as_json else say(explanation.to_text())
    if explanation.disagreement:
        raise typer.Exit(RoutingRefused.exit_code)


@app.command("verify")
def routing_verify(as_json: Json = False) -> None:
    """Read the live table back and compare it with the last release."""
    from parc import routing

    with waiting("reading back"):
        verification = routing.verify(Settings.from_env())
    dump(verification.to_json()) if as_json else say(verification.to_text())
    if not verification.is_ok:
        raise typer.Exit(RoutingRefused.exit_code)


@app.command("status")
def routing_status(as_json: Json = False) -> None:
    """Show what is live, since when, and what holds or blocks the next release."""
    from parc import routing

    found = routing.status(Settings.from_env())
    dump(found.to_json()) if as_json else print_facts(found.facts())


@app.command("release-hold")
def routing_release_hold(by: By, reason: Why = "from the command line") -> None:
    """Let releases through again after a rollback or an emergency."""
    from parc import routing

    routing.release_hold(Settings.from_env(), released_by=by, reason=reason)
    say(
        "the hold is released; the table on the switch stays until the next release, which a person must "
        "approve if regions go live or back: `parc routing plan`"
    )


@app.command("disable")
def routing_disable(by: By, reason: Why = "from the command line") -> None:
    """The kill switch: until `enable`, nothing is sent to the switch, not even a rollback or an emergency."""
    from parc import routing

    routing.disable(Settings.from_env(), disabled_by=by, reason=reason)
    say("routing is disabled; `parc routing enable` allows releases again")


@app.command("enable")
def routing_enable(by: By, reason: Why = "from the command line") -> None:
    """Allow releases again."""
    from parc import routing

    routing.enable(Settings.from_env(), enabled_by=by, reason=reason)
    say("routing is enabled")


def due(settings: Settings, day: datetime | None) -> date:
    """The business date of a release: the given one, else the newest built."""
    from parc import routing

    return day.date() if day else routing.newest_business_date(settings)


def report(result: ReleaseResult, as_json: bool) -> None:
    """Print the result of a release."""
    if as_json:
        dump({"status": result.status, "version": result.version, "message": result.message})
    else:
        say(result.message)
