"""The marts find the synthetic operator's known truth: the test that guards both.

Counts are equal. Rates by rollout cohort differ only by chance, and by the few callers whose home the
platform cannot know, since the truth uses where they live.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import pytest
import yaml

from parc.build import build
from parc.build.grains import grains
from parc.feeds import FEEDS
from parc.loading import ingest
from parc.settings import PROJECT, Settings
from parc.simulate import simulate
from parc.simulate.effects import Effects, Overload
from support.marts import rows
from support.questions import questions

FIRST, LAST = date(2012, 4, 19), date(2012, 4, 29)
DAYS = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days + 1)]
CALLS = {
    "contacts": "count(*)",
    "legs": "sum(leg_count)",
    "offered": "count(*) filter (where is_offered)",
    "answered": "count(*) filter (where outcome = 'answered')",
    "abandoned": "count(*) filter (where outcome = 'abandoned')",
    "overflowed_lost": "count(*) filter (where outcome = 'overflowed_lost')",
    "ivr_resolved": "count(*) filter (where outcome = 'ivr_resolved')",
    "ivr_abandoned": "count(*) filter (where outcome = 'ivr_abandoned')",
    "blocked": "count(*) filter (where outcome = 'blocked')",
    "answered_wait_seconds": "coalesce(sum(wait_seconds) filter (where outcome = 'answered'), 0)",
    "identified": "count(customer_key)",
    "surveys": "count(satisfaction)",
    "satisfied": "count(*) filter (where satisfaction >= 4)",
}
CALLS_IN_MART = {
    "offered": "offered_count",
    "answered": "answered_count",
    "abandoned": "abandoned_count",
    "overflowed_lost": "overflowed_lost_count",
    "ivr_resolved": "ivr_resolved_count",
    "ivr_abandoned": "ivr_abandoned_count",
    "blocked": "blocked_count",
    "answered_wait_seconds": "wait_answered_seconds",
    "surveys": "survey_count",
    "satisfied": "satisfied_count",
}
VISITS = {
    "visits": "visit_count",
    "served": "served_count",
    "sales": "sale_count",
    "left_unserved": "left_unserved_count",
    "served_wait_seconds": "wait_served_seconds",
    "identified": "identified_count",
    "surveys": "survey_count",
    "satisfied": "satisfied_count",
}
FLOODED = (
    Overload("CAYENNE", date(2012, 4, 23), time(10), half_hours=6, share=0.6),
    Overload("MAMOUDZOU", date(2012, 4, 24), time(11), half_hours=4, share=0.8),
)
"""Small sites: at this scale others have more positions than the whole nation could fill."""
# What happened to a slot, as the platform and as the operator names it. Those called off or moved stay apart,
# as that may have happened before the range, where nobody saw it.
SLOTS = {
    "kept": "kept",
    "missed": "arrived_outside",
    "customer_absent": "customer_absent",
    "technician_absent": "technician_absent",
}


@pytest.fixture(scope="module")
def built(module_warehouse: Settings) -> Iterator[Settings]:
    """Eleven days around the go-live of 25 April, loaded and built; an answer at home satisfies more, and two
    sites are flooded on one day each."""
    effects = Effects(answered_at_home=0.4, overloads=FLOODED)
    simulate(FIRST, LAST, scale=0.02, seed=425, out=module_warehouse.landing, effects=effects)
    for feed in FEEDS:
        for day in DAYS:
            outcome = ingest(module_warehouse, feed, day)
            assert outcome.status in ("published", "missing"), outcome.message
    build(module_warehouse)
    yield module_warehouse


@pytest.fixture(scope="module")
def truth(built: Settings) -> dict[str, Any]:
    """The operator's own account."""
    reported: dict[str, Any] = json.loads((Path(built.landing) / "truth.json").read_text())
    assert list(reported["dates"]) == [str(day) for day in DAYS]
    return reported


def by_name(row: tuple, names: list[str]) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, row, strict=True)}


