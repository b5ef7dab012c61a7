"""Loads and builds a national month, then one more night; reports refusals, warnings, seconds and gigabytes.

It uses the public entry points of a night without Airflow. Run by `make nation`.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psutil

from bench.stretched import stretch
from parc import nightly, routing
from parc.build import build
from parc.errors import ParcError
from parc.feeds import FEEDS, Keeping
from parc.loading import Outcome, ingest
from parc.settings import Settings
from parc.simulate import simulate
from parc.warehouse import connect, embedded, migrate
from support import charts
from support.questions import questions

MOST_PREVIEW_SECONDS = 0.3
MOST_QUESTION_SECONDS = 0.1
PAGES = ("rollout", "regions/53", "regions/53?step=day", "directorates/OUEST", "directorates/OUEST?step=day")
SCHEMAS = ["raw", "routing", "reference", "intermediate", "build", "marts", "ops"]
SIZES = """
    select relnamespace::regnamespace::text, sum(pg_total_relation_size(oid)) / 1e9
    from pg_class
    where relkind in ('r', 'm') and relnamespace::regnamespace::text = any (%s)
    group by 1
    order by 2 desc
"""
LARGEST = """
    select
        relnamespace::regnamespace || '.' || regexp_replace(relname, '_+[0-9]{8}.*$', ' (by date)'),
        sum(pg_total_relation_size(oid)) / 1e9
    from pg_class
    where relkind in ('r', 'm') and relnamespace::regnamespace::text = any (%s)
    group by 1
    order by 2 desc
    limit 12
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=date.fromisoformat, default=date(2012, 4, 1), help="first date")
    parser.add_argument("--days", type=int, default=30, help="days of history before the night")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the nation")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--year", action="store_true", help="at the end, ask the questions of a year of sums")
    given = parser.parse_args()
    last = given.first + timedelta(days=given.days - 1)
    night = last + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="parc-bench-") as folder, peak_memory() as peak:
        Path(folder).chmod(0o755)
        settings = Settings(
            home=Path(folder) / "home", landing=f"{folder}/landing", switch=f"{folder}/switch"
        )
        with timed(f"simulated {given.first} to {night} at scale {given.scale:g}"):
            simulate(given.first, night, scale=given.scale, seed=given.seed, out=settings.landing)
        embedded.start(settings)
        migrate(settings)
        try:
            with timed("loaded") as seconds:
                print_outcomes(load(settings, given.first, last, seconds))
            with timed("first build"):
                build(settings)
            with timed("first table of the switch"):
                bootstrap(settings, last)
            print_size(settings, given.days)
            done = nightly.run(settings, night)
            print_outcomes(done.outcomes)
            seconds_in_all = sum(step.seconds for step in done.steps)
            print(f"the night of {night}: {seconds_in_all:.1f} s, exit {done.exit_code}")
            for step in done.steps:
                reported = step.message.splitlines()[0][:150] if step.message else ""
                print(f"  {step.seconds:6.1f} s  {step.name} {step.state}  {reported}")
            if done.build:
                for name, took in Counter(done.build.seconds_by_node).most_common(12):
                    print(f"    {took:6.1f} s  {name}")
            print_plan(done.plan)
            print_size(settings, given.days + 1)
            print_slow_previews(settings)
            print_questions(settings)
            print_pages(settings)
            if given.year:
                with timed("stretched to a year"):
                    row_count = stretch(settings, night, given.days + 1)
                print(f"  {row_count:,} rows more in the marts")
                print_slow_previews(settings)
                print_questions(settings)
                print_pages(settings)
        finally:
            embedded.stop(settings)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(
        f"most memory: {own:.1f} GB of this process, {children:.1f} GB of a child, "
        f"{peak[0]:.1f} GB more in use on the machine"
    )


def load(settings: Settings, first: date, last: date, seconds: Counter[str]) -> list[Outcome]:
    """Load every delivery from `first` to `last`, references first; adds to `seconds` by feed."""
    outcomes = []
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        for feed in sorted(FEEDS, key=lambda name: FEEDS[name].keeping is Keeping.DAYS):
            if not (Path(settings.landing) / feed / f"date={day}").is_dir():
                continue
            begun = time.monotonic()
            outcomes.append(ingest(settings, feed, day))
            seconds[feed] += time.monotonic() - begun
    return outcomes


def bootstrap(settings: Settings, business_date: date) -> None:
    plan = routing.plan(settings, business_date, bootstrap=True)
    print_plan(plan)
    try:
        routing.apply(
            settings,
            business_date,
            requested_by="bench",
            reason="bench",
            bootstrap=True,
            approve=plan.plan_hash,
            approved_by="bench",
        )
    except ParcError as error:
        print(f"  not applied: {error}")


