"""Boutiques, their visits and the jobs of the field units, and how they meet the calls of the same people."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from parc import feeds
from parc.settings import PROJECT
from parc.simulate import simulate
from parc.simulate.boutiques import Boutiques
from parc.simulate.contacts import ContactBook
from parc.simulate.demand import Demand
from parc.simulate.effects import Effects
from parc.simulate.footfall import Footfall
from parc.simulate.geography import Geography
from parc.simulate.jobs import KINDS, SLOT_OUTCOMES, JobBook
from parc.simulate.numbering import Numbering
from parc.simulate.population import Population
from parc.simulate.visits import VisitBook

FIRST, LAST = date(2012, 4, 16), date(2012, 5, 13)
SCALE, SEED = 0.03, 2012
SEEDS = PROJECT / "dbt_project" / "seeds"
MOMENT = "%Y-%m-%dT%H:%M:%S%z"
OVERSEAS = ["971", "972", "973", "974", "976"]
NO_EFFECTS = Effects(call_rate=0, repeat=0, satisfaction=0)


def read(landing: Path, feed: str) -> pl.DataFrame:
    """All deliveries of a feed with their business dates; instants parsed."""
    frames = []
    for file in sorted((landing / feed).glob("date=*/*.csv*")):
        content = file.read_bytes()
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        day = date.fromisoformat(file.parent.name.removeprefix("date="))
        frames.append(pl.read_csv(BytesIO(text), infer_schema=False).with_columns(day=pl.lit(day)))
    instants = [column.name for column in feeds.get(feed).file_columns if column.type == "timestamptz"]
    return pl.concat(frames).with_columns(pl.col(instants).str.to_datetime(MOMENT, time_zone="UTC"))


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    """Share of the rows that meet the condition."""
    assert frame.height > 100
    return float(frame.select(condition.mean()).item())


def business_date(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone("Europe/Paris").dt.date()


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate(FIRST, LAST, scale=SCALE, seed=SEED, out=str(folder))
    return folder


@pytest.fixture(scope="module")
def calls(landing: Path) -> pl.DataFrame:
    return read(landing, "calls").filter(pl.col("leg_no") == "1")


@pytest.fixture(scope="module")
def visits(landing: Path) -> pl.DataFrame:
    return read(landing, "boutique_visits")


@pytest.fixture(scope="module")
def states(landing: Path) -> pl.DataFrame:
    return read(landing, "interventions").sort("job_id", "updated_at")


@pytest.fixture(scope="module")
def lives(states: pl.DataFrame) -> pl.DataFrame:
    """Jobs requested within the range, by their newest state."""
    return (
        states.group_by("job_id", maintain_order=True)
        .agg(pl.all().last(), states=pl.len(), first_update=pl.col("updated_at").first())
        .filter(business_date("requested_at") >= FIRST)
    )


@pytest.fixture(scope="module")
def truth(landing: Path) -> dict[str, Any]:
    reported: dict[str, Any] = json.loads((landing / "truth.json").read_text())
    return reported


class Books:
    """The parts of an operator without the writing, on any date."""

    def __init__(self, scale: float, effects: Effects = NO_EFFECTS) -> None:
        geography = Geography.load()
        population = Population(geography, Numbering.of(geography), scale=scale, seed=SEED)
        demand, footfall = Demand(geography, seed=SEED), Footfall(geography)
        self.boutiques = Boutiques(geography, population, scale=scale, seed=SEED)
        self.contacts = ContactBook(geography, population, demand, footfall, effects, seed=SEED)
        self.shops = VisitBook(geography, population, self.boutiques, demand, footfall, effects, seed=SEED)
        self.field = JobBook(geography, population, demand, effects, seed=SEED)

    def visits(self, day: date) -> pl.DataFrame:
        return self.shops.visits(day, self.contacts.on(day)[1])


# ---- boutiques


def test_the_nation_has_1200_boutiques_spread_by_inhabitants() -> None:
    boutiques = Books(1.0).boutiques
    first, last = (boutiques.snapshot(day) for day in (date(2012, 1, 1), date(2013, 12, 31)))
    open_now = last.filter(pl.col("closed_on").is_null() | (pl.col("closed_on") > "2013-12-31"))
    assert last.height == 1_200
    assert 1_140 < open_now.height < 1_200
    assert set(first["department_code"]) == set(
        pl.read_csv(SEEDS / "departments.csv", infer_schema=False)["department_code"]
    )
    counts = dict(last.group_by("department_code").len().iter_rows())
    assert counts["48"] == 1
    assert counts["59"] == pytest.approx(1_200 * 2_588 / 65_300, rel=0.05)
    opened = last.filter(pl.col("opened_on") >= "2012-01-01")
    assert 20 < opened.height < 60
    assert 20 < last["closed_on"].count() < 60
    assert last.filter(pl.col("closed_on") <= pl.col("opened_on")).is_empty()
    # What opens and closes is announced before it does.
    assert first["opened_on"].max() > "2012-01-01"  # type: ignore[operator]
    known = first.join(last.filter(pl.col("opened_on") <= "2012-03-01"), on="boutique_code", how="full")
    assert known.height == known["boutique_code"].count() == known["boutique_code_right"].count()


def test_every_department_has_a_boutique_and_visits_are_to_open_ones(
    landing: Path, visits: pl.DataFrame
) -> None:
    boutiques = read(landing, "boutiques").filter(pl.col("day") == FIRST)
    assert boutiques["department_code"].n_unique() == 101
    where = visits.join(boutiques, on="boutique_code", how="left")
    assert where["name"].null_count() == 0
    opened, closed = (pl.col(name).str.to_date() for name in ("opened_on", "closed_on"))
    assert where.filter((opened > pl.col("day")) | (closed <= pl.col("day"))).is_empty()


# ---- visits


def test_visits_keep_shop_hours_on_the_local_clock(landing: Path, visits: pl.DataFrame) -> None:
    zones = pl.read_csv(SEEDS / "departments.csv", infer_schema=False).select("department_code", "time_zone")
    boutiques = read(landing, "boutiques").filter(pl.col("day") == FIRST).drop("day")
    placed = visits.join(boutiques, on="boutique_code").join(zones, on="department_code")
    assert (visits.select(business_date("arrived_at") == pl.col("day"))).to_series().all()
    for (zone,), group in placed.group_by("time_zone"):
        local = group["arrived_at"].dt.convert_time_zone(str(zone))
        minutes = local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
        assert minutes.min() >= 9 * 60 + 30, zone  # type: ignore[operator]
        assert minutes.max() < 19 * 60, zone  # type: ignore[operator]
        assert local.dt.weekday().max() <= 6, zone  # type: ignore[operator]
    metropolitan = placed.filter(~pl.col("department_code").is_in(OVERSEAS))
    assert metropolitan.filter(pl.col("day").is_in([date(2012, 5, 1), date(2012, 5, 8)])).is_empty()


def test_visits_follow_weekly_and_yearly_profiles() -> None:
    books = Books(0.01)
    week = [books.visits(date(2012, 3, 12) + timedelta(days=n)).height for n in range(7)]
    assert max(week) == week[5] > 1.3 * week[1] > 0
    assert week[6] < 0.01 * week[5]
    december = sum(books.visits(date(2012, 12, 10) + timedelta(days=n)).height for n in range(7))
    assert 1.25 < december / sum(week) < 1.55


def test_visitors_wait_leave_buy_and_are_identified(visits: pl.DataFrame) -> None:
    wait = (pl.col("served_at") - pl.col("arrived_at")).dt.total_seconds()
    left = pl.col("outcome") == "left_unserved"
    assert visits.filter(left != pl.col("served_at").is_null()).is_empty()
    assert visits.filter(left & pl.col("satisfaction").is_not_null()).is_empty()
    assert visits.filter(pl.col("arrived_at") > pl.coalesce("served_at", "left_at")).is_empty()
    assert visits.filter(pl.col("served_at") > pl.col("left_at")).is_empty()
    assert 0.04 < share(visits, left) < 0.10
    assert 0.20 < share(visits, pl.col("outcome") == "sale") < 0.32
    assert 0.68 < share(visits, pl.col("customer_ref").is_not_null()) < 0.72
    replies = visits.filter(pl.col("satisfaction").is_not_null())
    assert 0.06 < replies.height / visits.height < 0.11
    assert set(replies["satisfaction"]) == set("12345")
    assert 0.7 < share(replies, pl.col("satisfaction").cast(pl.Int64) >= 4) < 0.9
    assert visits["reason_code"].n_unique() == 7
    assert 120 < visits.select(wait.quantile(0.6)).item() < 600


def test_more_leave_unserved_where_the_wait_is_longer(visits: pl.DataFrame) -> None:
    hour = pl.col("arrived_at").dt.convert_time_zone("Europe/Paris").dt.hour()
    groups = (
        visits.filter(pl.col("day").dt.weekday() <= 5)
        .group_by(hour=hour)
        .agg(
            wait=(pl.col("served_at") - pl.col("arrived_at")).dt.total_seconds().mean(),
            left=(pl.col("outcome") == "left_unserved").mean(),
            visits=pl.len(),
        )
        .filter(pl.col("visits") > 2_000)
    )
    assert groups.select(pl.corr("wait", "left")).item() > 0.8
    assert groups["wait"].max() > 1.3 * groups["wait"].min()  # type: ignore[operator]


# ---- jobs


def test_job_states_are_consistent_and_delivered_on_the_day_of_change(states: pl.DataFrame) -> None:
    assert states.select(business_date("updated_at") == pl.col("day")).to_series().all()
    assert not states.select("job_id", "updated_at").is_duplicated().any()
    for earlier, later in (
        ("requested_at", "updated_at"),
        ("requested_at", "arrived_at"),
        ("requested_at", "slot_start"),
        ("arrived_at", "closed_at"),
        ("closed_at", "updated_at"),
    ):
        assert states.filter(pl.col(earlier) > pl.col(later)).is_empty(), (earlier, later)
    assert states.filter(pl.col("slot_start") >= pl.col("slot_end")).is_empty()
    assert states.filter(pl.col("slot_start").is_null() != pl.col("slot_end").is_null()).is_empty()
    assert states.filter(pl.col("result").is_null() != pl.col("closed_at").is_null()).is_empty()
    worked = pl.col("result").is_in(["done", "incomplete", "customer_absent"])
    assert states.filter(worked & pl.col("arrived_at").is_null()).is_empty()
    absent = pl.col("result").is_in(["technician_absent", "cancelled"])
    assert states.filter(absent & pl.col("arrived_at").is_not_null()).is_empty()


def test_a_job_keeps_its_fixed_columns_across_states(states: pl.DataFrame) -> None:
    fixed = ("unit_code", "kind", "market", "line_ref", "department_code", "requested_at")
    reported = states.group_by("job_id").agg(
        pl.col(fixed).n_unique(), pl.col("customer_ref").drop_nulls().n_unique()
    )
    assert reported.select(pl.col(fixed).max()).row(0) == (1,) * len(fixed)
    assert reported["customer_ref"].max() == 1
    offered = states.with_columns(before=pl.col("first_slot_offered_at").shift(1).over("job_id"))
    assert offered.filter(
        pl.col("before").is_not_null() & (pl.col("before") != pl.col("first_slot_offered_at"))
    ).is_empty()
    known = states.with_columns(
        known=pl.col("customer_ref").is_not_null(),
        before=pl.col("customer_ref").is_not_null().shift(1).over("job_id"),
    )
    assert known.filter(pl.col("before") & ~pl.col("known")).is_empty()
    assert known.filter(~pl.col("before") & pl.col("known")).height > 50
    # After a closing either nothing comes, or a new slot.
    after = states.with_columns(
        closed=pl.col("closed_at").shift(1).over("job_id"), slot=pl.col("slot_start").shift(1).over("job_id")
    ).filter(pl.col("closed").is_not_null())
    assert after.height > 500
    assert after.filter(
        pl.col("closed_at").is_not_null() | (pl.col("slot_start") <= pl.col("slot"))
    ).is_empty()


def test_jobs_have_every_result(lives: pl.DataFrame) -> None:
    old = lives.filter(business_date("requested_at") <= FIRST + timedelta(days=6))
    results = Counter(old["result"].to_list())
    assert set(results) == {"done", "incomplete", "customer_absent", "technician_absent", "cancelled", None}
    assert 0.75 < results["done"] / old.height < 0.95
    assert {"customer", "operator", None} == set(lives["rescheduled_by"])
    assert 0.3 < share(lives, pl.col("kind") == "installation") < 0.45
    done = lives.filter(pl.col("result") == "done", pl.col("kind") == "repair")
    assert done["cause_code"].null_count() == 0


def test_units_are_those_of_the_directorate(lives: pl.DataFrame) -> None:
    units = pl.read_csv(SEEDS / "intervention_units.csv", infer_schema=False).rename(
        {"directorate_code": "unit_of"}
    )
    homes = pl.read_csv(SEEDS / "department_directorate.csv", infer_schema=False).select(
        "department_code", "directorate_code"
    )
    placed = lives.join(units, on="unit_code", how="left").join(homes, on="department_code")
    assert placed["unit_of"].null_count() == 0
    assert 0.96 < share(placed, pl.col("unit_of") == pl.col("directorate_code")) < 1
    assert lives["unit_code"].n_unique() == units.height


def test_some_jobs_change_after_forty_days_and_some_lines_fail_again() -> None:
    field = Books(0.004).field
    last = date(2012, 6, 29)
    frames = [field.frame(field.on(last - timedelta(days=ago)).states) for ago in range(100, -1, -1)]
    moments = ("updated_at", "requested_at", "closed_at")
    states = pl.concat(frames).with_columns(pl.col(moments).str.to_datetime(MOMENT, time_zone="UTC"))
    spans = states.group_by("job_id").agg(span=pl.col("updated_at").max() - pl.col("updated_at").min())
    assert 0.002 < share(spans, pl.col("span") > timedelta(days=40)) < 0.05
    ends = (
        states.sort("updated_at")
        .group_by("job_id")
        .last()
        .filter(pl.col("result") == "done")
        .select("line_ref", "job_id", done_at="closed_at", done="kind")
    )
    repairs = states.unique("job_id").filter(pl.col("kind") == "repair").select("line_ref", "requested_at")
    gap = pl.col("requested_at") - pl.col("done_at")
    again = ends.join(repairs, on="line_ref").filter((gap > timedelta(0)) & (gap <= timedelta(days=30)))
    early = ends.filter(pl.col("done_at").dt.date() < last - timedelta(days=30))
    for kind in KINDS:
        jobs = early.filter(pl.col("done") == kind)
        back = jobs.join(again.select("job_id").unique(), on="job_id", how="semi").height / jobs.height
        assert 0.03 < back < 0.14, kind


@pytest.mark.soak
def test_the_slots_in_the_truth_are_those_in_the_states() -> None:
    field = Books(0.004).field
    last = date(2012, 6, 29)
    days = [last - timedelta(days=ago) for ago in range(95, -1, -1)]
    reported: Counter[tuple[str, str]] = Counter()
    frames = []
    for day in days:
        found = field.on(day)
        frames.append(field.frame(found.states))
        if day > last - timedelta(days=7):
            reported.update(
                (KINDS[kind], SLOT_OUTCOMES[outcome])
                for kind, outcome in zip(found.slots.kind, found.slots.outcome, strict=True)
            )
    moments = ("updated_at", "slot_start", "slot_end", "arrived_at")
    states = (
        pl.concat(frames)
        .with_columns(pl.col(moments).str.to_datetime(MOMENT, time_zone="UTC"))
        .sort("job_id", "updated_at")
        .with_columns(
            # A state with another slot than the state before is a new promise.
            slot=(pl.col("slot_start") != pl.col("slot_start").shift(1, fill_value=None))
            .fill_null(True)
            .cum_sum()
            .over("job_id"),
        )
        .filter(pl.col("slot_start").is_not_null())
    )
    slots = (
        states.group_by("job_id", "slot", maintain_order=True)
        .agg(
            pl.col("kind", "slot_start", "slot_end", "rescheduled_by").first(),
            pl.col("arrived_at").drop_nulls().first(),
            pl.col("result").drop_nulls().first(),
        )
        .with_columns(
            next_moved_by=pl.col("rescheduled_by").shift(-1).over("job_id"),
        )
    )
    in_time = pl.col("arrived_at").is_between("slot_start", "slot_end")
    outcomes = slots.with_columns(
        outcome=pl.when(pl.col("result").is_in(["customer_absent", "technician_absent", "cancelled"]))
        .then("result")
        .when(pl.col("arrived_at").is_not_null())
        .then(pl.when(in_time).then(pl.lit("kept")).otherwise(pl.lit("arrived_outside")))
        .otherwise("moved_by_" + pl.col("next_moved_by"))
    ).filter(business_date("slot_end") > last - timedelta(days=7), business_date("slot_end") <= last)
    recounted: Counter[tuple[str, str]] = Counter(outcomes.select("kind", "outcome").iter_rows())
    # What happened in the last slots may be reported later.
    del recounted[("repair", None)], recounted[("installation", None)]  # type: ignore[arg-type]
    missing = reported - recounted
    assert sum(reported.values()) > 150
    assert not recounted - reported
    assert sum(missing.values()) <= 0.02 * sum(reported.values())


@pytest.mark.parametrize("day", [date(2012, 3, 25), date(2012, 10, 28)])
def test_offsets_are_those_of_paris_around_the_clock_changes(tmp_path: Path, day: date) -> None:
    simulate(day - timedelta(days=1), day + timedelta(days=1), scale=0.01, seed=3, out=str(tmp_path))
    for feed in ("boutique_visits", "interventions"):
        seen = set()
        for file in tmp_path.glob(f"{feed}/date=*/*.csv.gz"):
            frame = pl.read_csv(BytesIO(gzip.decompress(file.read_bytes())), infer_schema=False)
            business = file.parent.name.removeprefix("date=")
            dated = "arrived_at" if feed == "boutique_visits" else "updated_at"
            assert frame[dated].str.starts_with(business).all()
            for column in feeds.get(feed).file_columns:
                if column.type != "timestamptz":
                    continue
                texts = frame[column.name].drop_nulls()
                moments = texts.str.to_datetime(MOMENT, time_zone="Europe/Paris")
                assert (moments.dt.to_string("%Y-%m-%dT%H:%M:%S%:z") == texts).all()
                seen |= set(texts.str.tail(6))
        assert seen == {"+01:00", "+02:00"}


# ---- the same customers everywhere


def followed(
    before: pl.DataFrame, at: str, after: pl.DataFrame, then: str, days: tuple[int, int] = (0, 7)
) -> float:
    """Share of the rows of known customers that one of the other frame follows after so many days."""
    known = pl.col("customer_ref").is_not_null()
    first = before.filter(known).select("customer_ref", at=pl.col(at)).with_row_index()
    second = after.filter(known).select("customer_ref", then=pl.col(then))
    gap = pl.col("then") - pl.col("at")
    within = (gap > timedelta(days=days[0])) & (gap <= timedelta(days=days[1]))
    hits = first.join(second, on="customer_ref").filter(within)
    return hits["index"].n_unique() / first.height


def test_calls_lead_to_visits_and_visits_to_calls(calls: pl.DataFrame, visits: pl.DataFrame) -> None:
    early = pl.col("day") <= LAST - timedelta(days=14)
    chance = (7, 14)
    to_shop = followed(calls.filter(early), "offered_at", visits, "arrived_at")
    assert 0.04 < to_shop < 0.12
    assert to_shop > 1.5 * followed(calls.filter(early), "offered_at", visits, "arrived_at", chance)
    to_call = followed(visits.filter(early), "arrived_at", calls, "offered_at")
    assert 0.04 < to_call < 0.12
    assert to_call > 1.15 * followed(visits.filter(early), "arrived_at", calls, "offered_at", chance)


def test_jobs_follow_the_calls_that_ask_for_them(calls: pl.DataFrame, lives: pl.DataFrame) -> None:
    asked = {"repair": {"LINE_FAULT", "SYNC_LOSS"}, "installation": {"ORDER", "MOVE"}}
    gap = pl.col("requested_at") - pl.col("offered_at")
    before = lives.join(calls, on="customer_ref").filter(gap.is_between(timedelta(0), timedelta(minutes=15)))
    for kind, reasons in asked.items():
        jobs = lives.filter(pl.col("kind") == kind, pl.col("customer_ref").is_not_null())
        found = before.filter(pl.col("kind") == kind)
        # Of the callers, the service knows three in five.
        assert 0.5 < found["job_id"].n_unique() / jobs.height < 0.7
        assert (
            share(found.filter(pl.col("queued_at").is_not_null()), pl.col("reason_code").is_in(reasons))
            > 0.98
        )


def test_customers_call_after_a_job(calls: pl.DataFrame, states: pl.DataFrame) -> None:
    closed = states.filter(pl.col("closed_at").is_not_null(), pl.col("day") <= LAST - timedelta(days=14))
    soon = followed(closed, "closed_at", calls, "offered_at")
    later = followed(closed, "closed_at", calls, "offered_at", (7, 14))
    assert 0.1 < soon < 0.3
    assert soon > 1.4 * later


# ---- levels


@pytest.mark.soak
def test_levels_of_2012_and_2013_match_the_stated_ones() -> None:
    books = Books(0.004)
    levels: dict[int, np.ndarray] = {}
    for first in (date(2012, 9, 3), date(2013, 9, 2)):
        counts = np.zeros(3)
        for day in (first + timedelta(days=n) for n in range(28)):
            jobs = books.field.on(day)
            calls = len(books.contacts.on(day)[0]) + len(books.shops.calls(day)) + len(jobs.calls)
            counts += [calls, books.visits(day).height, len(jobs.states)]
        levels[first.year] = counts / 28 / 0.004
    # September is busier than the year: 7 % more calls, 5 % more visits.
    assert levels[2012] == pytest.approx([1.09 * 220_000, 1.07 * 131_000, 1.09 * 25_000], rel=0.06)
    assert levels[2013] == pytest.approx(levels[2012], rel=0.06)


# ---- the truth


def test_the_truth_counts_what_the_files_hold(
    landing: Path, truth: dict[str, Any], visits: pl.DataFrame, states: pl.DataFrame
) -> None:
    legs = read(landing, "calls").with_columns(pl.col("leg_no").cast(pl.Int64)).sort("call_id", "leg_no")
    assert list(truth["dates"]) == [str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days + 1)]
    queued, answered = pl.col("queued_at").is_not_null(), pl.col("outcome") == "answered"
    roots = legs.group_by("call_id", maintain_order=True).agg(
        pl.col("day", "market").first(),
        legs=pl.len(),
        queued=queued.any(),
        answered=answered.any(),
        last_queued=pl.col("outcome").filter(queued).last(),
        last=pl.col("outcome").last(),
        wait=(pl.col("answered_at").drop_nulls().first() - pl.col("queued_at").drop_nulls().first()),
        identified=pl.col("customer_ref").is_not_null().any(),
        satisfaction=pl.col("satisfaction").drop_nulls().first().cast(pl.Int64),
    )
    lost = pl.col("queued") & ~pl.col("answered")
    in_ivr = ~pl.col("queued")
    counts = roots.group_by("day", "market").agg(
        pl.col("legs", "answered", "identified").sum(),
        contacts=pl.len(),
        offered=pl.col("queued").sum(),
        abandoned=(lost & (pl.col("last_queued") == "abandoned")).sum(),
        overflowed_lost=(lost & (pl.col("last_queued") != "abandoned")).sum(),
        ivr_resolved=(in_ivr & (pl.col("last") == "ivr_resolved")).sum(),
        ivr_abandoned=(in_ivr & (pl.col("last") == "abandoned")).sum(),
        blocked=(in_ivr & (pl.col("last") == "blocked")).sum(),
        answered_wait_seconds=pl.col("wait").filter("answered").dt.total_seconds().sum(),
        surveys=pl.col("satisfaction").count(),
        satisfied=(pl.col("satisfaction") >= 4).sum(),
    )
    for row in counts.iter_rows(named=True):
        day, market = str(row.pop("day")), row.pop("market")
        assert truth["dates"][day]["calls"][market] == row

    score = pl.col("satisfaction").cast(pl.Int64)
    shops = visits.group_by("day").agg(
        visits=pl.len(),
        served=pl.col("served_at").count(),
        sales=(pl.col("outcome") == "sale").sum(),
        left_unserved=(pl.col("outcome") == "left_unserved").sum(),
        served_wait_seconds=(pl.col("served_at") - pl.col("arrived_at")).dt.total_seconds().sum(),
        identified=pl.col("customer_ref").count(),
        surveys=score.count(),
        satisfied=(score >= 4).sum(),
    )
    for row in shops.iter_rows(named=True):
        assert truth["dates"][str(row.pop("day"))]["boutique_visits"] == row

    for (day,), group in states.group_by("day"):
        assert truth["dates"][str(day)]["interventions"]["states"] == group.height


def test_the_truth_counts_job_results(truth: dict[str, Any], states: pl.DataFrame) -> None:
    jobs = states.group_by("job_id", maintain_order=True).last()
    requested = jobs.filter(business_date("requested_at").is_between(FIRST, LAST)).group_by(
        day=business_date("requested_at"), kind="kind", department="department_code"
    )
    for day, kind, department, count in requested.len().iter_rows():
        # A job asked for just before midnight is created on the day after.
        if day < LAST:
            assert truth["dates"][str(day)]["interventions"]["requested"][kind][department] == count
    closed = Counter(
        jobs.filter(pl.col("closed_at").is_not_null())
        .select(business_date("closed_at").cast(pl.String), "kind", "result")
        .iter_rows()
    )
    reported: Counter[tuple[str, str, str]] = Counter()
    for day, figures in truth["dates"].items():
        for row in figures["interventions"]["closed"]:
            # As it looks on the last date: what is opened again later is closed still.
            if row["reopened_on"] is None or row["reopened_on"] > str(LAST):
                reported[day, row["kind"], row["result"]] += row["jobs"]
    assert sum(reported.values()) > 5_000
    # What is closed just before midnight is reported the day after.
    for day in (str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days)):
        assert {key: n for key, n in reported.items() if key[0] == day} == {
            key: n for key, n in closed.items() if key[0] == day
        }


def test_cohort_figures_of_the_truth_add_up_and_show_the_rollout(truth: dict[str, Any]) -> None:
    assert truth["scale"] == SCALE
    assert truth["seed"] == SEED
    cohort = truth["cohorts"]["fixe 2012-04-25"]
    assert cohort["market"] == "fixe"
    assert cohort["regions"] == ["52", "53"]
    assert cohort["home_rate_before"] < 0.15
    assert 0.75 < cohort["home_rate_from_go_live"] < 0.9
    for figures in truth["dates"].values():
        rows = figures["cohorts"].values()
        for name in ("offered", "answered", "surveys", "satisfied"):
            assert sum(row[name] for row in rows) == sum(market[name] for market in figures["calls"].values())
        assert sum(row["contacts"] for row in rows) == sum(m["contacts"] for m in figures["calls"].values())
        assert sum(row["lines"] for row in rows) == pytest.approx(23_000_000 * SCALE, rel=0.01)

    def total(name: str, figure: str) -> float:
        return sum(figures["cohorts"][name][figure] for figures in truth["dates"].values())

    for name in truth["cohorts"]:
        is_live = truth["dates"][str(LAST)]["cohorts"][name]["reached"] > 0
        assert (total(name, "contacts") != total(name, "contacts_without")) == is_live
        expected, found = total(name, "at_home_expected"), total(name, "at_home")
        assert abs(found - expected) < 4 * max(expected, 1) ** 0.5 + 1
    normandie = total("fixe 2012-03-01", "contacts") / total("fixe 2012-03-01", "contacts_without")
    assert normandie - 1 == pytest.approx(truth["effects"]["relative_call_rate"], abs=0.02)


@pytest.mark.soak
def test_longer_and_repeated_ranges_extend_the_truth(tmp_path: Path) -> None:
    def reported(out: str, *ranges: tuple[int, int], seed: int = 3) -> str:
        for first, last in ranges:
            simulate(
                date(2012, 5, first), date(2012, 5, last), scale=0.001, seed=seed, out=str(tmp_path / out)
            )
        return (tmp_path / out / "truth.json").read_text()

    assert reported("parts", (23, 23), (22, 23), (24, 24)) == reported("whole", (22, 24))
    # Another seed starts from scratch.
    assert list(json.loads(reported("parts", (22, 22), seed=4))["dates"]) == ["2012-05-22"]
