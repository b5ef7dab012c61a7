"""A plan as Markdown: the form on which a person approves it."""

from __future__ import annotations

from collections.abc import Iterable

from parc.routing.plans.plan import Plan, ReleaseBlock
from parc.routing.plans.wording import (
    LOAD_COLUMNS,
    LOADS_TITLE,
    by_priority,
    load_cells,
    of_band,
    pairs_text,
    route_changes,
    subject,
    zone_text,
)
from parc.routing.table.content import NATIONAL_ZONE
from parc.routing.table.lookups import Route, routes_by_pair
from parc.wording import counted

ROWS_SHOWN = 20
SITES_NAMED = 8
PAIRS_LISTED = 30


def render_markdown(plan: Plan) -> str:
    """What the release changes, what it does to the sites, why approval is needed, what an answer does."""
    for_date = f" --date {plan.business_date}" if plan.business_date else ""
    base = f"version {plan.base_version} is live" if plan.base_version else "the switch is empty"
    sections = [
        f"{subject(plan)} ({base}).",
        *_section("Why a person is asked", [f"- {ruling}" for ruling in plan.approvals]),
        *_section("Refused", [f"- {ruling}" for ruling in plan.refusals]),
        *_section("Blocked", [_block(block) for block in plan.blocks]),
        *_section("Notes", [f"- {note}" for note in plan.notes]),
        *_section("Where calls go", _routes(plan)),
        *_section("Calls that move", _calls(plan)),
        *_section("Load of the sites", _loads(plan)),
        *_section("Rows of the table", _rows(plan)),
        "### Approve or reject",
        "- **Approve**: the switch takes this table at once, under your name. It is read back and checked; "
        "`parc routing rollback` takes it back.\n"
        "- **Reject**, or no answer: the switch keeps the table it has, and the next night plans again.\n"
        f"- Your answer counts only for plan `{plan.plan_hash}`. If the live table or the inputs change "
        "before you answer, the plan is stale and is refused: run `export_routing` again for a new one.\n"
        f"- The same on the command line: `parc routing plan{for_date}`, then "
        f"`parc routing apply{for_date} --approve {plan.plan_hash}`",
    ]
    return "\n\n".join(sections)


def _block(block: ReleaseBlock) -> str:
    steps = [f"{step.label}: `{step.command}`" if step.command else step.label for step in block.steps]
    return "\n".join([f"- {block}", *(f"    - {step}" for step in steps)])


def _section(heading: str, lines: list[str]) -> list[str]:
    return [f"### {heading}", "\n".join(lines)] if lines else []


def _table(columns: list[str], rows: Iterable[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in [columns, ["---"] * len(columns), *rows]]


def _cut(table: list[str], rows: int) -> list[str]:
    """The table with at most ROWS_SHOWN of its rows; nothing if it has none."""
    if not rows:
        return []
    more = [f"\n... and {rows - ROWS_SHOWN} more"] if rows > ROWS_SHOWN else []
    return table[: ROWS_SHOWN + 2] + more


def _routes(plan: Plan) -> list[str]:
    """Each change of a route once, with all the zones and markets that have it."""
    before = routes_by_pair(plan.live.frames) if plan.live else {}
    after = routes_by_pair(plan.desired.frames)
    live, back = plan.going()
    changes: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for pair, band, old, new in route_changes(plan):
        what = "goes live" if pair in live else "goes back" if pair in back else "changes"
        national = (NATIONAL_ZONE, pair[1])
        was, will = (
            _route(
                route, frozenset() if pair == national else of_band(table.get(national, frozenset()), band)
            )
            for route, table in ((old, before), (new, after))
        )
        changes.setdefault((what, band, was, will), []).append(pair)
    rows = (
        [what, pairs_text(pairs, PAIRS_LISTED), band, was, will]
        for (what, band, was, will), pairs in changes.items()
    )
    return _cut(_table(["", "zones and markets", "hours", "from", "to"], rows), len(changes))


def _route(route: Route, national: Route) -> str:
    """The sites of a band in words; the national route by that name."""
    if route and route == national:
        first = min(row[1] for row in route)
        return f"national route ({counted(sum(row[1] == first for row in route), 'site')})"
    return "; overflow ".join(map(_few, by_priority(route))) or "(none)"


def _few(sites: list[str]) -> str:
    more = len(sites) - SITES_NAMED
    return ", ".join(sites[:SITES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _calls(plan: Plan) -> list[str]:
    pairs = [pair for pair in plan.moved_pairs() if round(pair["moved_calls"])]
    if plan.moved is None or not pairs:
        return []
    days = plan.moved.days
    calls = f"calls of {days[0]} to {days[1]}" if days else "calls (no volumes known: all weigh the same)"
    rows = (
        [
            zone_text(pair["zone_code"]),
            pair["market"],
            f"{pair['calls']:,.0f}",
            f"{pair['moved_calls']:,.0f}",
            f"{pair['share']:.1%}",
        ]
        for pair in pairs
    )
    return _cut(_table(["zone", "market", calls, "of which move", "share"], rows), len(pairs))


def _loads(plan: Plan) -> list[str]:
    changed = plan.changed_loads()
    if not changed:
        return []
    return [f"{LOADS_TITLE}:", "", *_cut(_table(LOAD_COLUMNS, map(load_cells, changed)), len(changed))]


def _rows(plan: Plan) -> list[str]:
    changed = [table for table in plan.diffs.values() if table.row_count]
    if not changed:
        return []
    counts = {
        table.name: (table.live_rows, table.added.height, table.removed.height, table.changed.height)
        for table in changed
    }
    rows = ([name, *(f"{count:,}" for count in of_table)] for name, of_table in counts.items())
    return _table(["table", "rows now", "added", "removed", "changed"], rows)
