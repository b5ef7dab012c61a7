"""Overseeing the switch: verify, status, the hold, the kill switch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from parc.errors import RoutingRefused
from parc.findings import with_steps
from parc.instants import iso, shown
from parc.ledger import plans, releases, write_releases
from parc.ledger.plans import Answered, OpenQuestion
from parc.routing.plans.plan import Plan
from parc.routing.steering.drafting import drift_of, plan
from parc.routing.steering.drains import in_force
from parc.routing.switches import open_switch
from parc.settings import Settings
from parc.warehouse import connect


@dataclass(frozen=True)
class Verification:
    """Whether the switch holds the whole last release; `problems` says what differs."""

    version: str | None
    row_counts: dict[str, int]
    problems: list[str]

    @property
    def is_ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "is_ok": self.is_ok}

    def to_text(self) -> str:
        """One line, and one per problem."""
        if self.is_ok:
            rows = ", ".join(f"{name} {count}" for name, count in self.row_counts.items())
            return f"{self.version} is live and complete ({rows})"
        return f"{self.version or 'an empty switch'} does not verify:\n" + "\n".join(
            f"  - {problem}" for problem in self.problems
        )


@dataclass(frozen=True)
class Status:
    """The state of routing. `effective_date` is the day that the live table was made for, `pending` the plan
    of a business date, if one was asked for; `question` the plan that waits for a person, `last_answer` what
    was answered to the last one."""

    version: str | None
    kind: str | None
    since: datetime | None
    effective_date: date | None
    approved_by: str | None
    released_by: str | None
    drift: str | None
    unfinished: str | None
    hold: str | None
    kill_switch: str | None
    drains: dict[str, datetime]
    question: OpenQuestion | None
    last_answer: Answered | None
    pending: Plan | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; of the pending plan, its verdict and hash."""
        return {
            "version": self.version,
            "kind": self.kind,
            "since": self.since and iso(self.since),
            "approved_by": self.approved_by,
            "released_by": self.released_by,
            "drift": self.drift,
            "unfinished": self.unfinished,
            "hold": self.hold,
            "kill_switch": self.kill_switch,
            "waits_for_approval": self.question
            and {
                "subject": self.question.subject,
                "effective_date": self.question.effective_date.isoformat(),
                "plan_hash": self.question.plan_hash,
                "since": iso(self.question.at),
                "requested_by": self.question.requested_by,
            },
            "last_answer": self.last_answer
            and {
                "verdict": self.last_answer.verdict,
                "answered_by": self.last_answer.answered_by,
                "reason": self.last_answer.reason,
                "at": iso(self.last_answer.at),
                "business_date": self.last_answer.business_date.isoformat(),
            },
            "drains": {site: iso(until) for site, until in self.drains.items()},
            "pending": self.pending
            and {"verdict": self.pending.verdict, "plan_hash": self.pending.plan_hash},
        }

    @property
    def live(self) -> str:
        """The active version in one line: since when and by whom."""
        if self.version is None:
            return "none: the switch is empty"
        if self.since is None:
            return f"{self.version} (not recorded)"
        approved = f"approved by {self.approved_by}, " if self.approved_by else ""
        return f"{self.version} ({self.kind}, {approved}run by {self.released_by}, since {shown(self.since)})"

    def facts(self) -> dict[str, str]:
        """Its facts by name, as people read them."""
        facts = {
            "active version": self.live,
            "drift": self.drift or "none",
            "unfinished release": self.unfinished or "none",
            "waits for approval": with_steps(self.question.text, self.question.remedy)
            if self.question
            else "none",
            "last answer": f"the release of {self.last_answer.business_date} was {self.last_answer}"
            if self.last_answer
            else "none",
            "hold": self.hold or "none",
            "kill switch": self.kill_switch or "off",
            "drained sites": ", ".join(f"{site} until {shown(until)}" for site, until in self.drains.items())
            or "none",
        }
        if self.pending:
            facts["pending plan"] = f"{self.pending.verdict} ({self.pending.plan_hash})"
        return facts


def verify(settings: Settings) -> Verification:
    """Read the live table back and compare it with the last recorded release."""
    switch = open_switch(settings)
    with connect(settings, "exporter") as connection:
        live = switch.read_live()
        drift = drift_of(connection, live)
    counts = live.content.row_counts if live and live.content else {}
    problems = [drift.detail] if drift else []
    if live is None and not problems:
        problems = ["no release was made yet: `parc routing apply --bootstrap`"]
    return Verification(live.version if live else None, counts, problems)


def status(settings: Settings, business_date: date | None = None) -> Status:
    """The state of routing and, with a business date, the plan of its release."""
    switch = open_switch(settings)
    with connect(settings, "exporter") as connection:
        live = switch.read_live()
        drift = drift_of(connection, live)
        recorded, left = releases.last_activated(connection), releases.unfinished(connection)
        held, disabled = releases.hold(connection), releases.kill_switch(connection)
        question, last_answer = plans.open_question(connection), plans.last_answer(connection)
    is_recorded = recorded is not None and live is not None and live.version == recorded.version
    return Status(
        version=live.version if live else None,
        kind=recorded.kind if recorded and is_recorded else None,
        since=recorded.at if recorded and is_recorded else None,
        effective_date=recorded.effective_date if recorded and is_recorded else None,
        approved_by=recorded.approved_by if recorded and is_recorded else None,
        released_by=recorded.requested_by if recorded and is_recorded else None,
        drift=drift.detail if drift else None,
        unfinished=f"{left.version} ({left.kind} by {left.requested_by}): the next run settles it"
        if left
        else None,
        hold=str(held) if held else None,
        kill_switch=f"disabled by {disabled}" if disabled else None,
        drains=in_force(switch, live),
        question=question,
        last_answer=last_answer,
        pending=plan(settings, business_date) if business_date else None,
    )


def release_hold(settings: Settings, *, released_by: str, reason: str) -> None:
    """Let releases through again after a rollback or an emergency.

    Raises RoutingRefused when no hold is set.
    """
    with connect(settings, "exporter") as connection:
        if releases.hold(connection) is None:
            raise RoutingRefused("no hold is set: there is nothing to release")
        write_releases.record_hold(connection, "released", set_by=released_by, reason=reason)


def disable(settings: Settings, *, disabled_by: str, reason: str) -> None:
    """Throw the kill switch: nothing is sent to the switch any more, not even a rollback."""
    with connect(settings, "exporter") as connection:
        write_releases.record_kill_switch(connection, "disabled", set_by=disabled_by, reason=reason)


def enable(settings: Settings, *, enabled_by: str, reason: str) -> None:
    """Allow releases again."""
    with connect(settings, "exporter") as connection:
        write_releases.record_kill_switch(connection, "enabled", set_by=enabled_by, reason=reason)
