"""The plan of a release: what would change on the switch, what blocks it, and the hash to approve."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import polars as pl

from parc.findings import Step
from parc.quality import Verdict as GateVerdict
from parc.routing.judges.guards import examine, going
from parc.routing.judges.load import SiteLoad
from parc.routing.judges.proposal import Effect, Proposal, Ruling
from parc.routing.judges.volumes import CallsMoved
from parc.routing.switches import Reading
from parc.routing.table.content import Content
from parc.routing.table.diff import TableDiff
from parc.routing.table.inputs import Provenance


class PlanVerdict(StrEnum):
    """What may be done with a plan."""

    NOTHING_TO_DO = "nothing to do"
    """The switch already holds the desired table."""
    REFUSED = "refused"
    """A guard or the gate refuses it. No approval changes that."""
    BLOCKED = "blocked"
    """No release may happen now: drift, a hold, a freeze window or the kill switch."""
    NEEDS_APPROVAL = "needs approval"
    """A person must approve it."""
    READY = "ready"
    """It can be applied."""

    @property
    def is_stopped(self) -> bool:
        """Whether the release cannot go ahead, approved or not."""
        return self in (PlanVerdict.REFUSED, PlanVerdict.BLOCKED)


@dataclass(frozen=True)
class ReleaseBlock:
    """What keeps every release back for now, and the steps that end it."""

    text: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Plan:
    """A release that could be applied.

    `rulings` are those of the guards and the gate. `blocks` say what keeps every release back for now (drift,
    hold, freeze window, kill switch). `is_drifted`: the live table is not the recorded one, so that even the
    same content is worth a release. `business_date` is None for a rollback and an emergency. `moved` is None
    if there was no table to compare with, and `loads` (by site) is empty if none can be predicted. `gate` is
    the gate's verdict on the inputs; only a night's plan has one.
    """

    business_date: date | None
    effective_date: date | None
    base_version: str | None
    base_digest: str | None
    base_fence: int
    live: Content | None
    desired: Content
    diffs: dict[str, TableDiff]
    moved: CallsMoved | None
    loads: list[SiteLoad] = field(default_factory=list)
    rulings: list[Ruling] = field(default_factory=list)
    blocks: list[ReleaseBlock] = field(default_factory=list)
    is_drifted: bool = False
    provenance: Provenance = field(default_factory=Provenance)
    gate: GateVerdict | None = None

    @property
    def plan_hash(self) -> str:
        """SHA-256 over the desired content and the live base.

        The base is its version, its content and the token of the flip that made it live. So an approval does
        not survive a release and its rollback.
        """
        bound = {
            "base_version": self.base_version,
            "base_digest": self.base_digest,
            "base_fence": self.base_fence,
            "desired": self.desired.digest,
        }
        return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()

    @property
    def refusals(self) -> list[Ruling]:
        """The rulings that refuse the release."""
        return self._rulings(Effect.REFUSE)

    @property
    def approvals(self) -> list[Ruling]:
        """The rulings that ask for a person's approval."""
        return self._rulings(Effect.APPROVE)

    @property
    def notes(self) -> list[Ruling]:
        """The rulings that only inform the reader."""
        return self._rulings(Effect.NOTE)

    @property
    def is_empty(self) -> bool:
        """Whether the switch already holds the desired content, as recorded."""
        return self.base_digest == self.desired.digest and not self.is_drifted

    @property
    def verdict(self) -> PlanVerdict:
        """What may be done with the plan."""
        if self.refusals:
            return PlanVerdict.REFUSED
        if self.is_empty:
            return PlanVerdict.NOTHING_TO_DO
        if self.blocks:
            return PlanVerdict.BLOCKED
        return PlanVerdict.NEEDS_APPROVAL if self.approvals else PlanVerdict.READY

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not `ready`: refusals and blocks, or what needs approval."""
        if self.verdict.is_stopped:
            return [*map(str, self.refusals), *map(str, self.blocks)]
        return [*map(str, self.approvals)] if self.verdict == PlanVerdict.NEEDS_APPROVAL else []

    def going(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The (zone_code, market) that leave the national route, and those that return to it."""
        return going(self.live.frames, self.desired.frames) if self.live else ([], [])

    def moved_pairs(self) -> list[dict[str, Any]]:
        """The zones and markets whose calls move: zone_code, market, calls, moved_calls, share."""
        if self.moved is None:
            return []
        rows = self.moved.by_pair.filter(pl.col("moved_calls") > 0).with_columns(
            share=pl.col("moved_calls") / pl.col("calls")
        )
        return rows.to_dicts()

    def sites_with_calls(self) -> list[SiteLoad]:
        """The sites that have calls after the release; those that gain most come first."""
        sites = [site for site in self.loads if site.calls > 0]
        return sorted(sites, key=lambda site: (site.calls_before - site.calls, site.site_code))

    def changed_loads(self) -> list[SiteLoad]:
        """The sites with calls that gain or lose some."""
        return [site for site in self.sites_with_calls() if round(site.calls - site.calls_before)]

    def _rulings(self, effect: Effect) -> list[Ruling]:
        return [ruling for ruling in self.rulings if ruling.effect == effect]


def make_plan(
    proposal: Proposal,
    *,
    business_date: date,
    base: Reading | None,
    blocks: list[ReleaseBlock],
    is_drifted: bool,
    provenance: Provenance,
    is_bootstrap_allowed: bool = False,
) -> Plan:
    """The plan of a night: the proposal, judged by every guard."""
    rulings = examine(proposal)
    is_valid = not any(ruling.rule == 3 for ruling in rulings)
    if base is None and not is_bootstrap_allowed:
        message = "the switch is empty: a first table is a bootstrap (`--bootstrap`, or approval)"
        rulings.append(Ruling(4, Effect.APPROVE, message))
    elif base is not None and proposal.live is None:
        message = "the table on the switch cannot be read, so there is nothing to compare with"
        rulings.append(Ruling(4, Effect.APPROVE, message))
    return Plan(
        business_date=business_date,
        effective_date=proposal.day,
        base_version=base.version if base else None,
        base_digest=base.digest if base else None,
        base_fence=base.fence if base else 0,
        live=proposal.live,
        desired=proposal.desired,
        diffs=proposal.diffs,
        moved=proposal.moved if is_valid else None,
        loads=proposal.loads if is_valid else [],
        rulings=rulings,
        blocks=blocks,
        is_drifted=is_drifted,
        provenance=provenance,
    )