def test_every_call_is_found_again(built: Settings, truth: dict[str, Any]) -> None:
    expected = {
        (day, market): figures
        for day, reported in truth["dates"].items()
        for market, figures in reported["calls"].items()
    }
    assert len(expected) == 3 * len(DAYS)
    facts = rows(
        built,
        f"select business_date::text, market, {', '.join(CALLS.values())} from marts.fct_calls group by 1, 2",
    )
    assert {(day, market): by_name(tuple(rest), list(CALLS)) for day, market, *rest in facts} == expected
    sums = ", ".join(f"sum({column})" for column in CALLS_IN_MART.values())
    mart = rows(
        built,
        f"select business_date::text, market, {sums} from marts.mart_service_quality_daily group by 1, 2",
    )
    for day, market, *rest in mart:
        figures = by_name(tuple(rest), list(CALLS_IN_MART))
        assert figures == {name: expected[day, market][name] for name in CALLS_IN_MART}, (day, market)


def test_every_visit_is_found_again(built: Settings, truth: dict[str, Any]) -> None:
    sums = ", ".join(f"sum({column})" for column in VISITS.values())
    mart = rows(built, f"select business_date::text, {sums} from marts.mart_boutiques_daily group by 1")
    found = {day: by_name(tuple(rest), list(VISITS)) for day, *rest in mart}
    assert found == {day: reported["boutique_visits"] for day, reported in truth["dates"].items()}


def test_every_job_is_found_again(built: Settings, truth: dict[str, Any]) -> None:
    requested = {
        (day, kind, department): jobs
        for day, reported in truth["dates"].items()
        for kind, departments in reported["interventions"]["requested"].items()
        for department, jobs in departments.items()
    }
    found = rows(
        built,
        "select requested_date::text, kind, department_code, count(*) from marts.fct_interventions "
        f"where requested_date >= '{FIRST}' group by 1, 2, 3",
    )
    assert {(day, kind, department): jobs for day, kind, department, jobs in found} == requested

    closed: dict[tuple[str, str, str], int] = defaultdict(int)
    for day, reported in truth["dates"].items():
        for jobs in reported["interventions"]["closed"]:
            if jobs["reopened_on"] is None or jobs["reopened_on"] > str(LAST):
                closed[day, jobs["kind"], jobs["result"]] += jobs["jobs"]
    found = rows(
        built,
        "select closed_date::text, kind, result, count(*) from marts.fct_interventions "
        "where closed_date is not null group by 1, 2, 3",
    )
    assert {(day, kind, result): jobs for day, kind, result, jobs in found} == closed
    assert rows(
        built,
        "select sum(requested_count), sum(closed_count) from marts.mart_interventions_daily",
    ) == [(sum(requested.values()), sum(closed.values()))]


def test_every_slot_seen_is_found_again(built: Settings, truth: dict[str, Any]) -> None:
    expected = {
        (day, kind, ours): slots[theirs]
        for day, reported in truth["dates"].items()
        for kind, slots in reported["interventions"]["slots"].items()
        for ours, theirs in SLOTS.items()
        if slots[theirs]
    }
    found = rows(
        built,
        "select slot_date::text, kind, outcome, count(*) from intermediate.int_intervention_slots "
        f"where slot_date between '{FIRST}' and '{LAST}' group by 1, 2, 3",
    )
    found = [row for row in found if row[2] in SLOTS]
    assert {(day, kind, outcome): slots for day, kind, outcome, slots in found} == expected


def test_lines_are_those_of_the_operator(built: Settings, truth: dict[str, Any]) -> None:
    for name, cohort in truth["cohorts"].items():
        found = rows(
            built,
            "select business_date::text, sum(active_line_stock) from marts.mart_service_quality_daily "
            f"where market = '{cohort['market']}' "
            f"and region_code = any ('{{{','.join(cohort['regions'])}}}') group by 1",
        )
        assert dict(found) == {
            day: reported["cohorts"][name]["lines"] for day, reported in truth["dates"].items()
        }, name


