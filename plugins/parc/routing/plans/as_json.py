"""A plan as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

from parc.instants import iso
from parc.routing.judges.load import SiteLoad
from parc.routing.plans.plan import Plan
from parc.routing.plans.remedies import of_verdict
from parc.routing.table.content import SHAPES
from parc.routing.table.diff import TableDiff

ROWS_SHOWN = 10_000


def render_json(plan: Plan, most_rows: int = ROWS_SHOWN) -> dict[str, Any]:
    """The plan as JSON values: at most `most_rows` of each table, and exceptions counted by zone."""
    live, back = plan.going()
    days = plan.moved.days if plan.moved else None
    return {
        "plan_hash": plan.plan_hash,
        "verdict": plan.verdict,
        "business_date": plan.business_date and plan.business_date.isoformat(),
        "effective_date": plan.effective_date and plan.effective_date.isoformat(),
        "base_version": plan.base_version,
        "base_digest": plan.base_digest,
        "content_digest": plan.desired.digest,
        "refusals": [str(ruling) for ruling in plan.refusals],
        "approvals": [str(ruling) for ruling in plan.approvals],
        "notes": [str(ruling) for ruling in plan.notes],
        "blocks": [str(block) for block in plan.blocks],
        "steps": [asdict(step) for step in of_verdict(plan)],
        "gate": plan.gate and {"outcome": plan.gate.outcome, "page": plan.gate.page},
        "going_live": [list(pair) for pair in live],
        "going_back": [list(pair) for pair in back],
        "calls_moved_share": plan.moved.share if plan.moved else None,
        "calls_moved": plan.moved_pairs(),
        "volumes": [day.isoformat() for day in days] if days else None,
        "site_loads": [_load(site) for site in plan.sites_with_calls()],
        "rows": {name: table.counts() for name, table in plan.diffs.items()},
        "changes": {
            name: _changes(table, most_rows) for name, table in plan.diffs.items() if table.row_count
        },
    }


def _changes(table: TableDiff, most_rows: int) -> list[dict[str, Any]]:
    if SHAPES[table.name].has_numbers:
        return table.zone_flows().to_dicts()
    return [
        {"change": change, "key": _values(key), "before": _values(before), "after": _values(after)}
        for change, key, before, after in islice(table.rows(), most_rows)
    ]


def _values(columns: dict[str, object] | None) -> dict[str, object] | None:
    if columns is None:
        return None
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in columns.items()}


def _load(site: SiteLoad) -> dict[str, Any]:
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
