"""A plan as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from parc import instants
from parc.routing.plans.plan import Plan, ReleaseBlock
from parc.routing.plans.wording import (
    LOAD_COLUMNS,
    LOADS_TITLE,
    by_priority,
    by_zone,
    load_cells,
    route_changes,
)
from parc.routing.table.content import SHAPES
from parc.routing.table.diff import TableDiff
from parc.routing.table.lookups import Route
from parc.wording import counted

ROWS_SHOWN = 20


def render_text(plan: Plan, rows_shown: int = ROWS_SHOWN) -> str:
    """The plan as text: at most `rows_shown` rows of each table, and exceptions counted by zone."""
    lines = [_title(plan), f"  plan hash  {plan.plan_hash}", f"  live       {_base(plan)}"]
    lines.append(f"  desired    {plan.desired.digest[:12]}")
    if plan.gate:
        lines.append(f"  gate       {plan.gate.outcome} (Data Docs: {plan.gate.page})")
    lines.append(f"  verdict    {plan.verdict}")
    for heading, entries in (
        ("Refused", plan.refusals),
        ("Blocked", [f"{block}{_steps(block)}" for block in plan.blocks]),
        ("Needs approval", plan.approvals),
        ("Notes", plan.notes),
    ):
        if entries:
            lines += ["", heading, *(f"  - {entry}" for entry in entries)]
    live, back = plan.going()
    for heading, pairs in (("Going live", live), ("Back to the national route", back)):
        if pairs:
            lines += ["", heading, *(f"  {zone} {market}" for zone, market in pairs)]
    lines += ["", *_calls(plan)]
    if plan.loads:
        lines += ["", *_loads(plan, rows_shown)]
    lines += ["", *_counts(plan)]
    for table in plan.diffs.values():
        if table.row_count:
            lines += ["", *_table(plan, table, rows_shown)]
    return "\n".join(lines)


def _steps(block: ReleaseBlock) -> str:
    return "".join(f"\n      {step.to_text()}" for step in block.steps)


def _title(plan: Plan) -> str:
    if plan.business_date is None:
        return "Routing plan, at once"
    return f"Routing plan for {plan.effective_date} (business date {plan.business_date})"


def _base(plan: Plan) -> str:
    if plan.base_version is None:
        return "(empty switch)"
    return f"{(plan.base_digest or 'unreadable')[:12]} (version {plan.base_version})"


def _calls(plan: Plan) -> list[str]:
    if plan.moved is None:
        return ["Calls moved: unknown (nothing to compare with)"]
    days = plan.moved.days
    basis = f"volumes of {days[0]} to {days[1]}" if days else "no volumes known: every zone weighs the same"
    lines = [f"Calls moved: {plan.moved.share:.2%} ({basis})"]
    for pair in plan.moved_pairs():
        if round(pair["moved_calls"]) == 0:
            continue
        lines.append(
            f"  {pair['zone_code']:<6} {pair['market']:<9} {pair['moved_calls']:>12,.0f}"
            f" of {pair['calls']:,.0f} ({pair['share']:.1%})"
        )
    return lines


def _loads(plan: Plan, rows_shown: int) -> list[str]:
    changed = plan.changed_loads()
    rows = [LOAD_COLUMNS, *(load_cells(site) for site in changed[:rows_shown])]
    lines = [LOADS_TITLE, *(f"  {line}" for line in _aligned(rows))]
    kept = len(plan.sites_with_calls()) - len(changed)
    if len(changed) > rows_shown:
        lines.append(f"  ... and {len(changed) - rows_shown} more")
    if kept:
        lines.append(f"  {counted(kept, 'site keeps', 'sites keep')} the calls they have")
    return lines


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _counts(plan: Plan) -> list[str]:
    lines = [f"{'Rows':<12}{'live':>10}{'desired':>10}{'added':>9}{'removed':>9}{'changed':>9}  share"]
    for table in plan.diffs.values():
        lines.append(
            f"{table.name:<12}{table.live_rows:>10}{table.desired_rows:>10}{table.added.height:>9}"
            f"{table.removed.height:>9}{table.changed.height:>9}  {table.share:.1%}"
        )
    return lines


def _table(plan: Plan, table: TableDiff, rows_shown: int) -> list[str]:
    if SHAPES[table.name].has_numbers:
        return [
            f"{table.name}: {counted(table.row_count, 'row')}, by zone",
            *(
                f"  {flow['change']} {flow['before'] or '-'} -> {flow['after'] or '-'}: {flow['rows']}"
                for flow in table.zone_flows().iter_rows(named=True)
            ),
        ]
    if table.name == "routes":
        return ["routes, before and after (sites by priority, with weights)", *_routes(plan)]
    lines = [f"{table.name}: {counted(table.row_count, 'row')}"]
    marks = {"added": "+", "removed": "-", "changed": "~"}
    for shown, (change, key, before, after) in enumerate(table.rows()):
        if shown == rows_shown:
            lines.append(f"  ... and {table.row_count - shown} more")
            break
        values = " -> ".join(" ".join(map(_cell, v.values())) for v in (before, after) if v is not None)
        lines.append(f"  {marks[change]} {' '.join(map(_cell, key.values()))}: {values}")
    return lines


def _cell(value: object) -> str:
    return instants.shown(value) if isinstance(value, datetime) else str(value)


def _routes(plan: Plan) -> list[str]:
    """Each change of a route once, with all the zones and markets that have it."""
    changes: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for pair, band, old, new in route_changes(plan):
        changes.setdefault((band, _route(old), _route(new)), []).append(pair)
    lines = []
    for (band, old_route, new_route), pairs in changes.items():
        lines += [f"  {band}: {_by_market(pairs)}", f"    - {old_route}", f"    + {new_route}"]
    return lines


def _route(route: Route) -> str:
    """The sites of a band with their weights; `|` stands between priorities."""
    return " | ".join(", ".join(sites) for sites in by_priority(route)) or "(none)"


def _by_market(pairs: Iterable[tuple[str, str]]) -> str:
    """Zones with the same markets together: `fixe, internet of zones 52, 53; open of zone 04`."""
    zones: dict[str, list[str]] = {}
    for zone, markets in by_zone(pairs).items():
        zones.setdefault(", ".join(markets), []).append(zone)
    return "; ".join(
        f"{markets} of zone{'s' if len(alike) > 1 else ''} {', '.join(alike)}"
        for markets, alike in zones.items()
    )