def test_customers_who_change_channel_are_counted(built: Settings) -> None:
    """Counted again from the facts, customer by customer."""
    calls = of_customers(
        built,
        "select identity_key, offered_at, business_date, home_directorate_code, home_region_code, "
        "coalesce(reason_code, 'unknown'), outcome from marts.fct_calls "
        "where is_offered and customer_key is not null",
    )
    visits = of_customers(
        built,
        "select identity_key, arrived_at, business_date, directorate_code, region_code, boutique_code "
        "from marts.fct_boutique_visits where is_identified",
    )
    closings = of_customers(
        built,
        "select identity_key, closed_at, closed_date, directorate_code, region_code "
        "from marts.fct_interventions where closed_at is not null and customer_key is not null",
    )
    requests = of_customers(
        built,
        "select identity_key, requested_at, requested_date from marts.fct_interventions "
        "where customer_key is not null",
    )
    answers = {
        customer: [call for call in of_customer if call[-1] == "answered"]
        for customer, of_customer in calls.items()
    }

    def is_followed(customer: int, at: datetime, by: Contacts, days: int = 7) -> bool:
        return any(at < other[0] <= at + timedelta(days=days) for other in by.get(customer, ()))

    by_place: dict[tuple, list[int]] = defaultdict(lambda: [0] * 9)
    by_reason: dict[tuple, list[int]] = defaultdict(lambda: [0] * 2)
    by_boutique: dict[tuple, list[int]] = defaultdict(lambda: [0] * 3)
    came_to: dict[tuple, list[int]] = defaultdict(lambda: [0])
    for customer, of_customer in answers.items():
        for at, *place, reason, _ in of_customer:
            followed = is_followed(customer, at, visits)
            add(by_place[tuple(place)], 0, 1, followed, is_followed(customer, at, requests))
            add(by_reason[*place, reason], 0, 1, followed)
            if followed:
                first = min(visit for visit in visits[customer] if visit[0] > at)
                add(came_to[place[0].replace(day=1), first[-1]], 0, 1)
    for customer, of_customer in visits.items():
        for at, day, directorate, region, boutique in of_customer:
            followed = is_followed(customer, at, calls)
            add(by_place[day, directorate, region], 3, 1, followed, is_followed(customer, at, requests))
            again = is_followed(customer, at, visits)
            add(by_boutique[day, boutique], 0, 1, again, followed)
    for customer, of_customer in closings.items():
        for at, *place in of_customer:
            followed = (is_followed(customer, at, calls), is_followed(customer, at, calls, days=30))
            add(by_place[tuple(place)], 6, 1, *followed)
    for mart, keys, figures, expected in (
        (
            "mart_cross_channel_daily",
            "business_date, directorate_code, region_code",
            "customer_answered_count, visit_after_call_7d_count, job_after_call_7d_count, "
            "customer_visit_count, call_after_visit_7d_count, job_after_visit_7d_count, "
            "customer_closed_count, call_after_job_7d_count, call_after_job_30d_count",
            by_place,
        ),
        (
            "mart_visits_after_calls_daily",
            "business_date, directorate_code, region_code, reason_code",
            "sum(customer_answered_count)::int, sum(visit_after_call_7d_count)::int",
            by_reason,
        ),
        (
            "(select * from marts.mart_boutique_visits_daily where customer_visit_count > 0)",
            "business_date, boutique_code",
            "customer_visit_count, repeat_visit_7d_count, call_after_visit_7d_count",
            by_boutique,
        ),
        (
            "(select * from marts.mart_boutique_monthly where visit_after_call_7d_count > 0)",
            "period_start_date, boutique_code",
            "visit_after_call_7d_count",
            came_to,
        ),
    ):
        of = mart if mart.startswith("(") else f"marts.{mart}"
        grouped = f"group by {keys}" if "sum(" in figures else ""
        found = rows(built, f"select {keys}, array[{figures}] from {of} as mart {grouped}")
        assert {tuple(key): counts for *key, counts in found} == dict(expected), mart
        totals = [sum(column) for column in zip(*expected.values(), strict=True)]
        assert min(totals) > 10, (mart, totals)


