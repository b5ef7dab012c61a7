"""Where a call would go and which rule decides each step: by the live table and by the planned one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from parc.errors import ParcError
from parc.instants import iso, shown
from parc.numbers import e164
from parc.routing.steering.night import newest_business_date
from parc.routing.switches import Answer, Question, open_switch, readable
from parc.routing.table.decision import Decision, decide
from parc.routing.table.desired import desired_state, effective_date
from parc.routing.table.inputs import read_inputs
from parc.settings import Settings


@dataclass(frozen=True)
class Explanation:
    """A call and where it would go.

    `live` is None if the switch is empty, `not_planned` says why there is no planned table. `answer` is what
    the switch itself says, if it can be asked; `disagreement` says where that differs from its table.
    """

    call: str
    live: Decision | None
    planned: Decision | None
    not_planned: str | None
    answer: Answer | None
    disagreement: str | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        if self.answer:
            values["answer"]["at"] = iso(self.answer.at)
        return values

    def to_text(self) -> str:
        """The steps, one per line."""
        lines = [self.call]
        if self.live is None:
            lines += ["", "No live table: the switch is empty (`parc routing apply --bootstrap`)"]
        for decision in (self.live, self.planned):
            if decision:
                lines += ["", f"{decision.table}:", *(f"  {step}" for step in decision.steps)]
        if self.not_planned:
            lines += ["", f"No planned table: {self.not_planned}"]
        if self.answer:
            first_choice = f"{self.answer.site_code} ({self.answer.address}), by slot {self.answer.slot}"
            lines += ["", f"The switch itself, asked about that instant, would try first: {first_choice}"]
        if self.disagreement:
            lines.append(f"WRONG: {self.disagreement}; `parc routing verify`")
        return "\n".join(lines)


def explain(
    settings: Settings,
    number: str,
    dialled_number: str,
    at: datetime,
    business_date: date | None = None,
) -> Explanation:
    """Where a call of `number` (any spelling, or "anonymous") at an instant goes.

    By the live table; and by the release of a business date (None: the newest built), if one can be planned.

    Raises RoutingRefused when the table on the switch cannot be read.
    """
    switch = open_switch(settings)
    live = switch.read_live()
    content, decision = None, None
    if live:
        content = readable(live)
        decision = decide(content, f"Live table {live.version}", number, dialled_number, at)
    planned, why_not = None, None
    try:
        business_date = business_date or newest_business_date(settings)
        day = effective_date(business_date)
        desired = desired_state(read_inputs(settings, business_date, day)[0], day)
        if content and desired.digest == content.digest:
            why_not = f"the release for {day} would be the live table"
        else:
            planned = decide(desired, f"Release planned for {day}", number, dialled_number, at)
    except ParcError as error:
        why_not = str(error)
    caller = pl.select(e164(pl.lit(number))).item() or number  # the switch takes no other spelling
    answer = switch.ask(Question(caller, dialled_number, at)) if live else None
    return Explanation(
        call=f"A call of {number} to {dialled_number} at {shown(at)}",
        live=decision,
        planned=planned,
        not_planned=why_not,
        answer=answer,
        disagreement=_disagreement(decision, answer) if decision and answer else None,
    )


def _disagreement(decision: Decision, answer: Answer) -> str | None:
    """Where the switch's answer differs from its table."""
    facts = {
        "zone": (decision.zone_code, answer.zone_code),
        "decided by": (decision.by, answer.by),
        "band": (decision.band, answer.band),
        "sites": (set(decision.sites), set(answer.sites)),
    }
    different = [
        f"{what} {theirs}, its table says {ours}" for what, (ours, theirs) in facts.items() if ours != theirs
    ]
    return "the switch answers " + "; ".join(different) if different else None