def print_plan(plan: routing.Plan | None) -> None:
    """The findings of the guards and the gate for a release."""
    if plan is None:
        return
    print(f"  plan: {plan.verdict}")
    for ruling in plan.rulings:
        print(f"    {ruling}")
    for warning in plan.gate.warnings if plan.gate else ():
        print(f"    gate warns: {warning.message}")


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Print the outcome of the deliveries: each refusal, and warnings grouped by kind."""
    print(
        "  " + ", ".join(f"{count} {status}" for status, count in Counter(o.status for o in outcomes).items())
    )
    for outcome in outcomes:
        if outcome.status == "refused":
            print(f"  refused: {outcome.message}")
    kinds: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        for warning in outcome.warnings:
            text = warning.split("; Data Docs:")[0]
            kinds.setdefault((outcome.feed, re.sub(r"[0-9][0-9,.:-]*", "#", text)), []).append(text)
    for (feed, _), texts in kinds.items():
        print(f"  warning of {feed} on {len(texts)} days: {texts[0]}")


def print_size(settings: Settings, days: int) -> None:
    with connect(settings, "admin", autocommit=True) as connection:
        sizes = connection.execute(SIZES, [SCHEMAS]).fetchall()
        largest = connection.execute(LARGEST, [SCHEMAS]).fetchall()
    total = float(sum(size for _, size in sizes))
    print(f"{total:.2f} GB for {days} days, {total / days:.3f} a day: ", end="")
    print(", ".join(f"{schema} {size:.2f}" for schema, size in sizes))
    for name, size in largest:
        print(f"    {size:6.2f} GB  {name}")


def print_slow_previews(settings: Settings) -> None:
    """What a BI tool asks first of each mart, and which of it takes longer than MOST_PREVIEW_SECONDS."""
    with connect(settings, "bi_reader", autocommit=True) as connection:
        columns = connection.execute(
            "select table_name, array_agg(column_name::text) from information_schema.columns "
            "where table_schema = 'marts' group by 1 order by 1"
        ).fetchall()
        slow: dict[str, float] = {}
        asked = 0
        for name, of_mart in columns:
            filters = [
                each for each in of_mart if each.endswith("_code") or each in ("period", "area", "market")
            ]
            questions = [f"select * from marts.{name} limit 100"]
            if not name.startswith("fct_"):
                questions += [f"select count(*) from marts.{name}"]
                questions += [f"select distinct {each} from marts.{name}" for each in filters]
            for question in questions:
                begun = time.monotonic()
                connection.execute(question.encode()).fetchall()
                seconds = time.monotonic() - begun
                asked += 1
                if seconds > MOST_PREVIEW_SECONDS:
                    slow[question] = seconds
    print(f"{len(slow)} of {asked} previews of marts took more than {MOST_PREVIEW_SECONDS} s")
    for question, seconds in sorted(slow.items(), key=lambda each: -each[1]):
        print(f"    {seconds:6.1f} s  {question}")


def print_questions(settings: Settings) -> None:
    """How long each query of docs/reference/questions.md takes BI, warm: the best of three."""
    with connect(settings, "bi_reader", autocommit=True) as connection:
        took: list[tuple[float, int, str]] = []
        for question, query in questions():
            seconds = []
            for _ in range(3):
                begun = time.monotonic()
                row_count = len(connection.execute(query.encode()).fetchall())
                seconds.append(time.monotonic() - begun)
            took.append((min(seconds), row_count, question))
    print(f"{len(took)} questions, {sum(best > MOST_QUESTION_SECONDS for best, _, _ in took)} of them slow:")
    for best, row_count, question in sorted(took, reverse=True):
        print(f"    {best * 1000:6.0f} ms  {row_count:6d} rows  {question}")


def print_pages(settings: Settings) -> None:
    """How long the pages with figures take, without Airflow's check of the login, and how large they are: the
    median and the 95th percentile of forty."""
    os.environ["AIRFLOW_HOME"] = str(settings.home / "airflow")
    client = charts.pages_of(settings)
    print("pages with figures:")
    for path in PAGES:
        took = []
        for _ in range(40):
            begun = time.monotonic()
            page = client.get(f"/parc/{path}")
            took.append(time.monotonic() - begun)
        took.sort()
        median, most, size = took[19] * 1000, took[37] * 1000, len(page.content) / 1000
        print(f"    {median:6.0f} ms {most:6.0f} ms {size:6.0f} kB  {path}")


@contextmanager
def timed(what: str) -> Iterator[Counter[str]]:
    """Prints how long the block took, and what it counted by name."""
    seconds: Counter[str] = Counter()
    begun = time.monotonic()
    yield seconds
    parts = ", ".join(f"{name} {took:.1f}" for name, took in seconds.most_common())
    print(f"{what}: {time.monotonic() - begun:.0f} s" + (f" ({parts})" if parts else ""), flush=True)


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """The most memory in use on the machine during the block, in GB above what was in use before it."""
    before = psutil.virtual_memory().used
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            peak[0] = max(peak[0], (psutil.virtual_memory().used - before) / 1e9)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