Contacts = dict[int, list[tuple]]
"""What each customer did: the instant, the date, the place and what else is known of it."""


def of_customers(settings: Settings, query: str) -> Contacts:
    """The rows of a query by their first column."""
    found: Contacts = defaultdict(list)
    for customer, *rest in rows(settings, query):
        found[customer].append(tuple(rest))
    return dict(found)


def add(figures: list[int], start: int, *counts: int) -> None:
    """Add counts to the figures from `start` on."""
    for position, count in enumerate(counts, start):
        figures[position] += count


def test_a_month_of_a_boutique_is_that_of_its_visits(built: Settings) -> None:
    """Percentiles, names and sums, counted again from the facts."""
    of_boutique: dict[tuple[date, str], list[tuple]] = defaultdict(list)
    for boutique, day, wait, outcome, satisfaction in rows(
        built,
        "select boutique_code, business_date, wait_seconds, outcome, satisfaction "
        "from marts.fct_boutique_visits",
    ):
        of_boutique[day.replace(day=1), boutique].append((wait, outcome, satisfaction))
    expected = {}
    for key, of_month in of_boutique.items():
        waits = sorted(min(ceil(wait / 60), 60) for wait, *_ in of_month if wait is not None)
        at = [waits[ceil(share * len(waits)) - 1] if waits else None for share in (0.5, 0.95)]
        answers = [answer for *_, answer in of_month if answer is not None]
        unserved = sum(outcome == "left_unserved" for _, outcome, _ in of_month)
        satisfied = sum(answer >= 4 for answer in answers)
        expected[key] = [len(of_month), unserved, len(waits), *at, len(answers), satisfied]
    found = rows(
        built,
        "select period_start_date, boutique_code, array[visit_count, left_unserved_count, wait_served_count, "
        "p50_wait_minutes, p95_wait_minutes, survey_count, satisfied_count] from marts.mart_boutique_monthly "
        "where boutique_name <> '' and region_name <> '' and directorate_name <> ''",
    )
    assert {(month, boutique): figures for month, boutique, figures in found} == expected


def test_units_of_other_directorates_are_told(built: Settings) -> None:
    """The job's own unit against its department, job by job."""
    facts = rows(
        built,
        "select count(*) filter (where unit_directorate_code = directorate_code), "
        "count(*) filter (where unit_directorate_code <> directorate_code), count(*) "
        f"from marts.fct_interventions where closed_date >= '{FIRST}' "
        "and 'unknown' not in (directorate_code, unit_directorate_code)",
    )
    assert min(facts[0]) > 5
    assert facts == rows(
        built,
        "select sum(own_unit_closed_count)::int, sum(other_unit_closed_count)::int, "
        "sum(closed_count - unknown_unit_closed_count)::int from marts.mart_field_units_daily",
    )


def relations_with_grains() -> dict[str, dict[str, Any]]:
    """The meta of each relation that has views of one grain."""
    models = [
        model
        for path in (PROJECT / "dbt_project/models/marts").rglob("*.yml")
        for model in yaml.load(path.read_text(), yaml.CSafeLoader).get("models", [])
    ]
    return {model["name"]: model["config"]["meta"] for model in models if "grains" in model["config"]["meta"]}


def records(settings: Settings, mart: str) -> list[dict[str, Any]]:
    """Every row of a mart, as BI reads it."""
    return [row for (row,) in rows(settings, f"select to_jsonb(m) from marts.{mart} as m", "bi_reader")]


