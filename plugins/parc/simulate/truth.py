"""The known truth of a simulated range: what the marts must find in its deliveries.

`truth.json` is beside the feeds, where no loader looks. It describes the deliveries before any fault is
applied. Simulating another range of the same operator (same scale and seed) adds or replaces its dates;
another operator starts a new file. Its structure:

    scale, seed      the operator
    effects          parameters of going live (see `Effects`), the sites that were flooded (`overloads`), and
                     `relative_call_rate`: the relative change of a line's calls once the ramp is over,
                     repeats included
    cohorts          by name (`fixe 2012-04-25`): `market`, `go_live` (null: never planned), `regions`, and
                     the expected share of calls answered in hours that the customer's own directorate
                     answers, over the dates in the file (null: none): `home_rate_before`,
                     `home_rate_from_go_live`
    dates            by business date:
      calls            by market dialled: `legs`, `contacts` (calls), by outcome `answered`, `abandoned`,
                       `overflowed_lost`, `ivr_resolved`, `ivr_abandoned`, `blocked`; also `offered` (the
                       first three), `answered_wait_seconds`, `identified`, `surveys`, `satisfied` (4 or 5)
      answers          `by` who answered (see ANSWERED_BY; by where the customer lives, known or not):
                       `answered`, `handle_seconds`, `surveys`, `satisfied`, `satisfied_elsewhere` (as the
                       same people would have answered, had nobody been answered at home); and
                       `partners`: answered calls by offshore site
      sites            by site that was busy in any half-hour in which it was open (its work filled more than
                       85 % of its planned positions): `busy_half_hours`, and `longest_run`, the most of them
                       one after the other on the date; calls from before the range's first date left out
      boutique_visits  `visits`, `served` (sales included), `sales`, `left_unserved`,
                       `served_wait_seconds`, `identified`, `surveys`, `satisfied`
      interventions    `states` delivered; `requested` on the date by kind and department; `closed` on the
                       date, a list of `kind`, `result`, `reopened_on` (the business date of the next
                       change, which reopens the job; null: it stays closed) and `jobs`; `slots` that
                       end on the date by kind and outcome: `kept` (arrived within), `arrived_outside`,
                       `customer_absent`, `technician_absent`, `moved_by_customer`, `moved_by_operator`,
                       `cancelled`
      cohorts          by name, of the customers who live there:
        by the line's market   `lines`, `reached` (share of the effects, 0 to 1), `contacts`,
                               `contacts_without` (the number had no region gone live), `again` and
                               `again_without` (contacts followed by another of the same need; without: of
                               those made)
        by the market dialled  `offered`, `answered`, `in_hours` (answered, having reached a queue in the
                               opening hours of the customer's zone), `at_home` (of these, answered in the
                               customer's directorate), `at_home_expected`, `surveys`, `satisfied`,
                               `satisfied_without` (as the same people would have answered)

The rollout changes the satisfaction with calls only. The `_without` figures use the same random draws as
the figures made: the ratio of the two is the effect that really happened, not an estimate. A job seen in a
range may have been requested, and a slot promised, before the range begins.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from parc.feeds.declaration import MARKETS
from parc.simulate.calls import ANSWERED_BY, CALL_OUTCOMES, OFFERED_OUTCOMES, ServedCalls
from parc.simulate.chance import Bools, Ints
from parc.simulate.contacts import Contacts, ramp, relative_call_rate
from parc.simulate.effects import Effects
from parc.simulate.geography import Geography
from parc.simulate.jobs import KINDS, RESULTS, SLOT_OUTCOMES, FieldDay
from parc.simulate.population import Population
from parc.simulate.site_work import SiteWork
from parc.simulate.writing import LandingZone

TRUTH = "truth.json"

Figures = dict[str, Any]


class Truth:
    """Collects the true figures of a range, date by date."""

    def __init__(
        self, geography: Geography, population: Population, effects: Effects, *, scale: float, seed: int
    ) -> None:
        """Group regions and markets into cohorts by go-live date."""
        self._geography = geography
        self._population = population
        self._effects = effects
        self._head: Figures = {"scale": scale, "seed": seed}
        self._dates: Figures = {}
        self._work = SiteWork(geography)
        members: dict[tuple[int, date | None], list[int]] = defaultdict(list)
        for market in range(len(MARKETS)):
            for region in range(len(geography.region_codes)):
                members[market, geography.plan.get((region, market), (None, None))[0]].append(region)
        self._cohorts = sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or date.max))
        self._names = [f"{MARKETS[market]} {go_live or 'never'}" for (market, go_live), _ in self._cohorts]
        self._cohort_of = np.zeros((len(geography.region_codes), len(MARKETS)), dtype=np.int64)
        for number, ((market, _), regions) in enumerate(self._cohorts):
            self._cohort_of[regions, market] = number

    def add(
        self,
        day: date,
        contacts: Contacts,
        served: ServedCalls,
        legs: pl.DataFrame,
        visits: pl.DataFrame,
        field: FieldDay,
    ) -> None:
        """Add a date: all contacts; how the calls made went, in order of time; legs and visits as delivered;
        jobs."""
        made = contacts.take(contacts.is_made).in_order()
        self._work.add(day, legs)
        self._dates[day.isoformat()] = {
            "calls": _calls(served),
            "answers": self._answers(served),
            "boutique_visits": _visits(visits),
            "interventions": self._interventions(field),
            "cohorts": self._cohort_figures(day, contacts, made, served),
        }

    def write(self, landing: LandingZone) -> None:
        """Merge the dates into an existing file of the same operator."""
        for day, figures in self._dates.items():
            figures["sites"] = self._work.busy(date.fromisoformat(day))
        before = landing.read_json(TRUTH) or {}
        is_same = all(before.get(name) == value for name, value in self._head.items())
        earlier = before.get("dates", {}) if is_same else {}
        dates = dict(sorted((earlier | self._dates).items()))
        effects = asdict(self._effects)
        effects["overloads"] = [
            overload | {"day": str(overload["day"]), "starts": f"{overload['starts']:%H:%M}"}
            for overload in effects["overloads"]
        ]
        effects["relative_call_rate"] = round(float(relative_call_rate(self._effects, 1.0)), 6)
        cohorts = {
            name: {
                "market": MARKETS[market],
                "go_live": go_live and go_live.isoformat(),
                "regions": [self._geography.region_codes[region] for region in regions],
                "home_rate_before": _home_rate(dates, name, None, go_live),
                "home_rate_from_go_live": _home_rate(dates, name, go_live, None) if go_live else None,
            }
            for name, ((market, go_live), regions) in zip(self._names, self._cohorts, strict=True)
        }
        landing.write_json(TRUTH, self._head | {"effects": effects, "cohorts": cohorts, "dates": dates})

    def _answers(self, served: ServedCalls) -> Figures:
        figures: Figures = {}
        for number, name in enumerate(ANSWERED_BY):
            calls = served.take(served.answered_by == number)
            figures[name] = {
                "answered": len(calls),
                "handle_seconds": int(calls.handle.sum()),
                "surveys": int(calls.surveyed.sum()),
                "satisfied": int(calls.satisfied.sum()),
                "satisfied_elsewhere": int(calls.satisfied_elsewhere.sum()),
            }
        sites = self._geography.sites
        counts = np.bincount(served.partner[served.partner >= 0], minlength=len(sites)).tolist()
        partners = {site.code: count for site, count in zip(sites, counts, strict=True) if count}
        return {"by": figures, "partners": partners}

    def _interventions(self, field: FieldDay) -> Figures:
        codes = self._geography.department_codes
        requested = np.zeros((len(KINDS), len(codes)), dtype=np.int64)
        np.add.at(requested, (field.requests.kind, field.requests.department), 1)
        closings = field.closings
        different, jobs = np.unique(
            np.stack([closings.kind, closings.result, closings.next_day]), axis=1, return_counts=True
        )
        slots = np.zeros((len(KINDS), len(SLOT_OUTCOMES)), dtype=np.int64)
        np.add.at(slots, (field.slots.kind, field.slots.outcome), 1)
        return {
            "states": len(field.states),
            "requested": {
                kind: {codes[n]: int(requested[number, n]) for n in np.flatnonzero(requested[number])}
                for number, kind in enumerate(KINDS)
            },
            "closed": [
                {
                    "kind": KINDS[kind],
                    "result": RESULTS[result],
                    "reopened_on": date.fromordinal(next_day).isoformat() if next_day >= 0 else None,
                    "jobs": count,
                }
                for (kind, result, next_day), count in zip(different.T.tolist(), jobs.tolist(), strict=True)
            ],
            "slots": {
                kind: dict(zip(SLOT_OUTCOMES, slots[number].tolist(), strict=True))
                for number, kind in enumerate(KINDS)
            },
        }

    def _cohort_figures(self, day: date, contacts: Contacts, made: Contacts, served: ServedCalls) -> Figures:
        region = self._geography.department_region
        of_line = self._cohort_of[region[contacts.department], contacts.market]
        of_made = self._cohort_of[region[made.department], made.market]
        of_served = self._cohort_of[region[made.department], served.market]

        def count(cohort: Ints, which: Bools) -> list[int]:
            found: list[int] = np.bincount(cohort[which], minlength=len(self._cohorts)).tolist()
            return found

        lines = np.zeros(len(self._cohorts), dtype=np.int64)
        np.add.at(lines, self._cohort_of[region], self._population.lines_in(day))
        reached = ramp(self._geography.days_live(day), self._effects)
        is_answered = served.call_outcome == 0
        in_hours = is_answered & served.in_hours
        expected = np.bincount(
            of_served[in_hours], weights=served.home_chance[in_hours], minlength=len(self._cohorts)
        )
        columns: dict[str, list[Any]] = {
            "lines": lines.tolist(),
            "reached": [
                round(float(reached[regions, market].mean()), 6) for (market, _), regions in self._cohorts
            ],
            "contacts": count(of_line, contacts.is_made),
            "contacts_without": count(of_line, contacts.without),
            "again": count(of_made, made.next_gap >= 0),
            "again_without": count(of_made, made.again_without),
            "offered": count(of_served, served.call_outcome < OFFERED_OUTCOMES),
            "answered": count(of_served, is_answered),
            "in_hours": count(of_served, in_hours),
            "at_home": count(of_served, in_hours & (served.answered_by == 0)),
            "at_home_expected": [round(value, 3) for value in expected.tolist()],
            "surveys": count(of_served, served.surveyed),
            "satisfied": count(of_served, served.satisfied),
            "satisfied_without": count(of_served, served.satisfied_without),
        }
        return {
            name: {column: values[number] for column, values in columns.items()}
            for number, name in enumerate(self._names)
        }


def _calls(served: ServedCalls) -> Figures:
    figures = {}
    for number, market in enumerate(MARKETS):
        calls = served.take(served.market == number)
        outcomes = np.bincount(calls.call_outcome, minlength=len(CALL_OUTCOMES)).tolist()
        figures[market] = {
            "legs": int(calls.legs.sum()),
            "contacts": len(calls),
            **dict(zip(CALL_OUTCOMES, outcomes, strict=True)),
            "offered": sum(outcomes[:OFFERED_OUTCOMES]),
            "answered_wait_seconds": int(calls.wait.sum()),
            "identified": int(calls.is_identified.sum()),
            "surveys": int(calls.surveyed.sum()),
            "satisfied": int(calls.satisfied.sum()),
        }
    return figures


def _visits(visits: pl.DataFrame) -> Figures:
    outcome = pl.col("outcome")
    moment = pl.col("served_at", "arrived_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="UTC")
    return (
        visits.with_columns(moment)
        .select(
            visits=pl.len(),
            served=(outcome != "left_unserved").sum(),
            sales=(outcome == "sale").sum(),
            left_unserved=(outcome == "left_unserved").sum(),
            served_wait_seconds=(pl.col("served_at") - pl.col("arrived_at")).dt.total_seconds().sum(),
            identified=pl.col("customer_ref").count(),
            surveys=pl.col("satisfaction").count(),
            satisfied=(pl.col("satisfaction") >= 4).sum(),
        )
        .row(0, named=True)
    )


def _home_rate(dates: Figures, cohort: str, first: date | None, end: date | None) -> float | None:
    """Expected share answered at home over the dates from `first` until before `end`."""
    sums = [
        figures["cohorts"][cohort]
        for day, figures in dates.items()
        if (first is None or day >= first.isoformat()) and (end is None or day < end.isoformat())
    ]
    answered = sum(figures["in_hours"] for figures in sums)
    at_home = sum(figures["at_home_expected"] for figures in sums)
    return round(float(at_home / answered), 4) if answered else None
