"""How a plan is put to the person who approves it: in one line, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from parc.routing.judges.load import SiteLoad
from parc.routing.table.content import NATIONAL_ZONE
from parc.routing.table.lookups import Route, routes_by_pair

if TYPE_CHECKING:
    from parc.routing.plans.plan import Plan

ROWS_SHOWN = 20
SITES_NAMED = 8
PAIRS_NAMED = 6
PAIRS_LISTED = 30
LOADS_TITLE = (
    "Predicted load of a usual week, in each site's tightest half-hour on its own clock (now -> then)"
)
LOAD_COLUMNS = ["site", "half-hour", "calls", "erlangs", "positions", "occupancy", "answered within 20 s"]


def subject(plan: Plan) -> str:
    """What the release does, when, and how many calls it moves, in one line."""
    live, back = plan.going()
    parts = []
    if live:
        parts.append(f"go-live of {_pairs(live)}")
    if back:
        parts.append(f"return to the national route of {_pairs(back)}")
    what = " and ".join(parts) or ("routing change" if plan.base_version else "first routing table")
    when = f" on {plan.effective_date}" if plan.effective_date else ""
    moved = f": {plan.moved.share:.1%} of calls move" if plan.moved else ""
    return f"{what[0].upper()}{what[1:]}{when}{moved}"


def markdown(plan: Plan) -> str:
    """What the release changes, what it would do to the sites, why a person is asked, and what an answer
    does."""
    for_date = f" --date {plan.business_date}" if plan.business_date else ""
    base = f"version {plan.base_version} is live" if plan.base_version else "the switch is empty"
    sections = [
        f"{subject(plan)} ({base}).",
        *_section("Why a person is asked", [f"- {finding}" for finding in plan.approvals]),
        *_section("Refused", [f"- {finding}" for finding in plan.refusals]),
        *_section("Blocked", [f"- {block}" for block in plan.blocks]),
        *_section("To know", [f"- {note}" for note in plan.notes]),
        *_section("Where calls go", _routes(plan)),
        *_section("Calls that move", _calls(plan)),
        *_section("Load of the sites", _loads(plan)),
        *_section("Rows of the table", _rows(plan)),
        "### Approve or reject",
        "- **Approve**: the switch takes this table at once, under your name. It is read back and checked; "
        "`parc routing rollback` takes it back.\n"
        "- **Reject**, or no answer: the switch keeps the table it has, and the next night plans again.\n"
        f"- The answer is for plan `{plan.plan_hash}` alone. Should the live table or the inputs change "
        "before you answer, the plan is stale and is refused: run `export_routing` again for a new one.\n"
        f"- The same on the command line: `parc routing plan{for_date}`, then "
        f"`parc routing apply{for_date} --approve {plan.plan_hash}`",
    ]
    return "\n\n".join(sections)


def load_cells(site: SiteLoad) -> list[str]:
    """One row of a table with LOAD_COLUMNS."""
    tightest = site.tightest
    return [
        site.site_code,
        tightest.name,
        f"{tightest.calls_before:,.0f} -> {tightest.calls:,.0f}",
        f"{tightest.load_before:,.1f} -> {tightest.load:,.1f}",
        "not known" if tightest.positions is None else str(tightest.positions),
        f"{_percent(tightest.occupancy_before)} -> {_percent(tightest.occupancy)}",
        f"{_percent(tightest.service_level_before)} -> {_percent(tightest.service_level)}",
    ]


def aligned(rows: list[list[str]]) -> list[str]:
    """The rows as lines with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def route_text(route: Route, band: str) -> str:
    """The sites of a band with their weights, priorities parted by `|`."""
    return " | ".join(_by_priority(route, band)) or "(none)"


def by_market(pairs: Iterable[tuple[str, str]]) -> str:
    """Zones with the same markets together: `fixe, internet of zones 52, 53; open of zone 04`."""
    markets: dict[str, list[str]] = {}
    for zone, market in pairs:
        markets.setdefault(zone, []).append(market)
    zones: dict[str, list[str]] = {}
    for zone, of_zone in markets.items():
        zones.setdefault(", ".join(of_zone), []).append(zone)
    return "; ".join(
        f"{of_zones} of zone{'s' if len(alike) > 1 else ''} {', '.join(alike)}"
        for of_zones, alike in zones.items()
    )


def _by_priority(route: Route, band: str) -> list[str]:
    priorities: dict[int, list[str]] = {}
    for row_band, priority, site, weight in sorted(route):
        if row_band == band:
            priorities.setdefault(priority, []).append(f"{site} {weight}")
    return [", ".join(sites) for _, sites in sorted(priorities.items())]


