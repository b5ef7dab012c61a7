"""Rule 7: routing's own inputs must have passed their checks; late calls only ask a person."""

from __future__ import annotations

from datetime import date

import polars as pl

from parc import quality
from parc.quality import Verdict
from parc.routing.judges.guards import Finding
from parc.settings import Settings


def judge(settings: Settings, business_date: date, build_id: int | None) -> Verdict:
    """What the suite `export/routing` says of what the release of a business date is made of; `build_id` is
    the build that it was read from.

    Raises QualityError when the suite cannot be evaluated: without a gate there is no release.
    """
    return quality.check_export(settings, "routing", business_date, build_id=build_id)


def findings(
    gate: Verdict, business_date: date, demand: pl.DataFrame, *, is_change: bool, is_go_live: bool
) -> list[Finding]:
    """What the gate and the age of the volumes (`demand`) mean for a plan.

    What the gate refuses is refused even where nothing would change: a table made of unchecked inputs may
    lack just the change that is due. A warning asks a person only where a zone goes live or back, and late
    calls only where something changes.
    """
    found = [Finding(7, "refuse", each.message) for each in gate.failures]
    found += [Finding(7, "approve" if is_go_live else "note", each.message) for each in gate.warnings]
    newest = demand["business_date"].max()
    if is_change and isinstance(newest, date) and newest < business_date:
        late = f"the calls of {business_date} are not in the marts"
        found.append(Finding(7, "approve", f"{late}: limits and gates use the volumes up to {newest}"))
    return found