def test_figures_of_each_period_are_the_sums_of_its_dates(built: Settings) -> None:
    """Every numerator and denominator that the rates divide, for every area."""
    for relation, meta in relations_with_grains().items():
        if "sums_of" not in meta:
            continue
        daily, by = meta["sums_of"], meta["grains"].get("by")
        code = "when 'nation' then 'nation' when 'directorate' then daily.directorate_code"
        code += " else daily.region_code" if "region" in meta["grains"]["areas"] else ""
        apart = f"and rates.{by} in (daily.{by}, 'all')" if by else ""
        summed = sorted(
            column
            for column in records(built, relation)[0].keys() & records(built, daily)[0].keys()
            if column.endswith(("_count", "_seconds", "_hours", "_days"))
        )
        assert len(summed) > 5
        key = ", ".join(f"rates.{column}" for column in [*meta["key"], "period_end_date"])
        different = rows(
            built,
            f"select {key} from marts.{relation} as rates left join marts.{daily} as daily "
            "on daily.business_date between rates.period_start_date and rates.period_end_date "
            f"and rates.area_code = case rates.area {code} end {apart} group by {key} "
            f"having (count(distinct daily.business_date), {', '.join(f'sum(daily.{x})' for x in summed)}) "
            f"is distinct from (max(rates.day_count), {', '.join(f'max(rates.{x})' for x in summed)})",
        )
        assert different == [], relation


def test_each_view_of_one_grain_is_its_part(built: Settings) -> None:
    """Nothing but one period and area, by other names, beside the area's and, of a date, the rollout's."""
    rollout = {(each["region_code"], each["market"]): each for each in records(built, "mart_parc_rollout")}
    assert any(each["go_live_date"] for each in rollout.values())
    names = {each["region_code"]: each["region_name"] for each in records(built, "dim_region")}
    names |= {
        each["directorate_code"]: each["directorate_name"] for each in records(built, "dim_directorate")
    }
    for relation, meta in relations_with_grains().items():
        mixed = records(built, relation)
        seen = 0
        for grain in grains(relation, meta):
            expected = []
            for row in mixed:
                is_of_grain = (row["period"], row["area"]) == (grain.period, grain.area)
                if not is_of_grain or (grain.by and (row[grain.by] != "all") != grain.is_apart):
                    continue
                left_out = {"period", "area", "area_code", "area_name", *meta["grains"].get("leaves", [])}
                left_out |= {grain.by} if not grain.is_apart else set()
                part = {column: value for column, value in row.items() if column not in left_out}
                if grain.period == "day":
                    del part["period_end_date"]
                    part["business_date"] = part.pop("period_start_date")
                if grain.area != "nation":
                    part[f"{grain.area}_code"] = row["area_code"]
                    part[f"{grain.area}_name"] = names[row["area_code"]]
                if (grain.period, grain.area, grain.by, grain.is_apart) == ("day", "region", "market", True):
                    part |= on_the_way(
                        rollout.get((row["area_code"], row["market"])), row["period_start_date"]
                    )
                expected.append(part)
            found = records(built, grain.name)
            assert expected and sorted(map(str, map(sorted, map(dict.items, found)))) == sorted(
                map(str, map(sorted, map(dict.items, expected)))
            ), grain.name
            seen += len(found)
        assert seen == len(mixed), relation


def on_the_way(rollout: dict[str, Any] | None, day: str) -> dict[str, Any]:
    """What a region and market was on a date, by what is known of its rollout."""
    live_from = rollout and rollout["go_live_date"]
    if not rollout or not live_from:
        return {"go_live_date": None, "is_live": False, "days_since_go_live": None}
    return {
        "go_live_date": live_from,
        "is_live": live_from <= day < (rollout["withdrawn_on"] or "9999"),
        "days_since_go_live": (date.fromisoformat(day) - date.fromisoformat(live_from)).days,
    }


