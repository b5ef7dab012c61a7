"""Estimates the effects of the rollout from the weekly panel and stores them for the mart.

Beside the effect over all regions and weeks stands what the panel would show, and when it will show more. A
market and outcome is only estimated again if its panel, this code, the library or what is asked for has
changed. On most nights nothing has, because a new week joins the panel once.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import yaml

from parc.errors import BuildFailed
from parc.feeds.declaration import MARKETS
from parc.ledger import effects as ledger
from parc.rollout.permutation import FloatArray, as_library, permute
from parc.rollout.power import FEWEST_WEEKS, Aim, further_weeks, minimum_detectable_effect, without_effect

OUTCOMES = (
    "call_rate",
    "repeat_7d_rate",
    "service_level",
    "satisfaction",
    "offshore_in_hours_share",
    "resolved_by_customer_file_share",
)
_MONDAY = date(1970, 1, 5)
_ESTIMATOR = "Callaway-Sant'Anna, not-yet-treated controls, no covariates, regions weighted 1"

FORETOLD = (
    "minimum_detectable_effect",
    "planning_effect",
    "further_week_count",
    "detectable_date",
    "power_reason",
)
FINAL_AFTER_DAYS = 14
"""From the Monday of a week to the Monday on which its repeats within seven days are over."""

Series = list[tuple[str, str, date | None, date | None, date, float | None]]
"""Rows of one market and outcome, in order: region, its directorate, planned go-live, go-live, Monday of the
week, value."""


def aim_of(project: Path) -> Aim:
    """What the variables of the dbt project in this folder ask for."""
    named = yaml.load((project / "dbt_project" / "dbt_project.yml").read_text(), yaml.CSafeLoader)["vars"]
    return Aim(named["effect_level"], named["effect_power"], named["planning_effect_share"])


def refresh(
    connection: psycopg.Connection[Any], aim: Aim, *, everything: bool = False
) -> list[tuple[str, str]]:
    """Bring `ops.rollout_effect` up to date with `intermediate.agg_rollout_panel_weekly`.

    Returns the markets and outcomes that were estimated: those whose input has changed, or all with
    `everything`.

    Raises BuildFailed if the library and the permutations disagree on the effects of the same panel.
    """
    panel: dict[tuple[str, str], Series] = defaultdict(list)
    for market, outcome, *row in connection.execute(
        "select market, outcome, region_code, directorate_code, planned_go_live_date, go_live_date, "
        "week_date, value from intermediate.agg_rollout_panel_weekly order by region_code, week_date"
    ):
        panel[market, outcome].append(tuple(row))
    known = ledger.digests(connection)
    renewed = []
    method = _method_digest(aim)
    for market in MARKETS:
        for outcome in OUTCOMES:
            series = panel[market, outcome]
            content = json.dumps([method, series], default=str).encode()
            digest = hashlib.sha256(content).hexdigest() if series else None
            if known.get((market, outcome)) == digest and not (series and everything):
                continue
            head = {"market": market, "outcome": outcome, "input_sha256": digest}
            rows = [head | row for row in estimate(series, f"{market} {outcome}", aim)] if series else []
            ledger.replace(connection, market, outcome, rows)
            renewed.append((market, outcome))
    return renewed


def estimate(series: Series, name: str, aim: Aim) -> list[dict[str, Any]]:
    """Rows of `ops.rollout_effect` for one market and outcome, without their key; `name` is for errors.

    The series has at least one week. Regions that lack a value in any week are left out. An effect that is
    not identified has a reason instead of an estimate.
    """
    weeks = sorted({row[4] for row in series})
    values: dict[str, dict[date, float]] = defaultdict(dict)
    for region, _, _, _, week, value in series:
        if value is not None:
            values[region][week] = value
    homes = {row[0]: row[1] for row in series}
    planned = {row[0]: row[2] for row in series}
    go_lives = {row[0]: row[3] for row in series}
    regions = [region for region in sorted(values) if len(values[region]) == len(weeks)]
    cohorts = {region: _number(day) if (day := go_lives[region]) else 0 for region in regions}
    # A region live in the first week has no earlier weeks, so nothing about it is identified.
    seen = [region for region in regions if not (cohorts[region] and cohorts[region] <= _number(weeks[0]))]
    common: dict[str, Any] = {
        "region_count": len(seen),
        "directorate_count": len({homes[region] for region in seen}),
        "week_count": len(weeks),
        "library_version": f"diff-diff {version('diff-diff')}",
        "tried_order_count": 0,
        "order_count": 0,
        "method": _ESTIMATOR,
    }
    last = _number(weeks[-1])
    within = [0 if cohorts[region] > last else cohorts[region] for region in seen]
    outcomes = np.array([[values[region][week] for week in weeks] for region in seen])
    directorates = [homes[region] for region in seen]
    effects: dict[Any, Any] = {}
    if any(within) and len(set(within)) > 1:
        effects = _effects(outcomes, seen, within, directorates, weeks, common, name)
    # What is due and not live yet is taken to go live next week.
    to_come = [
        cohorts[region] or (max(_number(day), last + 1) if (day := planned[region]) else 0) for region in seen
    ]
    simple = effects.get(("simple", None, None))
    foretold = _foretold(outcomes, within, to_come, directorates, weeks, simple and simple.estimate, aim)

    rows = []
    live = sorted({cohort for cohort in cohorts.values() if 0 < cohort <= last})
    for key in sorted({*effects, *_asked(live, [_number(week) for week in weeks])}, key=str):
        kind, group, period = key
        found = effects.get(key)
        row = common | {
            "effect_kind": kind,
            "group_date": _monday(group) if group is not None else None,
            "week_date": _monday(period) if kind in ("calendar", "group_time") else None,
            "event_week": period if kind == "dynamic" else None,
            "treated_region_count": found.treated_count if found else 0,
            "estimate": round(found.estimate, 8) if found else None,
            "treated_mean": round(found.treated_mean, 8) if found else None,
            "p_value": round(found.p_value, 8) if found else None,
            "smallest_p_value": round(found.smallest_p_value, 8) if found else None,
            "reason": None if found else _reason(group, live, weeks),
        }
        row |= foretold if kind == "simple" else dict.fromkeys(foretold)
        rows.append(row)
    return rows


def _foretold(
    outcomes: FloatArray,
    within: list[int],
    to_come: list[int],
    directorates: list[str],
    weeks: list[date],
    estimate: float | None,
    aim: Aim,
) -> dict[str, Any]:
    """What the panel would show, and when it will show the effect that is planned with."""
    found: dict[str, Any] = dict.fromkeys(FORETOLD)
    if len(weeks) < FEWEST_WEEKS:
        return found | {"power_reason": f"fewer than {FEWEST_WEEKS} weeks do not show their noise"}
    if not len(outcomes):
        return found | {"power_reason": "no region was seen before it went live"}
    periods = [_number(week) for week in weeks]
    live = np.array([[0 < cohort <= at for at in periods] for cohort in within])
    planning_effect = aim.effect_share * abs(float((outcomes - (estimate or 0.0) * live).mean()))
    found["planning_effect"] = round(planning_effect, 8)
    quiet = outcomes
    if estimate is not None:
        quiet = without_effect(outcomes, estimate, live, directorates)
        smallest = minimum_detectable_effect(quiet, within, directorates, periods, aim)
        found["minimum_detectable_effect"] = round(smallest, 8) if smallest else None
    count = further_weeks(quiet, to_come, directorates, periods, planning_effect, aim)
    if count is None:
        return found | {"power_reason": "at the present noise neither the plan nor two years would show it"}
    shown_on = weeks[-1] + timedelta(weeks=count, days=FINAL_AFTER_DAYS)
    return found | {"further_week_count": count, "detectable_date": shown_on}


def _effects(
    outcomes: FloatArray,
    regions: list[str],
    cohorts: list[int],
    homes: list[str],
    weeks: list[date],
    common: dict[str, Any],
    name: str,
) -> dict[Any, Any]:
    # Imported here because they take two seconds and only builds of a new week need them.
    import pandas as pd

    from parc.rollout.effect import group_time_att

    periods = [_number(week) for week in weeks]
    permuted = permute(outcomes, cohorts, homes, periods)
    panel = pd.DataFrame(
        {
            "region": np.repeat(regions, len(weeks)),
            "week": np.tile(periods, len(regions)),
            "cohort": np.repeat(cohorts, len(weeks)),
            "value": outcomes.ravel(),
        }
    )
    distance = as_library(permuted.effects, group_time_att(panel, "region", "week", "cohort", "value"))
    if distance > 1e-9 * max(1.0, float(np.abs(outcomes).max())):
        raise BuildFailed(
            f"effect of the rollout, {name}: {common['library_version']} and the permutations differ by "
            f"{distance} on the order that happened; if the library changed, pin the version before it"
        )
    drawn = "all" if permuted.is_exact else f"{permuted.tried_count - 1:,} of"
    common |= {
        "tried_order_count": permuted.tried_count,
        "order_count": permuted.order_count,
        "method": f"{_ESTIMATOR}; dates permuted over directorates, {drawn} {permuted.order_count:,} orders",
    }
    return permuted.effects


def _asked(live: list[int], weeks: list[int]) -> Iterator[tuple[str, int | None, int | None]]:
    """The effects that a reader may ask for, whether identified or not."""
    yield ("simple", None, None)
    for group in live:
        yield ("group", group, None)
        for week in weeks:
            if week >= group:
                yield ("group_time", group, week)
                if group > weeks[0]:
                    yield ("dynamic", None, week - group)
                    yield ("calendar", None, week)


def _reason(group: int | None, live: list[int], weeks: list[date]) -> str:
    first = _number(weeks[0])
    if group is not None and group <= first:
        return "live from the first week on: nothing was seen before"
    if not live or live[-1] <= first:
        return "no region was seen to go live"
    return "no region is left that is not live yet"


def _method_digest(aim: Aim) -> str:
    """A digest that changes with this package's code, the library and what is asked for."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(
        b"".join(source.read_bytes() for source in sources) + f"{version('diff-diff')} {aim}".encode()
    ).hexdigest()


def _number(day: date) -> int:
    """Running number of the day's week; weeks begin on Monday."""
    return (day - _MONDAY).days // 7


def _monday(week: int) -> date:
    return _MONDAY + timedelta(weeks=week)
