"""The plan of a release: what would change on the switch, what stands in its way, and the hash to approve."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl

from parc.quality import Verdict
from parc.routing.judges.guards import Finding, Proposal, examine, going
from parc.routing.judges.load import SiteLoad
from parc.routing.judges.volumes import CallsMoved
from parc.routing.plans.wording import (
    LOAD_COLUMNS,
    LOADS_TITLE,
    aligned,
    by_market,
    load_cells,
    markdown,
    route_text,
    subject,
)
from parc.routing.switches import Reading
from parc.routing.table.content import SHAPES, Content
from parc.routing.table.diff import TableDiff
from parc.routing.table.inputs import Provenance
from parc.routing.table.lookups import routes_by_pair

ROWS_SHOWN = 20
ROWS_IN_JSON = 10_000


@dataclass(frozen=True)
class Plan:
    """A release that could be applied.

    `findings` are the guards' (refusals and reasons for approval); `blocks` are circumstances that keep any
    release away for now (drift, hold, freeze, kill switch). `is_drifted`: the live base is not what was
    recorded, so that even the same content is worth a release. `business_date` is None for a rollback and an
    emergency. `moved` is None where there was nothing to compare with, and `loads` (predicted for each site)
    empty where none can be predicted.
    `gate` is what was said of the inputs of a night's plan.
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
    findings: list[Finding] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    is_drifted: bool = False
    provenance: Provenance = field(default_factory=Provenance)
    gate: Verdict | None = None

    @property
    def plan_hash(self) -> str:
        """SHA-256 over the desired content and the live base: its version, what it holds, and the token of
        the flip that made it live, so that an approval does not outlive a release and its rollback."""
        bound = {
            "base_version": self.base_version,
            "base_digest": self.base_digest,
            "base_fence": self.base_fence,
            "desired": self.desired.digest,
        }
        return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()

    @property
    def refusals(self) -> list[Finding]:
        """What no approval overcomes."""
        return [finding for finding in self.findings if finding.verdict == "refuse"]

    @property
    def approvals(self) -> list[Finding]:
        """Why a person must approve."""
        return [finding for finding in self.findings if finding.verdict == "approve"]

    @property
    def notes(self) -> list[Finding]:
        """What a reader should know, and nothing waits for."""
        return [finding for finding in self.findings if finding.verdict == "note"]

    @property
    def is_empty(self) -> bool:
        """Whether the switch holds the desired content already, as recorded."""
        return self.base_digest == self.desired.digest and not self.is_drifted

    @property
    def verdict(self) -> str:
        """nothing to do | refused | blocked | needs approval | ready"""
        if self.refusals:
            return "refused"
        if self.is_empty:
            return "nothing to do"
        if self.blocks:
            return "blocked"
        return "needs approval" if self.approvals else "ready"

    def going(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The (zone_code, market) that leave the national route, and those that return to it."""
        return going(self.live.frames, self.desired.frames) if self.live else ([], [])

    def moved_pairs(self) -> list[dict[str, Any]]:
        """Zones and markets of which calls move: zone_code, market, calls, moved_calls, share."""
        if self.moved is None:
            return []
        rows = self.moved.by_pair.filter(pl.col("moved_calls") > 0).with_columns(
            share=pl.col("moved_calls") / pl.col("calls")
        )
        return rows.to_dicts()

    def sites_with_calls(self) -> list[SiteLoad]:
        """The sites that have calls after the release, those that gain most first."""
        sites = [site for site in self.loads if site.calls > 0]
        return sorted(sites, key=lambda site: (site.calls_before - site.calls, site.site_code))

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values; rows of each table up to 10,000, exceptions only counted by zone."""
        live, back = self.going()
        return {
            "plan_hash": self.plan_hash,
            "verdict": self.verdict,
            "business_date": self.business_date and self.business_date.isoformat(),
            "effective_date": self.effective_date and self.effective_date.isoformat(),
            "base_version": self.base_version,
            "base_digest": self.base_digest,
            "content_digest": self.desired.digest,
            "refusals": [str(finding) for finding in self.refusals],
            "approvals": [str(finding) for finding in self.approvals],
            "notes": [str(finding) for finding in self.notes],
            "blocks": self.blocks,
            "gate": self.gate and {"outcome": self.gate.outcome, "page": self.gate.page},
            "going_live": [list(pair) for pair in live],
            "going_back": [list(pair) for pair in back],
            "calls_moved_share": self.moved.share if self.moved else None,
            "calls_moved": self.moved_pairs(),
            "volumes": [day.isoformat() for day in self.moved.days]
            if self.moved and self.moved.days
            else None,
            "site_loads": [_load_json(site) for site in self.sites_with_calls()],
            "rows": {name: table.counts() for name, table in self.diffs.items()},
            "changes": {
                name: self._rows(table, ROWS_IN_JSON) for name, table in self.diffs.items() if table.row_count
            },
        }

    def _rows(self, table: TableDiff, limit: int) -> list[dict[str, Any]]:
        if SHAPES[table.name].has_numbers:
            return table.zone_flows().to_dicts()
        shown: list[dict[str, Any]] = []
        for change, key, before, after in table.rows():
            if len(shown) == limit:
                break
            row = {"change": change, "key": key, "before": before, "after": after}
            shown.append(json.loads(json.dumps(row, default=_plain)))
        return shown

    def to_text(self, rows_shown: int = ROWS_SHOWN) -> str:
        """The plan as a person reads it; of each table at most `rows_shown` rows, exceptions by zone only."""
        lines = [self._title(), f"  plan hash  {self.plan_hash}", f"  live       {self._base()}"]
        lines.append(f"  desired    {self.desired.digest[:12]}")
        if self.gate:
            lines.append(f"  gate       {self.gate.outcome} (Data Docs: {self.gate.page})")
        lines.append(f"  verdict    {self.verdict}")
        for heading, entries in (
            ("Refused", [str(finding) for finding in self.refusals]),
            ("Blocked", self.blocks),
            ("Needs approval", [str(finding) for finding in self.approvals]),
            ("Notes", [str(finding) for finding in self.notes]),
        ):
            if entries:
                lines += ["", heading, *(f"  - {entry}" for entry in entries)]
        live, back = self.going()
        for heading, pairs in (("Going live", live), ("Back to the national route", back)):
            if pairs:
                lines += ["", heading, *(f"  {zone} {market}" for zone, market in pairs)]
        lines += ["", *self._calls_text()]
        if self.loads:
            lines += ["", *self._loads_text(rows_shown)]
        lines += ["", *self._counts_text()]
        for table in self.diffs.values():
            if table.row_count:
                lines += ["", *self._table_text(table, rows_shown)]
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """The plan as the form says it on which a person approves it."""
        return markdown(self)

    def subject(self) -> str:
        """The plan in one line: `Go-live of 53 fixe, internet on 2012-04-25: 8.9% of calls move`."""
        return subject(self)

    def _title(self) -> str:
        if self.business_date is None:
            return "Routing plan, at once"
        return f"Routing plan for {self.effective_date} (business date {self.business_date})"

    def _base(self) -> str:
        if self.base_version is None:
            return "(empty switch)"
        return f"{(self.base_digest or 'unreadable')[:12]} (version {self.base_version})"

    def _calls_text(self) -> list[str]:
        if self.moved is None:
            return ["Calls moved: unknown (nothing to compare with)"]
        days = self.moved.days
        basis = (
            f"volumes of {days[0]} to {days[1]}" if days else "no volumes known: every zone weighs the same"
        )
        lines = [f"Calls moved: {self.moved.share:.2%} ({basis})"]
        for pair in self.moved_pairs():
            if round(pair["moved_calls"]) == 0:
                continue
            lines.append(
                f"  {pair['zone_code']:<6} {pair['market']:<9} {pair['moved_calls']:>12,.0f}"
                f" of {pair['calls']:,.0f} ({pair['share']:.1%})"
            )
        return lines

    def _loads_text(self, rows_shown: int) -> list[str]:
        changed = self.changed_loads()
        rows = [LOAD_COLUMNS, *(load_cells(site) for site in changed[:rows_shown])]
        lines = [LOADS_TITLE, *(f"  {line}" for line in aligned(rows))]
        kept = len(self.sites_with_calls()) - len(changed)
        if len(changed) > rows_shown:
            lines.append(f"  ... and {len(changed) - rows_shown} more")
        if kept:
            lines.append(f"  {kept} sites keep the calls they have")
        return lines

    def changed_loads(self) -> list[SiteLoad]:
        """Those of them that gain or lose calls."""
        return [site for site in self.sites_with_calls() if round(site.calls - site.calls_before)]

    def _counts_text(self) -> list[str]:
        lines = [f"{'Rows':<12}{'live':>10}{'desired':>10}{'added':>9}{'removed':>9}{'changed':>9}  share"]
        for table in self.diffs.values():
            lines.append(
                f"{table.name:<12}{table.live_rows:>10}{table.desired_rows:>10}{table.added.height:>9}"
                f"{table.removed.height:>9}{table.changed.height:>9}  {table.share:.1%}"
            )
        return lines

    def _table_text(self, table: TableDiff, rows_shown: int) -> list[str]:
        if SHAPES[table.name].has_numbers:
            return [
                f"{table.name}: {table.row_count} rows, by zone",
                *(
                    f"  {flow['change']} {flow['before'] or '-'} -> {flow['after'] or '-'}: {flow['rows']}"
                    for flow in table.zone_flows().iter_rows(named=True)
                ),
            ]
        if table.name == "routes":
            return ["routes, before and after (sites by priority, with weights)", *self._routes_text()]
        lines = [f"{table.name}: {table.row_count} rows"]
        marks = {"added": "+", "removed": "-", "changed": "~"}
        for shown, (change, key, before, after) in enumerate(table.rows()):
            if shown == rows_shown:
                lines.append(f"  ... and {table.row_count - shown} more")
                break
            values = " -> ".join(" ".join(map(_plain, v.values())) for v in (before, after) if v is not None)
            lines.append(f"  {marks[change]} {' '.join(map(_plain, key.values()))}: {values}")
        return lines

    def _routes_text(self) -> list[str]:
        """Each change of a route once, with all the zones and markets that have it."""
        before = routes_by_pair(self.live.frames) if self.live else {}
        after = routes_by_pair(self.desired.frames)
        changes: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        for pair in sorted(before.keys() | after.keys()):
            old, new = before.get(pair, frozenset()), after.get(pair, frozenset())
            for band in sorted({row[0] for row in old ^ new}, reverse=True):
                change = (band, route_text(old, band), route_text(new, band))
                changes.setdefault(change, []).append(pair)
        lines = []
        for (band, old_route, new_route), pairs in changes.items():
            lines += [f"  {band}: {by_market(pairs)}", f"    - {old_route}", f"    + {new_route}"]
        return lines


def make_plan(
    proposal: Proposal,
    *,
    business_date: date,
    base: Reading | None,
    blocks: list[str],
    is_drifted: bool,
    provenance: Provenance,
    is_bootstrap_allowed: bool = False,
) -> Plan:
    """A night's plan: the proposal examined by every guard."""
    findings = examine(proposal)
    is_valid = not any(finding.rule == 3 for finding in findings)
    if base is None and not is_bootstrap_allowed:
        findings.append(
            Finding(
                4, "approve", "the switch is empty: a first table is a bootstrap (`--bootstrap`, or approval)"
            )
        )
    elif base is not None and proposal.live is None:
        findings.append(
            Finding(4, "approve", "the table on the switch cannot be read: nothing to compare with")
        )
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
        findings=findings,
        blocks=blocks,
        is_drifted=is_drifted,
        provenance=provenance,
    )


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M}Z"
    return str(value)


def _load_json(site: SiteLoad) -> dict[str, Any]:
    tightest = site.tightest
    return {
        "site_code": site.site_code,
        "calls_a_week_before": site.calls_before,
        "calls_a_week": site.calls,
        "weekday": tightest.weekday,
        "half_hour_local": f"{tightest.starts_at:%H:%M}",
        "calls_before": tightest.calls_before,
        "calls": tightest.calls,
        "load_erlangs_before": tightest.load_before,
        "load_erlangs": tightest.load,
        "position_count": tightest.positions,
        "occupancy_before": tightest.occupancy_before,
        "occupancy": tightest.occupancy,
        "service_level_20s_before": tightest.service_level_before,
        "service_level_20s": tightest.service_level,
    }