def test_percentiles_are_those_of_the_facts(built: Settings) -> None:
    """Of the nation's months and of a region's weeks; times to ten seconds and to the hour above."""
    for view, facts, step, area in (
        ("mart_wait_percentiles", "fct_calls where outcome = 'answered'", 1, "home_region_code"),
        (
            "mart_boutique_wait_percentiles",
            "fct_boutique_visits where served_at is not null",
            10,
            "region_code",
        ),
    ):
        market = "and market = 'all'" if view == "mart_wait_percentiles" else ""
        seconds = f"least(ceil(wait_seconds / {step}) * {step}, 3600)::int"
        for level, code in (("nation", "'nation'"), ("region", area)):
            expected = rows(
                built,
                f"select date_trunc('week', business_date::timestamp)::date, {code}, "
                f"percentile_disc(array[0.5, 0.95]) within group (order by {seconds}) "
                f"from marts.{facts} group by 1, 2 order by 1, 2",
            )
            found = rows(
                built,
                f"select period_start_date, area_code, array[p50_seconds, p95_seconds] from marts.{view} "
                f"where period = 'week' and area = '{level}' {market} order by 1, 2",
            )
            assert found == expected
    expected = rows(
        built,
        "select kind, percentile_disc(array[0.5, 0.8, 0.95, 0.99]) within group "
        "(order by ceil(extract(epoch from closed_at - requested_at) / 3600)::int) "
        "from marts.fct_interventions where result = 'done' "
        "and date_trunc('month', closed_date::timestamp) = '2012-04-01' group by 1 order by 1",
    )
    found = rows(
        built,
        "select kind, array[p50_hours, p80_hours, p95_hours, p99_hours] "
        "from marts.mart_intervention_time_percentiles where period = 'month' and area = 'nation' "
        "and figure <> 'appointment_delay' and period_start_date = '2012-04-01' order by 1",
    )
    assert found == expected
    assert len(found) == 2


@pytest.mark.parametrize("stretch", ["before", "from go-live"])
def test_rates_of_each_cohort_are_found_again(built: Settings, truth: dict[str, Any], stretch: str) -> None:
    compared = 0
    for name, cohort in truth["cohorts"].items():
        go_live = cohort["go_live"] or str(date.max)
        days = [str(day) for day in DAYS if (str(day) >= go_live) == (stretch == "from go-live")]
        if not days:
            continue
        expected: dict[str, int] = defaultdict(int)
        for day in days:
            for figure, value in truth["dates"][day]["cohorts"][name].items():
                expected[figure] += value
        [found] = rows(
            built,
            "select sum(home_in_hours_count)::int, sum(in_hours_known_answered_count)::int, "
            "sum(answered_count)::int, sum(offered_count)::int, sum(satisfied_count)::int, "
            "sum(survey_count)::int from marts.mart_service_quality_daily "
            f"where market = '{cohort['market']}' and business_date between '{days[0]}' and '{days[-1]}' "
            f"and region_code = any ('{{{','.join(cohort['regions'])}}}')",
        )
        home, in_hours, answered, offered, satisfied, surveys = found
        assert_alike(f"{name}: home-region rate", home, in_hours, expected["at_home"], expected["in_hours"])
        assert_alike(f"{name}: answered", answered, offered, expected["answered"], expected["offered"])
        assert_alike(f"{name}: satisfaction", satisfied, surveys, expected["satisfied"], expected["surveys"])
        # Nearly all callers have a home that is known, and it is the right one.
        assert 0.9 < offered / expected["offered"] < 1.05, name
        compared += 1
    assert compared >= (2 if stretch == "from go-live" else 10)


