"""The synthetic operator from outside: its deliveries, their form, their shares, their rollout."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import fsspec
import polars as pl
import pytest

from parc import feeds
from parc.feeds import Type
from parc.settings import PROJECT
from parc.simulate import SimulationError, simulate

FIRST, LAST = date(2012, 4, 16), date(2012, 5, 9)
GO_LIVE = date(2012, 4, 25)
SCALE, SEED = 0.03, 2012
SEEDS = PROJECT / "dbt_project" / "seeds"
WITHHELD = ("anonymous", "restricted", "unavailable", "+266696687")
INSTANTS = ("offered_at", "queued_at", "answered_at", "ended_at")
HOLIDAYS = (date(2012, 5, 1), date(2012, 5, 8))


def read(landing: Path, feed: str, day: date) -> pl.DataFrame:
    """A delivery as delivered: every column as text."""
    (file,) = (landing / feed / f"date={day}").glob(f"{feed}.csv*")
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    return pl.read_csv(BytesIO(text), infer_schema=False)


def seed(name: str) -> pl.DataFrame:
    return pl.read_csv(SEEDS / f"{name}.csv", infer_schema=False)


def digests(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(landing.rglob("*.*"))
    }


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate(FIRST, LAST, scale=SCALE, seed=SEED, out=str(folder))
    return folder


@pytest.fixture(scope="module")
def legs(landing: Path) -> pl.DataFrame:
    """All legs, instants parsed."""
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    texts = pl.concat(read(landing, "calls", day).with_columns(day=pl.lit(day)) for day in days)
    numbers = ("leg_no", "hold_s", "talk_s", "wrap_up_s", "satisfaction", "recommend")
    return texts.with_columns(
        pl.col(INSTANTS).str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="UTC"),
        pl.col(numbers).cast(pl.Int64),
    )


@pytest.fixture(scope="module")
def roots(legs: pl.DataFrame, landing: Path) -> pl.DataFrame:
    """One row per call: outcome, wait, home as the platform would find it, and who answered."""
    answered = pl.col("outcome") == "answered"
    queued = pl.col("queued_at").is_not_null()
    number = pl.col("caller_number")
    shown = number.is_not_null() & ~number.is_in(WITHHELD)
    prefixes = read(landing, "numbering_plan", FIRST).select("prefix", by_prefix="department_code")
    assigned = read(landing, "line_assignments", FIRST).select(
        caller_number="number", assigned="department_code"
    )
    departments = seed("departments").select("department_code", "region_code")
    directorates = seed("department_directorate").select("department_code", home="directorate_code")
    sites = seed("sites").select("site_code", "site_kind", answered_in="directorate_code")
    local = pl.col("queued_at").dt.convert_time_zone("Europe/Paris")
    return (
        legs.sort("call_id", "leg_no")
        .group_by("call_id", maintain_order=True)
        .agg(
            pl.col("day", "offered_at", "caller_number", "customer_ref", "line_department", "market").first(),
            pl.col("queued_at", "answered_at", "satisfaction", "recommend").drop_nulls().first(),
            pl.col("site_code").filter(answered).first(),
            is_answered=answered.any(),
            is_queued=queued.any(),
            last_queued=pl.col("outcome").filter(queued).last(),
            last=pl.col("outcome").last(),
            legs=pl.len(),
            answered_legs=answered.sum(),
        )
        .with_columns(
            is_withheld=~shown,
            prefix=pl.when(shown).then(
                pl.lit("0") + number.str.replace(r"^\+(33|590|594|596|262)", "").str.head(5)
            ),
            wait=(pl.col("answered_at") - pl.col("queued_at")).dt.total_seconds(),
            is_open=local.dt.hour().is_between(8, 19)
            & (local.dt.weekday() <= 6)
            & ~local.dt.date().is_in(HOLIDAYS),
        )
        .join(prefixes, on="prefix", how="left")
        .join(assigned, on="caller_number", how="left")
        .with_columns(department_code=pl.coalesce("line_department", "assigned", "by_prefix"))
        .join(departments, on="department_code", how="left")
        .join(directorates, on="department_code", how="left")
        .join(sites, on="site_code", how="left")
        .with_columns(
            answered_by=pl.when(pl.col("site_kind") == "partner")
            .then(pl.lit("partner"))
            .when(pl.col("answered_in") == pl.col("home"))
            .then(pl.lit("home"))
            .otherwise(pl.lit("elsewhere"))
        )
    )


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    """Share of rows that meet the condition."""
    assert frame.height > 100
    return float(frame.select(condition.mean()).item())


def known(roots: pl.DataFrame, region: str, markets: tuple[str, ...] = ("fixe", "internet")) -> pl.DataFrame:
    """Answered calls of customers known to live in a region."""
    return roots.filter(
        (pl.col("region_code") == region) & pl.col("market").is_in(markets) & pl.col("is_answered")
    )


# ---- the same bytes


def test_a_day_does_not_depend_on_the_simulated_range(tmp_path: Path) -> None:
    # A Monday and the first of a month: every feed is delivered.
    day = date(2012, 10, 1)
    simulate(day - timedelta(days=3), day, scale=0.003, seed=5, out=str(tmp_path / "long"))
    simulate(day, day + timedelta(days=1), scale=0.003, seed=5, out=str(tmp_path / "short"))
    long, short = digests(tmp_path / "long"), digests(tmp_path / "short")
    monday = {name for name in long if f"date={day}" in name}
    assert {name.split("/")[0] for name in monday} == set(feeds.FEEDS)
    assert {name: long[name] for name in monday} == {name: short[name] for name in monday}
    truths = [json.loads((tmp_path / name / "truth.json").read_text()) for name in ("long", "short")]
    assert truths[0]["dates"][str(day)] == truths[1]["dates"][str(day)]


def test_output_does_not_depend_on_process_threads_or_clock(tmp_path: Path) -> None:
    simulate(date(2012, 3, 25), date(2012, 3, 25), scale=0.003, seed=5, out=str(tmp_path / "here"))
    program = (
        "from datetime import date; from parc.simulate import simulate; "
        "simulate(date(2012, 3, 25), date(2012, 3, 25), scale=0.003, seed=5, out='there')"
    )
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "TZ": "Indian/Reunion", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_another_seed_gives_other_calls(tmp_path: Path) -> None:
    for number in (1, 2):
        simulate(
            date(2012, 4, 23), date(2012, 4, 23), scale=0.003, seed=number, out=str(tmp_path / str(number))
        )
    one, two = (read(tmp_path / name, "calls", date(2012, 4, 23)) for name in "12")
    assert not one.equals(two)


def test_gzip_headers_hold_no_time_and_no_name(landing: Path) -> None:
    header = (landing / "calls" / f"date={FIRST}" / "calls.csv.gz").read_bytes()[:10]
    assert header[:4] == b"\x1f\x8b\x08\x00"
    assert header[4:8] == b"\x00\x00\x00\x00"


# ---- deliveries


def due_dates() -> dict[str, set[date]]:
    """The dates of each feed in `landing`."""
    days = {FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)}
    mondays = {day for day in days if day.weekday() == 0}
    return {
        "calls": days,
        "boutique_visits": days,
        "interventions": days,
        "boutiques": {FIRST, date(2012, 5, 1)},
        "line_assignments": mondays,
        "numbering_plan": mondays | {date(2012, 5, 1)},
        "active_lines": mondays | {date(2012, 5, 1)},
    }


def test_deliveries_arrive_on_their_dates(landing: Path) -> None:
    found = {
        feed.name: {date.fromisoformat(folder.name.removeprefix("date=")) for folder in feed.iterdir()}
        for feed in landing.iterdir()
        if feed.is_dir()
    }
    assert found == due_dates()


def test_references_are_also_delivered_on_the_first_date(tmp_path: Path) -> None:
    wednesday, monday = date(2012, 4, 25), date(2012, 4, 23)
    for day in (wednesday, monday):
        simulate(day, day, scale=0.003, seed=5, out=str(tmp_path))
    for feed in feeds.REFERENCES:
        assert read(tmp_path, feed, wednesday).equals(read(tmp_path, feed, monday))


def test_control_files_hold_row_counts_and_digests(landing: Path) -> None:
    controls = list(landing.rglob("_CONTROL.json"))
    assert len(controls) == sum(map(len, due_dates().values()))
    for path in controls:
        control = json.loads(path.read_text())
        (file,) = (other for other in path.parent.iterdir() if other != path)
        content = file.read_bytes()
        assert control["sha256"] == {file.name: hashlib.sha256(content).hexdigest()}
        text = gzip.decompress(content) if file.suffix == ".gz" else content
        assert control["rows"] == text.count(b"\n") - 1


def test_the_control_file_is_removed_first_and_written_last(monkeypatch: pytest.MonkeyPatch) -> None:
    files = fsspec.filesystem("memory")
    done: list[str] = []
    write, remove = type(files).pipe_file, type(files).rm

    def recording_write(self: object, path: str, *arguments: object, **options: object) -> None:
        done.append(f"write {path.rsplit('/', 1)[1]}")
        write(self, path, *arguments, **options)

    def recording_remove(self: object, path: str, *arguments: object, **options: object) -> None:
        done.append(f"remove {path.rsplit('/', 1)[1]}")
        remove(self, path, *arguments, **options)

    monkeypatch.setattr(type(files), "pipe_file", recording_write)
    monkeypatch.setattr(type(files), "rm", recording_remove)
    for _ in range(2):
        simulate(date(2012, 4, 24), date(2012, 4, 24), scale=0.0002, seed=1, out="memory://control-last")
    assert done[:2] == ["write calls.csv.gz", "write _CONTROL.json"]
    again = done.index("remove _CONTROL.json")
    assert done[again : again + 3] == ["remove _CONTROL.json", "write calls.csv.gz", "write _CONTROL.json"]


def test_summary_and_progress(tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    summary = simulate(
        date(2012, 4, 24),
        date(2012, 4, 25),
        scale=0.001,
        seed=1,
        out=str(tmp_path),
        progress=lambda what, done, total: reports.append((what, done, total)),
    )
    rows = sum(read(tmp_path, "calls", date(2012, 4, day)).height for day in (24, 25))
    assert summary.rows["calls"] == rows
    assert summary.deliveries == 2 * len(feeds.FACTS) + len(feeds.REFERENCES)
    assert set(summary.rows) == set(feeds.FEEDS)
    assert summary.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.csv*"))
    assert reports == [
        ("deliveries of 2012-04-24", 0, 2),
        ("deliveries of 2012-04-25", 1, 2),
        ("done", 2, 2),
    ]


@pytest.mark.parametrize(
    ("first", "last", "scale", "number", "message"),
    [
        (date(2012, 4, 2), date(2012, 4, 1), 0.01, 1, "swap the dates"),
        (date(1998, 4, 2), date(2012, 4, 1), 0.01, 1, "choose dates in between"),
        (date(2012, 4, 2), date(2012, 4, 2), 0.0, 1, "scale 0.0"),
        (date(2012, 4, 2), date(2012, 4, 2), 50.0, 1, "at most 10"),
        (date(2012, 4, 2), date(2012, 4, 2), 0.01, -1, "seed -1"),
    ],
)
def test_invalid_requests_are_refused(
    tmp_path: Path, first: date, last: date, scale: float, number: int, message: str
) -> None:
    with pytest.raises(SimulationError, match=message):
        simulate(first, last, scale=scale, seed=number, out=str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


# ---- the form that the feeds declare


@pytest.mark.parametrize("name", list(feeds.FEEDS))
def test_deliveries_keep_to_the_declaration_of_their_feed(landing: Path, name: str) -> None:
    feed = feeds.get(name)
    for folder in sorted((landing / name).iterdir()):
        day = date.fromisoformat(folder.name.removeprefix("date="))
        frame = read(landing, name, day)
        assert frame.columns == [column.name for column in feed.file_columns]
        assert frame.height > 0
        assert not frame.select(feed.key).is_duplicated().any()
        for column in feed.file_columns:
            values = frame[column.name]
            assert column.nullable or not values.has_nulls(), column.name
            values = values.drop_nulls()
            if column.one_of:
                assert set(values) <= set(column.one_of), column.name
            if column.form:
                assert values.str.contains(f"^(?:{column.form.pattern})$").all(), column.name
            if column.type in (Type.SMALLINT, Type.INTEGER):
                whole = values.cast(pl.Int64)
                assert column.at_least is None or (whole >= column.at_least).all(), column.name
                assert column.at_most is None or (whole <= column.at_most).all(), column.name


def test_instants_are_ordered_and_answered_calls_have_answer_times(legs: pl.DataFrame) -> None:
    for row, earlier in enumerate(INSTANTS):
        for later in INSTANTS[row + 1 :]:
            assert legs.filter(pl.col(earlier) > pl.col(later)).is_empty()
    answered = legs.filter(pl.col("outcome") == "answered")
    assert answered.height > 50_000
    assert (
        answered.select("queued_at", "answered_at", "agent_ref", "talk_s", "site_code")
        .null_count()
        .sum_horizontal()
        .item()
        == 0
    )
    assert legs.filter((pl.col("outcome") != "answered") & pl.col("answered_at").is_not_null()).is_empty()


def test_legs_of_a_call_follow_each_other(legs: pl.DataFrame) -> None:
    ordered = legs.sort("call_id", "leg_no")
    shared = ("offered_at", "caller_number", "dialled_number", "market", "customer_ref", "line_department")
    apart = ordered.group_by("call_id").agg(
        pl.col(shared).n_unique(), pl.col("leg_no").max().alias("last"), pl.len().alias("legs")
    )
    assert apart.select(pl.col(shared).max()).row(0) == (1,) * len(shared)
    assert apart.filter(pl.col("last") != pl.col("legs")).is_empty()
    following = ordered.with_columns(
        next_queued=pl.col("queued_at").shift(-1).over("call_id"),
        next_leg=pl.col("leg_no").shift(-1).over("call_id"),
    )
    assert following.filter(pl.col("next_queued") < pl.col("ended_at")).is_empty()
    # A leg that goes on says where to; no other does.
    assert following.filter(
        pl.col("next_leg").is_not_null() != pl.col("transferred_to").is_not_null()
    ).is_empty()


@pytest.mark.parametrize(
    ("day", "hours", "offsets"),
    [
        (date(2012, 3, 25), 23, {"+01:00", "+02:00"}),
        (date(2012, 10, 28), 25, {"+02:00", "+01:00"}),
        (date(2012, 7, 4), 24, {"+02:00"}),
        (date(2012, 12, 5), 24, {"+01:00"}),
    ],
)
def test_offsets_are_those_of_paris_at_that_moment(
    tmp_path: Path, day: date, hours: int, offsets: set[str]
) -> None:
    # Large enough for calls in every half-hour of the night.
    simulate(day, day, scale=0.1, seed=3, out=str(tmp_path))
    calls = read(tmp_path, "calls", day)
    for name in INSTANTS:
        texts = calls[name].drop_nulls()
        moments = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="Europe/Paris")
        assert (moments.dt.to_string("%Y-%m-%dT%H:%M:%S%:z") == texts).all()
    assert set(calls["offered_at"].str.tail(6)) == offsets
    offered = calls["offered_at"].str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_zone="Europe/Paris")
    assert set(offered.dt.date()) == {day}
    utc = offered.dt.convert_time_zone("UTC")
    span = utc.max() - utc.min()  # type: ignore[operator]
    assert timedelta(hours=hours - 0.5) < span < timedelta(hours=hours)


# ---- what the calls look like


def test_outcomes_are_plausible(roots: pl.DataFrame, legs: pl.DataFrame) -> None:
    gone = pl.col("is_queued").not_()
    assert 0.03 < share(roots, gone & (pl.col("last") == "ivr_resolved")) < 0.06
    assert 0.01 < share(roots, gone & (pl.col("last") == "abandoned")) < 0.04
    assert 0.002 < share(roots, gone & (pl.col("last") == "blocked")) < 0.02
    offered = roots.filter("is_queued")
    assert 0.9 < share(offered, pl.col("is_answered")) < 0.96
    assert 0.03 < share(offered, ~pl.col("is_answered") & (pl.col("last_queued") == "abandoned")) < 0.08
    assert 0.0005 < share(offered, ~pl.col("is_answered") & (pl.col("last_queued") == "overflowed")) < 0.01
    answered = roots.filter("is_answered")
    assert 0.65 < share(answered, pl.col("wait") <= 20) < 0.9
    assert 0.15 < share(answered, pl.col("answered_legs") > 1) < 0.3
    assert 1.25 < legs.height / roots.height < 1.4
    waits = legs.filter((pl.col("outcome") == "abandoned") & pl.col("queued_at").is_not_null())
    short = (pl.col("ended_at") - pl.col("queued_at")).dt.total_seconds() < 5
    assert 0.03 < share(waits, short) < 0.25


def test_waits_increase_with_load(roots: pl.DataFrame) -> None:
    hour = pl.col("queued_at").dt.convert_time_zone("Europe/Paris").dt.hour()
    answered = roots.filter("is_answered", "is_open")
    busy, quiet = (answered.filter(hour == at)["wait"].mean() for at in (10, 12))
    assert busy > 1.5 * quiet  # type: ignore[operator]


def test_callers_are_withheld_identified_or_known_by_their_number(roots: pl.DataFrame) -> None:
    assert 0.05 < share(roots, pl.col("is_withheld")) < 0.09
    assert set(WITHHELD) < set(roots["caller_number"].drop_nulls())
    identified = roots.filter(pl.col("customer_ref").is_not_null())
    assert 0.55 < identified.height / roots.height < 0.65
    assert roots.filter(pl.col("customer_ref").is_null() & pl.col("line_department").is_not_null()).is_empty()
    assert 0.95 < share(identified, pl.col("line_department").is_not_null()) < 1
    assert 0.03 < share(roots.filter("is_queued"), pl.col("department_code").is_null()) < 0.08
    both = identified.filter(pl.col("by_prefix").is_not_null(), pl.col("line_department").is_not_null())
    in_corse = pl.col("line_department").is_in(["2A", "2B"]) & (pl.col("by_prefix") == "20")
    assert 0.05 < share(both, (pl.col("line_department") != pl.col("by_prefix")) & ~in_corse) < 0.12
    for code in ("+590590", "+594594", "+596596", "+262262", "+262269", "+336", "+339"):
        assert roots["caller_number"].str.starts_with(code).sum() > 5, code


def test_people_call_again_within_the_week(roots: pl.DataFrame) -> None:
    person = pl.coalesce("customer_ref", pl.when(~pl.col("is_withheld")).then("caller_number"))
    offered = roots.filter("is_queued").with_columns(person=person).filter(pl.col("person").is_not_null())
    gap = pl.col("offered_at").shift(-1).over("person", order_by="offered_at") - pl.col("offered_at")
    answered = offered.with_columns(gap=gap).filter("is_answered", pl.col("day") <= LAST - timedelta(days=7))
    within = {
        days: share(answered, (pl.col("gap") <= timedelta(days=days)).fill_null(False)) for days in (1, 7)
    }
    assert 0.04 < within[1] < 0.10
    assert 0.12 < within[7] < 0.20


def test_surveys_and_reasons(roots: pl.DataFrame, legs: pl.DataFrame) -> None:
    answered = roots.filter("is_answered")
    replies = answered.filter(pl.col("satisfaction").is_not_null())
    assert 0.10 < replies.height / answered.height < 0.16
    assert 0.6 < share(replies, pl.col("satisfaction") >= 4) < 0.8
    assert set(replies["satisfaction"]) == {1, 2, 3, 4, 5}
    assert set(replies["recommend"].drop_nulls()) == set(range(11))
    assert roots.filter(~pl.col("is_answered") & pl.col("satisfaction").is_not_null()).is_empty()
    assert legs.filter(pl.col("queued_at").is_not_null() != pl.col("reason_code").is_not_null()).is_empty()
    assert legs["reason_code"].n_unique() > 8


def test_calls_follow_daily_and_hourly_profiles(roots: pl.DataFrame) -> None:
    calls = dict(roots.group_by("day").len().iter_rows())
    monday, saturday, sunday = (calls[date(2012, 4, 23) + timedelta(days=n)] for n in (0, 5, 6))
    assert monday > 1.2 * saturday > 3 * sunday
    tuesday = calls[date(2012, 4, 24)]
    assert all(calls[holiday] < 0.4 * tuesday for holiday in HOLIDAYS)
    hours = dict(
        roots.group_by(pl.col("offered_at").dt.convert_time_zone("Europe/Paris").dt.hour()).len().iter_rows()
    )
    assert max(hours, key=lambda hour: hours[hour]) == 10
    assert hours[10] > 1.4 * hours[12] < hours[14]
    assert hours[3] < 0.02 * hours[10]


# ---- the rollout


def test_bretagne_and_pays_de_la_loire_are_answered_at_home_after_go_live(roots: pl.DataFrame) -> None:
    for region in ("52", "53"):
        calls = known(roots, region).filter("is_open")
        before, after = (calls.filter((pl.col("day") >= GO_LIVE) == live) for live in (False, True))
        assert share(before, pl.col("answered_by") == "home") < 0.15
        assert 0.82 < share(after, pl.col("answered_by") == "home") < 0.91
        partner = pl.col("answered_by") == "partner"
        assert share(after, partner) < 0.4 * share(before, partner)
    extension = known(roots, "53", ("open",)).filter("is_open", pl.col("day") >= GO_LIVE)
    assert share(extension, pl.col("answered_by") == "home") < 0.2


def test_normandie_is_live_from_the_start(roots: pl.DataFrame) -> None:
    calls = pl.concat(known(roots, region) for region in ("23", "25"))
    early = calls.filter("is_open", pl.col("day") < GO_LIVE)
    assert 0.82 < share(early, pl.col("answered_by") == "home") < 0.91


def test_partners_answer_off_hours_and_on_holidays(roots: pl.DataFrame) -> None:
    answered = roots.filter("is_answered", ~pl.col("region_code").is_in(["01", "02", "03", "04", "06"]))
    off_hours = answered.filter(~pl.col("is_open"))
    assert 0.85 < share(off_hours, pl.col("answered_by") == "partner") < 0.98
    holiday = off_hours.filter(pl.col("day").is_in(HOLIDAYS))
    assert 0.85 < share(holiday, pl.col("answered_by") == "partner") < 0.98


def test_bretagne_has_enough_calls_at_demonstration_scale(roots: pl.DataFrame) -> None:
    calls = known(roots, "53", ("fixe",)).filter("is_open", pl.col("day").dt.weekday() <= 5)
    counts = calls.group_by("day").len()
    assert counts.height == 16
    assert counts["len"].min() >= 60  # type: ignore[operator]


# ---- the references


def test_numbering_plan_is_built_on_the_defaults_of_the_regions(landing: Path) -> None:
    plan = read(landing, "numbering_plan", FIRST)
    regions = seed("regions").select("region_code", region_2012="region_name")
    defaults = seed("numbering_default").select(four="prefix", default="region_code")
    resolved = (
        plan.filter(pl.col("region_2012") != "Saint-Pierre-et-Miquelon")
        .with_columns(four=pl.col("prefix").str.head(4))
        .join(defaults, on="four", how="left")
        .join(regions, on="region_2012", how="left")
    )
    assert resolved.filter(pl.col("default") != pl.col("region_code")).is_empty()
    assert resolved["region_code"].n_unique() == 27
    codes = set(seed("departments")["department_code"]) - {"2A", "2B"} | {"20", "975"}
    assert set(plan["department_code"].drop_nulls()) == codes
    assert 10 < plan["department_code"].null_count() < 200
    assert plan.filter(pl.col("department_code").is_null() != pl.col("zne_insee").is_null()).is_empty()
    assert (plan["prefix"].str.len_chars() == 6).all()


def test_active_lines_cover_three_months_and_carry_the_call_rate(landing: Path, roots: pl.DataFrame) -> None:
    lines = read(landing, "active_lines", date(2012, 4, 23)).with_columns(pl.col("lines").cast(pl.Int64))
    assert set(lines["month"]) == {"2012-02-01", "2012-03-01", "2012-04-01"}
    april = lines.filter(pl.col("month") == "2012-04-01")["lines"].sum()
    assert april == pytest.approx(23_000_000 * SCALE, rel=0.01)
    may = read(landing, "active_lines", date(2012, 5, 1))
    assert set(may["month"]) == {"2012-03-01", "2012-04-01", "2012-05-01"}
    week = roots.filter(pl.col("day").is_between(date(2012, 4, 16), date(2012, 4, 22))).height / 7
    assert week / april * 1000 == pytest.approx(9.6, rel=0.1)


def test_line_assignments_are_exceptions_that_change_slowly(landing: Path) -> None:
    first, second = (read(landing, "line_assignments", FIRST + timedelta(days=n)) for n in (0, 7))
    assert first.height == pytest.approx(5_000_000 * SCALE, rel=0.05)
    kept = first.join(second, on="number", how="inner").height / first.height
    assert 0.995 < kept < 1
    plan = read(landing, "numbering_plan", FIRST).select("prefix", by_prefix="department_code")
    geographic = (
        first.filter(pl.col("reason").is_in(["ported", "moved"]))
        .with_columns(prefix=pl.lit("0") + pl.col("number").str.slice(3, 5))
        .join(plan, on="prefix", how="inner")
    )
    assert share(geographic, pl.col("department_code") != pl.col("by_prefix")) == 1
    starts = {"voip": r"^\+339", "mobile": r"^\+(336|590690|594694|596696|262692|262639)"}
    for reason, pattern in starts.items():
        assert first.filter(pl.col("reason") == reason)["number"].str.contains(pattern).all()