def _section(heading: str, lines: list[str]) -> list[str]:
    return [f"### {heading}", "\n".join(lines)] if lines else []


def _table(columns: list[str], rows: Iterable[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in [columns, ["---"] * len(columns), *rows]]


def _routes(plan: Plan) -> list[str]:
    """Each change of a route once, with all the zones and markets that have it."""
    before = routes_by_pair(plan.live.frames) if plan.live else {}
    after = routes_by_pair(plan.desired.frames)
    live, back = plan.going()
    changes: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for pair in sorted(before.keys() | after.keys()):
        old, new = before.get(pair, frozenset()), after.get(pair, frozenset())
        what = "goes live" if pair in live else "goes back" if pair in back else "changes"
        for band in sorted({row[0] for row in old ^ new}, reverse=True):
            national_before = before.get((NATIONAL_ZONE, pair[1]), frozenset())
            national_after = after.get((NATIONAL_ZONE, pair[1]), frozenset())
            is_default = pair[0] == NATIONAL_ZONE
            was = _route(old, band, frozenset() if is_default else national_before)
            will = _route(new, band, frozenset() if is_default else national_after)
            changes.setdefault((what, band, was, will), []).append(pair)
    return _cut(
        _table(
            ["", "zones and markets", "hours", "from", "to"],
            (
                [what, _pairs(pairs, PAIRS_LISTED), band, was, will]
                for (what, band, was, will), pairs in changes.items()
            ),
        ),
        len(changes),
    )


def _route(route: Route, band: str, national: Route) -> str:
    """The route in words, the national one by that name."""
    sites = [row for row in route if row[0] == band]
    if sites and set(sites) == {row for row in national if row[0] == band}:
        first = min(row[1] for row in sites)
        return f"national route ({sum(row[1] == first for row in sites)} sites)"
    named = [_few(sites) for sites in _by_priority(route, band)]
    return "; overflow ".join(named) or "(none)"


def _few(sites: str) -> str:
    names = sites.split(", ")
    if len(names) <= SITES_NAMED:
        return sites
    return f"{', '.join(names[:SITES_NAMED])} and {len(names) - SITES_NAMED} more"


def _calls(plan: Plan) -> list[str]:
    pairs = [pair for pair in plan.moved_pairs() if round(pair["moved_calls"])]
    if plan.moved is None or not pairs:
        return []
    days = plan.moved.days
    calls = f"calls of {days[0]} to {days[1]}" if days else "calls (no volumes known: all weigh the same)"
    return _cut(
        _table(
            ["zone", "market", calls, "of which move", "share"],
            (
                [
                    _code(pair["zone_code"]),
                    pair["market"],
                    f"{pair['calls']:,.0f}",
                    f"{pair['moved_calls']:,.0f}",
                    f"{pair['share']:.1%}",
                ]
                for pair in pairs
            ),
        ),
        len(pairs),
    )


def _loads(plan: Plan) -> list[str]:
    changed = plan.changed_loads()
    if not changed:
        return []
    table = _table(LOAD_COLUMNS, map(load_cells, changed))
    return [f"{LOADS_TITLE}:", "", *_cut(table, len(changed))]


def _rows(plan: Plan) -> list[str]:
    changed = [table for table in plan.diffs.values() if table.row_count]
    if not changed:
        return []
    return _table(
        ["table", "rows now", "added", "removed", "changed"],
        (
            [
                table.name,
                f"{table.live_rows:,}",
                f"{table.added.height:,}",
                f"{table.removed.height:,}",
                f"{table.changed.height:,}",
            ]
            for table in changed
        ),
    )


def _cut(table: list[str], rows: int) -> list[str]:
    if not rows:
        return []
    more = [f"\n... and {rows - ROWS_SHOWN} more"] if rows > ROWS_SHOWN else []
    return table[: ROWS_SHOWN + 2] + more


def _pairs(pairs: list[tuple[str, str]], most: int = PAIRS_NAMED) -> str:
    """`53 fixe, internet; 52 fixe`, or how many where they are more than `most`."""
    if len(pairs) > most:
        return f"{len(pairs)} zones and markets"
    markets: dict[str, list[str]] = {}
    for zone, market in pairs:
        markets.setdefault(zone, []).append(market)
    return "; ".join(f"{_code(zone)} {', '.join(of_zone)}" for zone, of_zone in markets.items())


def _code(zone: str) -> str:
    return f"`{zone}`" if zone == NATIONAL_ZONE else zone


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
