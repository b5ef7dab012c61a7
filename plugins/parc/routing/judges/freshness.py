"""Rule 7, the gate: the inputs of a release must have passed their checks. Late calls need an approval."""

from __future__ import annotations

from datetime import date

import polars as pl

from parc import quality
from parc.quality import Verdict
from parc.routing.judges.proposal import Effect, Ruling
from parc.settings import Settings


def judge(settings: Settings, business_date: date, build_id: int | None) -> Verdict:
    """What the suite `export/routing` says about the inputs of the release of a business date. `build_id` is
    the build that they were read from.

    Raises QualityError when the suite cannot be evaluated: there is no release without the gate.
    """
    return quality.check_export(settings, "routing", business_date, build_id=build_id)


def rulings(
    gate: Verdict, business_date: date, demand: pl.DataFrame, *, is_change: bool, is_go_live: bool
) -> list[Ruling]:
    """What the gate and the age of the volumes (`demand`) mean for a plan.

    A failed check refuses the release even if nothing would change: a table made of unchecked inputs may lack
    the very change that is due. A warning needs an approval only if a zone goes live or back. Late calls need
    one only if something changes.
    """
    warned = Effect.APPROVE if is_go_live else Effect.NOTE
    found = [Ruling(7, Effect.REFUSE, each.message) for each in gate.failures]
    found += [Ruling(7, warned, each.message) for each in gate.warnings]
    newest = demand["business_date"].max()
    if is_change and isinstance(newest, date) and newest < business_date:
        late = f"the calls of {business_date} are not in the marts"
        found.append(Ruling(7, Effect.APPROVE, f"{late}: limits and gates use the volumes up to {newest}"))
    return found
