"""What needs attention in deliveries, builds and releases, and what is due for a night."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from parc import machine
from parc.desk import deliveries, marts, notices, switch
from parc.desk.deliveries import due, missing, newest_night
from parc.errors import ParcError
from parc.findings import Finding, FindingAnswer, FindingKind, Severity, Step, Subject
from parc.ledger import answers, write_answers
from parc.ledger.due import Due
from parc.numbers import remark
from parc.routing.steering.night import newest_business_date
from parc.settings import Settings
from parc.warehouse import connect
from parc.warehouse.schema import pending_migrations

__all__ = [
    "Due",
    "NothingToAnswer",
    "answer",
    "due",
    "findings",
    "missing",
    "newest_night",
    "planned_night",
    "reopen",
]


class NothingToAnswer(ParcError):
    """No finding has this id, or there is no answer to take back."""


def findings(settings: Settings, *, plan_for: date | None = None) -> list[Finding]:
    """Everything that needs attention, in the order in which one would settle it; empty when all is well.

    `plan_for` is a business date whose release is planned, which takes seconds, to find out whether it waits
    for approval or would be refused. Without it, only what is certainly due and not on the switch is found.

    Raises ConfigurationError when the warehouse cannot be reached.
    """
    pending = pending_migrations(settings)
    found = machine.findings(settings)
    if pending:  # nothing else can be read
        text = f"{', '.join(pending)} not applied to this warehouse"
        step = Step("apply what is missing", "parc up --no-airflow")
        return [*found, Finding(FindingKind.SCHEMA, Severity.WRONG, Subject("schema"), text, (step,))]
    with connect(settings, "reader") as connection:
        found += deliveries.findings(settings, connection)
        found += marts.findings(settings, connection)
        found += switch.findings(settings, connection, plan_for)
        found += notices.findings(connection, found)
        return answers.answered(connection, found)


def answer(settings: Settings, finding_id: str, answer: FindingAnswer) -> Finding:
    """Record what a person says about a finding; returns the finding.

    Raises NothingToAnswer if nothing with this id needs attention.
    """
    finding = _find(settings, finding_id)
    answer = _without_numbers(answer)
    with connect(settings, "exporter") as connection:
        write_answers.keep(connection, finding, answer)
    return replace(finding, answer=answer)


def reopen(settings: Settings, finding_id: str, *, by: str, reason: str) -> Finding:
    """Take back what was said about a finding; returns the finding.

    Raises NothingToAnswer if nothing with this id needs attention, or no answer to it is in force.
    """
    finding = _find(settings, finding_id)
    if finding.answer is None:
        text = f"{finding.subject.name} has no answer that could be taken back"
        raise NothingToAnswer(text, steps=(Step("see what there is", "parc status"),))
    answer = _without_numbers(FindingAnswer("reopened", by, reason, finding.answer.until))
    with connect(settings, "exporter") as connection:
        write_answers.keep(connection, finding, answer)
    return replace(finding, answer=None)


def _without_numbers(answer: FindingAnswer) -> FindingAnswer:
    """The answer as it is stored and shown: telephone numbers in what a person typed are masked."""
    return replace(answer, answered_by=remark(answer.answered_by), reason=remark(answer.reason))


def _find(settings: Settings, finding_id: str) -> Finding:
    found = {finding.id: finding for finding in findings(settings)}
    if finding_id not in found:  # one of those that `parc doctor` and a night find by planning the release
        found = {finding.id: finding for finding in findings(settings, plan_for=planned_night(settings))}
    if finding_id not in found:
        text = f"nothing that needs attention has the id {finding_id}"
        raise NothingToAnswer(text, steps=(Step("see what there is", "parc status"),))
    return found[finding_id]


def planned_night(settings: Settings) -> date | None:
    """The business date whose release is planned if nobody names one; None before the first calls."""
    try:
        return newest_business_date(settings)
    except ParcError:
        return None
