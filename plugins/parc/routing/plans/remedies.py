"""The steps that let a release go ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from parc.findings import BUILD, Step
from parc.routing.plans.plan import Plan, PlanVerdict

RELEASE_HOLD = Step("release the hold", "parc routing release-hold")
_OVERWRITE = '--drift overwrite --reason "undo a change by hand"'
ENABLE = Step("enable routing", "parc routing enable")


def of_verdict(plan: Plan) -> tuple[Step, ...]:
    """What to do about a plan; no steps if there is nothing to release."""
    read = read_plan(plan.business_date)
    apply = apply_command(plan.business_date)
    match plan.verdict:
        case PlanVerdict.REFUSED:
            return (read, Step("correct the data or the seeds"), BUILD, Step("release it", apply))
        case PlanVerdict.BLOCKED:
            ends = [step for block in plan.blocks for step in block.steps]
            return (read, *ends, Step("release it when nothing blocks it", apply))
        case PlanVerdict.NEEDS_APPROVAL:
            drift = f" {_OVERWRITE}" if plan.is_drifted else ""
            return (read, Step("approve and release it", f"{apply}{drift} --approve {plan.plan_hash}"))
        case PlanVerdict.READY:
            return (Step("release it", apply),)
        case PlanVerdict.NOTHING_TO_DO:
            return ()


def read_plan(business_date: date | None) -> Step:
    """Read the plan of a business date (None: the newest): every row that it would change on the switch."""
    return Step("read the plan", f"parc routing plan{_for(business_date)}")


def apply_command(business_date: date | None) -> str:
    """The command that releases the table of a business date (None: the newest)."""
    return f"parc routing apply{_for(business_date)}"


def accept_drift(business_date: date | None) -> tuple[Step, ...]:
    """Settle drift, by keeping either table. The plan of that date shows the rows that differ."""
    apply = apply_command(business_date)
    return (
        Step("keep the table of the switch", f'{apply} --drift adopt --reason "the switch is right"'),
        replace(overwrite_drift(business_date), is_alternative=True),
    )


def overwrite_drift(business_date: date | None) -> Step:
    """Settle drift, by putting the platform's table back."""
    label = "put the platform's table back (if a person must approve that, it prints the command for it)"
    return Step(label, f"{apply_command(business_date)} {_OVERWRITE}")


def _for(business_date: date | None) -> str:
    return f" --date {business_date}" if business_date else ""
