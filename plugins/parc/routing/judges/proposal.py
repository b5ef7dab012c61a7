"""A release under examination, and the ruling that a judge gives on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property

from parc.routing.judges.load import SiteLoad, site_loads
from parc.routing.judges.volumes import CallsMoved, calls_moved
from parc.routing.table.content import Content
from parc.routing.table.diff import TableDiff
from parc.routing.table.inputs import Context, Inputs


class Effect(StrEnum):
    """What a ruling means for the release."""

    REFUSE = "refuse"
    """The release must not happen; no approval changes that."""
    APPROVE = "approve"
    """A person must approve the release."""
    NOTE = "note"
    """The reader of the plan should know it; nothing waits for it."""


@dataclass(frozen=True)
class Ruling:
    """What one rule says about a release. The rules have the numbers of the routing design."""

    rule: int
    effect: Effect
    message: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.message}"


@dataclass(frozen=True)
class Proposal:
    """A release under examination, to take effect on `day`. `live` is None if the switch holds no table to
    compare with."""

    day: date
    inputs: Inputs
    context: Context
    live: Content | None
    desired: Content
    diffs: dict[str, TableDiff]

    @cached_property
    def moved(self) -> CallsMoved | None:
        """The calls that would move; None if there is no table to compare with."""
        if self.live is None:
            return None
        return calls_moved(self.live.frames, self.desired.frames, self.diffs, self.context.demand, self.day)

    @cached_property
    def loads(self) -> list[SiteLoad]:
        """The predicted load of each site; empty if nothing changes or no volumes are known."""
        if not any(table.row_count for table in self.diffs.values()):
            return []
        return site_loads(
            self.live.frames if self.live else None,
            self.desired.frames,
            self.diffs,
            demand=self.context.demand,
            positions=self.context.positions,
            clocks=self.context.clocks,
            windows=self.inputs.windows,
            day=self.day,
        )