def test_who_answered_is_found_again(built: Settings, truth: dict[str, Any]) -> None:
    """In truth by where customers live; the marts know nearly all homes, and every partner site."""
    expected: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    partners: dict[str, int] = defaultdict(int)
    for reported in truth["dates"].values():
        for who, figures in reported["answers"]["by"].items():
            for figure, value in figures.items():
                expected[who][figure] += value
        for site, count in reported["answers"]["partners"].items():
            partners[site] += count
    total = {figure: sum(each[figure] for each in expected.values()) for figure in expected["home"]}
    found = {
        who: (answered, handled, surveys, satisfied)
        for who, answered, handled, surveys, satisfied in rows(
            built,
            "select answered_by, sum(answered_count)::int, sum(handle_seconds)::int, sum(survey_count)::int, "
            "sum(satisfied_count)::int from marts.mart_answers_daily group by 1",
        )
    }
    assert found.keys() == {*expected, "unknown"}
    sums = [sum(column) for column in zip(*found.values(), strict=True)]
    assert sums == [total[figure] for figure in ("answered", "handle_seconds", "surveys", "satisfied")]
    known = sum(total["answered"] for who, total in expected.items()) - found["unknown"][0]
    for who, figures in expected.items():
        answered, handled, surveys, satisfied = found[who]
        assert_alike(f"answered by {who}", answered, known, figures["answered"], total["answered"])
        assert_alike(f"satisfied by {who}", satisfied, surveys, figures["satisfied"], figures["surveys"])
        assert handled / answered == pytest.approx(figures["handle_seconds"] / figures["answered"], rel=0.02)
    # 95 cents a minute at home, 45 offshore: the sample of the seed.
    costs = dict(
        rows(
            built,
            "select answered_by, sum(handle_cost_euros)::float from marts.mart_answer_costs_monthly "
            "where is_sample group by 1",
        )
    )
    assert costs == {
        who: pytest.approx(handled / 60 * (0.45 if who.startswith("offshore") else 0.95), abs=0.1)
        for who, (_, handled, *_) in found.items()
        if who != "unknown"
    }
    by_site = rows(
        built,
        "select partner_site_code, sum(answered_count)::int from marts.mart_answers_by_reason_daily "
        "where partner_site_code <> 'none' group by 1",
    )
    offshore = sum(count for _, count in by_site)
    assert dict(by_site).keys() == partners.keys()
    weekly = rows(
        built,
        "select partner_site_code, sum(answered_count)::int from marts.mart_offshore_weekly "
        "where area = 'nation' and cause <> 'all' and partner_site_code <> 'all' group by 1",
    )
    assert sorted(weekly) == sorted(by_site)
    causes = rows(
        built,
        "select cause, sum(answered_count)::int from marts.mart_offshore_weekly "
        "where area = 'nation' and partner_site_code = 'all' group by 1",
    )
    # The 27th is a holiday in Mayotte.
    assert dict(causes).keys() == {"overflow", "evening", "night", "sunday", "holiday", "all"}
    assert (dict(causes)["all"], dict(causes)["overflow"]) == (offshore, found["offshore_in_hours"][0])
    for site, count in by_site:
        assert_alike(f"answered in {site}", count, offshore, partners[site], sum(partners.values()))


def test_the_gap_to_home_that_was_planted_is_in_the_interval(built: Settings, truth: dict[str, Any]) -> None:
    """Of the calls answered at home: satisfied, less how many had been if somebody else had answered."""
    home: dict[str, int] = defaultdict(int)
    for reported in truth["dates"].values():
        for figure, value in reported["answers"]["by"]["home"].items():
            home[figure] += value
    planted = (home["satisfied"] - home["satisfied_elsewhere"]) / home["surveys"]
    assert planted > 0.1
    gaps = {
        (outcome, who): (status, low, gap, high)
        for outcome, who, status, low, gap, high in rows(
            built,
            "select outcome, answered_by, status, like_gap_low::float, like_gap::float, like_gap_high::float "
            "from marts.mart_home_gap_monthly where area = 'nation' and market = 'all'",
        )
    }
    for who in ("other_directorate", "offshore_in_hours"):
        status, low, gap, high = gaps["satisfaction", who]
        assert (status, 0 < low < planted < high) == ("estimated", True), (who, low, gap, high, planted)
        # Nothing was planted in how long an answer takes.
        status, low, gap, high = gaps["mean_handle_seconds", who]
        assert (status, low < 0 < high) == ("estimated", True), (who, low, gap, high)


