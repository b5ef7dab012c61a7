"""What is recorded of a plan, and of its release when that begins: no raw number, only pseudonyms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from psycopg import Connection

from parc.ledger import write_releases
from parc.ledger.releases import ReleaseKind
from parc.ledger.write_releases import Intent, RowChange
from parc.pseudonyms import Pseudonyms
from parc.routing.plans.as_json import render_json as as_json
from parc.routing.plans.plan import Plan
from parc.routing.plans.remedies import of_verdict
from parc.routing.plans.wording import subject
from parc.routing.table.content import SHAPES
from parc.routing.table.diff import TableDiff
from parc.settings import Settings

CHANGES_KEPT = 10_000
ROWS_OF_A_PLAN = 200
"""Changed rows of each table that are kept of a plan, which is seldom released."""


def record_plan(connection: Connection[Any], settings: Settings, plan: Plan, *, requested_by: str) -> int:
    """Record what could be done with the plan of a night; returns the plan_id."""
    assert plan.business_date and plan.effective_date
    return write_releases.record_plan(
        connection,
        business_date=plan.business_date,
        effective_date=plan.effective_date,
        plan_hash=plan.plan_hash,
        verdict=plan.verdict,
        subject=subject(plan),
        reasons=plan.reasons,
        steps=of_verdict(plan),
        build_id=plan.provenance.build_id,
        requested_by=requested_by,
        run=settings.airflow_run,
        content=as_json(plan, most_rows=ROWS_OF_A_PLAN),
    )


def begin_release(
    connection: Connection[Any],
    settings: Settings,
    plan: Plan,
    *,
    kind: ReleaseKind,
    version: str,
    fence: int,
    requested_by: str,
    reason: str,
    approved_by: str | None,
    approved_at: datetime | None,
) -> int:
    """Record the intent of a release and its rows, before the switch is touched; returns the release_id.

    Of each table at most CHANGES_KEPT rows are kept; the counts cover all. What the release would bring to
    each site is kept too.
    """
    dag_id, run_id = settings.airflow_run or (None, None)
    intent = Intent(
        version=version,
        kind=kind,
        fence=fence,
        business_date=plan.business_date,
        effective_date=plan.effective_date,
        plan_hash=plan.plan_hash,
        content_digest=plan.desired.digest,
        base_version=plan.base_version,
        base_digest=plan.base_digest,
        row_counts=plan.desired.row_counts,
        rows_changed={name: table.counts() for name, table in plan.diffs.items()},
        calls_moved_share=plan.moved.share if plan.moved else None,
        calls_moved=plan.moved_pairs(),
        approval_reasons=[str(ruling) for ruling in plan.approvals],
        approved_by=approved_by,
        approved_at=approved_at,
        requested_by=requested_by,
        reason=reason,
        dag_id=dag_id,
        run_id=run_id,
        **{**vars(plan.provenance), "rollout": plan.provenance.rollout or None},
    )
    release_id = write_releases.begin(connection, intent)
    pseudonyms = Pseudonyms.of_settings(settings)
    for table in plan.diffs.values():
        changes = itertools.islice(_changes(plan, table, pseudonyms), CHANGES_KEPT)
        write_releases.record_changes(connection, release_id, changes)
    for site in plan.loads:
        half_hours = [
            (each.weekday, each.starts_at, each.calls, each.calls * each.handle_seconds)
            for each in site.half_hours
            if each.calls > 0
        ]
        if half_hours:
            write_releases.record_site_work(connection, release_id, site.site_code, half_hours)
    return release_id


def _changes(plan: Plan, table: TableDiff, pseudonyms: Pseudonyms) -> Iterator[RowChange]:
    shares = {(pair["zone_code"], pair["market"]): pair["share"] for pair in plan.moved_pairs()}
    for change, key, before, after in table.rows():
        share = None
        if table.name == "routes" and plan.moved:
            share = shares.get((key["zone_code"], key["market"]), 0.0)
        if SHAPES[table.name].has_numbers:
            key = {"number_key": str(pseudonyms.of(str(key["number"])))}
        yield RowChange(table.name, change, _values(key) or {}, _values(before), _values(after), share)


def _values(columns: dict[str, object] | None) -> dict[str, Any] | None:
    if columns is None:
        return None
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in columns.items()}
