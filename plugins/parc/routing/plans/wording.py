"""Words that the renderers of a plan share, and the explanation of its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parc.routing.judges.load import SiteLoad
from parc.routing.plans.plan import Plan, PlanVerdict
from parc.routing.table.content import NATIONAL_ZONE
from parc.routing.table.lookups import Route, routes_by_pair

PAIRS_NAMED = 6
LOADS_TITLE = (
    "Predicted load of a usual week, in each site's tightest half-hour on its own clock (now -> then)"
)
LOAD_COLUMNS = ["site", "half-hour", "calls", "erlangs", "positions", "occupancy", "answered within 20 s"]


def subject(plan: Plan) -> str:
    """The plan in one line, such as `Go-live of 53 fixe, internet on 2012-04-25: 8.9% of calls move`."""
    live, back = plan.going()
    parts = []
    if live:
        parts.append(f"go-live of {pairs_text(live)}")
    if back:
        parts.append(f"return to the national route of {pairs_text(back)}")
    what = " and ".join(parts) or ("routing change" if plan.base_version else "first routing table")
    when = f" on {plan.effective_date}" if plan.effective_date else ""
    moved = f": {plan.moved.share:.1%} of calls move" if plan.moved else ""
    return f"{what[0].upper()}{what[1:]}{when}{moved}"


def headline(plan: Plan) -> str:
    """The verdict in one sentence, without its reasons."""
    release = f"the release for {plan.effective_date}"
    return {
        PlanVerdict.NOTHING_TO_DO: "the switch already holds this table",
        PlanVerdict.REFUSED: f"{release} is refused; the switch keeps its table",
        PlanVerdict.BLOCKED: f"{release} is blocked; the switch keeps its table",
        PlanVerdict.NEEDS_APPROVAL: f"{release} needs a person's approval",
        PlanVerdict.READY: f"{release} is ready",
    }[plan.verdict]


def explain_verdict(plan: Plan) -> str:
    """The verdict and its reasons; `remedies.of_verdict` has the way out."""
    return f"{headline(plan)}:\n{bullets(plan.reasons)}" if plan.reasons else headline(plan)


def bullets(entries: Iterable[object]) -> str:
    """One indented line per entry."""
    return "\n".join(f"  - {entry}" for entry in entries)


def route_changes(plan: Plan) -> Iterator[tuple[tuple[str, str], str, Route, Route]]:
    """((zone_code, market), band, route before, route after) of each pair and band whose sites change."""
    before = routes_by_pair(plan.live.frames) if plan.live else {}
    after = routes_by_pair(plan.desired.frames)
    for pair in sorted(before.keys() | after.keys()):
        old, new = before.get(pair, frozenset()), after.get(pair, frozenset())
        for band in sorted({row[0] for row in old ^ new}, reverse=True):
            yield pair, band, of_band(old, band), of_band(new, band)


def of_band(route: Route, band: str) -> Route:
    """The rows of a route that belong to a band."""
    return frozenset(row for row in route if row[0] == band)


def by_priority(route: Route) -> list[list[str]]:
    """The sites of one band by priority, each with its weight: `RENNES 60`, `RENNES_2 40`."""
    priorities: dict[int, list[str]] = {}
    for _, priority, site, weight in sorted(route):
        priorities.setdefault(priority, []).append(f"{site} {weight}")
    return [sites for _, sites in sorted(priorities.items())]


def by_zone(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The markets of each zone."""
    markets: dict[str, list[str]] = {}
    for zone, market in pairs:
        markets.setdefault(zone, []).append(market)
    return markets


def pairs_text(pairs: list[tuple[str, str]], most: int = PAIRS_NAMED) -> str:
    """`53 fixe, internet; 52 fixe`; only their number if there are more than `most`."""
    if len(pairs) > most:
        return f"{len(pairs)} zones and markets"
    return "; ".join(f"{zone_text(zone)} {', '.join(markets)}" for zone, markets in by_zone(pairs).items())


def zone_text(zone: str) -> str:
    """A zone code for Markdown, which would read `*` as emphasis."""
    return f"`{zone}`" if zone == NATIONAL_ZONE else zone


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


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