def test_the_floods_that_were_planted_are_found_and_no_others(built: Settings, truth: dict[str, Any]) -> None:
    """By site and day; by week and directorate; on the site's clock."""
    expected = {
        (day, site): (figures["busy_half_hours"], figures["longest_run"])
        for day, reported in truth["dates"].items()
        for site, figures in reported["sites"].items()
    }
    planted = {(str(flood.day), flood.site): flood.half_hours for flood in FLOODED}
    assert expected.keys() == planted.keys()
    assert all(run >= planted[where] for where, (_, run) in expected.items())
    found = rows(
        built,
        "select business_date::text, site_code, busy_half_hour_count, longest_busy_run_half_hours "
        "from marts.mart_site_work_daily where busy_half_hour_count > 0",
    )
    assert {(day, site): (busy, run) for day, site, busy, run in found} == expected
    weekly = rows(
        built,
        "select directorate_code, busy_half_hour_count, longest_busy_run_half_hours "
        "from marts.mart_directorate_work_weekly where busy_half_hour_count > 0 order by 1",
    )
    assert weekly == [
        (directorate, *expected[str(flood.day), flood.site])
        for directorate, flood in zip(("ANTILLES_GUYANE", "REUNION_MAYOTTE"), FLOODED, strict=True)
    ]
    for flood in FLOODED:
        [(first, weekday, region)] = rows(
            built,
            "select min(half_hour_local), min(weekday), min(region_name) "
            "from marts.mart_site_load_half_hourly "
            f"where site_code = '{flood.site}' and local_date = '{flood.day}' and is_open "
            "and handle_seconds > 0.85 * position_seconds",
        )
        assert (first, weekday) == (flood.starts, flood.day.isoweekday())
        assert region in ("Guyane", "Mayotte")


def test_agents_seen_are_those_planned(built: Settings) -> None:
    """At this scale a fiftieth of them, at least one: never more than are on duty."""
    [(seen, planned)] = rows(
        built,
        "select sum(open_agent_seconds)::float, sum(open_position_seconds)::float "
        "from marts.mart_directorate_work_daily",
    )
    assert 0.01 < seen / planned < 0.03


def assert_alike(what: str, count: int, total: int, true_count: int, true_total: int) -> None:
    """Two shares of nearly the same people: no further apart than four standard errors of what differs.

    At most a tenth of them differs; a share of fewer than fifty says nothing.
    """
    if total < 50:
        return
    share, true_share = count / total, true_count / true_total
    variance = max(true_share * (1 - true_share), 0.01)
    allowed = 4 * sqrt(variance * 0.1 / total) + 0.01
    assert abs(share - true_share) < allowed, f"{what}: {share:.3f}, in truth {true_share:.3f}"


UNANSWERED = (
    "Has its call rate fallen",
    "How small an effect",
    "Is a week out of the ordinary",
    "Which were restated",
    "On which dates is one of their deliveries missing",
    "Was BI served on time",
    "Which table did the switch have",
)
"""Eleven quiet days, loaded afterwards, hold no final week, no gap, no restatement and no release."""


def test_every_question_is_one_query_of_bi(built: Settings) -> None:
    for question, query in questions():
        found = rows(built, query, "bi_reader")
        assert found or question.startswith(UNANSWERED), question


def test_the_waves_are_the_nation_and_see_the_go_live(built: Settings) -> None:
    """Wave 2 goes live on 25 April; the regions not live with it are compared with."""
    of_waves, of_days = (
        rows(built, query)
        for query in (
            "select market, week_start_date, sum(home_region_rate_numerator), "
            "sum(home_region_rate_denominator), sum(satisfaction_denominator) "
            "from marts.mart_parc_waves_weekly group by 1, 2 order by 1, 2",
            "select market, date_trunc('week', business_date::timestamp)::date, sum(home_in_hours_count), "
            "sum(in_hours_known_answered_count), sum(survey_count) from marts.mart_service_quality_daily "
            "where region_code <> 'unknown' group by 1, 2 order by 1, 2",
        )
    )
    assert of_waves == of_days and len(of_waves) == 6
    [(week, slip, live, controls, home, elsewhere)] = rows(
        built,
        "select week_start_date, slip_days, live_region_count, not_yet_live_region_count, home_region_rate, "
        "not_yet_live_home_region_rate from marts.mart_parc_waves_weekly "
        "where market = 'fixe' and wave = 2 and event_week = 0",
    )
    assert (week, slip, live) == (date(2012, 4, 23), 0, 2) and controls > 15
    assert elsewhere < 0.3 < home
