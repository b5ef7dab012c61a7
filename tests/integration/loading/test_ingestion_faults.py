"""Loads killed or disconnected at random moments, and many at once: the rerun ends as if nothing had
happened.

`make soak` does this hundreds of times and prints when the loads were hit.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from parc.build import build
from parc.settings import Settings
from parc.simulate import simulate
from support.deliveries import query
from support.disturbances import (
    Command,
    Scenario,
    check_reported,
    cut_off,
    delivery_count,
    ingesting,
    reached,
    sessions,
    state,
)
from support.marts import marts

DAY = date(2012, 4, 25)
SCALE = 0.01
LOADED = ("calls", "boutique_visits", "interventions", "numbering_plan", "line_assignments")
MANY = 24


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """A day of the simulated operator, its rows by feed."""
    folder = tmp_path_factory.mktemp("delivered")
    simulate(DAY, DAY, scale=SCALE, seed=1, out=str(folder))
    return {
        feed: pl.read_csv(next(folder.glob(f"{feed}/date=*/{feed}.csv*")), infer_schema=False)
        for feed in LOADED
    }


@pytest.fixture(scope="module")
def platform(module_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An empty platform with its own home, using the server's key."""
    module_warehouse.secret("pseudonym_secret")
    home = tmp_path_factory.mktemp("home")
    (home / "secrets").symlink_to(module_warehouse.home / "secrets")
    settings = replace(module_warehouse, home=home)
    Command(settings, "--help").wait()  # the first one imports for all
    return settings


@pytest.fixture(scope="module")
def fresh(platform: Settings, copy_of: Callable[[Settings], Settings]) -> Callable[..., Settings]:
    """Create an empty platform on the shared landing zone, or a copy of another platform."""
    return lambda of=platform: copy_of(of)


class Trial:
    """One scenario: its initial state, how long it takes undisturbed, and the resulting state."""

    def __init__(self, fresh: Callable[..., Settings], scenario: Scenario, rows: pl.DataFrame) -> None:
        self.scenario, self.rows, self._fresh = scenario, rows, fresh
        self._before = fresh()
        if scenario.is_restatement:
            scenario.deliver(self._before, rows[:-7], DAY)
            assert ingesting(self._before, scenario.feed, DAY).wait() == 0
        settings = self.begin()
        started = time.monotonic()
        assert ingesting(settings, scenario.feed, DAY).wait() == 0
        self.seconds = time.monotonic() - started
        self.left = state(settings)

    def begin(self) -> Settings:
        """A platform that receives the delivery."""
        settings = self.scenario.settings(self._fresh(self._before))
        self.scenario.deliver(self._before, self.rows, DAY)
        return settings


def disturb(server: Settings, trial: Trial, blow: str, chance: random.Random) -> str:
    """Disturb a load at a random moment, then load again, once or twice at the same time."""
    settings, feed = trial.begin(), trial.scenario.feed
    before = delivery_count(settings)
    load = ingesting(settings, feed, DAY)
    load.wait(chance.uniform(0, trial.seconds))
    if blow == "killed":
        load.kill()
    else:
        cut_off(server, settings)
    place = reached(settings, before)
    if chance.random() < 0.5:  # else while the server has yet to notice
        assert sessions(settings) == 0
    runs = [ingesting(settings, feed, DAY) for _ in range(chance.choice((1, 2)))]
    for run in runs:
        assert run.wait() == 0, run.output
    if blow == "cut off":
        check_reported(load)
    assert state(settings) == trial.left
    return place


@pytest.mark.parametrize(
    ("count", "feed", "blow"),
    [
        (1, "calls", "killed"),
        (1, "boutique_visits", "cut off"),
        (1, "line_assignments", "killed"),
        *(
            pytest.param(MANY, feed, blow, marks=pytest.mark.soak)
            for feed in LOADED
            for blow in ("killed", "cut off")
        ),
    ],
)
def test_faults_at_random_moments(
    server: Settings,
    fresh: Callable[..., Settings],
    delivered: dict[str, pl.DataFrame],
    count: int,
    feed: str,
    blow: str,
) -> None:
    trials: dict[Scenario, Trial] = {}
    hits: Counter[str] = Counter()
    for seed in range(count):
        chance = random.Random(f"{feed} {blow} {count} {seed}")
        scenario = Scenario.drawn(feed, chance)
        if scenario not in trials:
            trials[scenario] = Trial(fresh, scenario, delivered[feed])
        hits[disturb(server, trials[scenario], blow, chance)] += 1
    print(f"\n{feed}, {blow} {count} times: {dict(hits.most_common())}")


@pytest.mark.soak
def test_many_loads_at_once(fresh: Callable[..., Settings], tmp_path: Path) -> None:
    """Several feeds, two days of each, some of them twice: all at the same time."""
    days = [DAY, DAY + timedelta(days=1)]
    simulate(*days, scale=0.002, seed=3, out=str(tmp_path))
    lines = next(tmp_path.glob("line_assignments/*/*.csv"))
    for day in days:  # the second snapshot has lost lines of the first
        folder = tmp_path / "line_assignments" / f"date={day}"
        folder.mkdir(exist_ok=True)
        (folder / "some.csv").write_bytes(b"\n".join(lines.read_bytes().splitlines()[: -1 - 90 * day.day]))
        (folder / "_CONTROL.json").unlink(missing_ok=True)
    lines.unlink()
    loads = [(feed, day) for feed in LOADED if feed != "numbering_plan" for day in days]
    alone = replace(fresh(), landing=str(tmp_path))
    for feed, day in loads:
        assert ingesting(alone, feed, day).wait() == 0
    left = state(alone)
    started = 0
    for seed in range(25):
        chance = random.Random(seed)
        together = [*loads, *chance.sample(loads, 3)]
        chance.shuffle(together)
        settings = replace(fresh(), landing=str(tmp_path))
        commands = [ingesting(settings, feed, day) for feed, day in together]
        for command in commands:
            assert command.wait() == 0, command.output
        assert state(settings) == left
        started += len(commands)
    print(f"\n{started} loads, {len(together)} at a time: none stood in another's way")


DAYS = 14


@pytest.mark.soak
def test_a_fortnight_of_dead_loads_ends_in_the_same_marts(
    fresh: Callable[..., Settings], tmp_path: Path
) -> None:
    first = DAY - timedelta(days=DAYS)
    simulate(
        first,
        DAY - timedelta(days=1),
        scale=0.003,
        seed=11,
        out=str(tmp_path),
        faults=["bad_rows@calls", "duplicates@boutique_visits"],
    )
    loads = sorted(
        (date.fromisoformat(folder.name.removeprefix("date=")), folder.parent.name)
        for folder in tmp_path.glob("*/date=*")
    )
    undisturbed, disturbed = (replace(fresh(), landing=str(tmp_path)) for _ in range(2))
    chance = random.Random(14)
    seconds: dict[str, float] = {}
    hits: Counter[str] = Counter()
    for day, feed in loads:
        started = time.monotonic()
        load = ingesting(undisturbed, feed, day)
        assert load.wait() == 0, load.output
        seconds[feed] = time.monotonic() - started
    for day, feed in loads:
        before = delivery_count(disturbed)
        load = ingesting(disturbed, feed, day)
        load.wait(chance.uniform(0, seconds[feed]))
        load.kill()
        hits[reached(disturbed, before)] += 1
        runs = [ingesting(disturbed, feed, day) for _ in range(chance.choice((1, 2)))]
        for run in runs:
            assert run.wait() == 0, run.output
    assert state(disturbed) == state(undisturbed)
    read, published, quarantined = query(
        disturbed, "select sum(rows_read), sum(rows_published), sum(rows_quarantined) from ops.delivery"
    )[0]
    assert read == published + quarantined and quarantined > 0
    for settings in (undisturbed, disturbed):
        build(settings)
    expected, found = all_marts(undisturbed), all_marts(disturbed)
    print(
        f"\n{len(loads)} deliveries, each load killed once: {dict(hits.most_common())}; "
        f"{read} rows read, {published} published, {quarantined} quarantined; {len(found)} marts of "
        f"{sum(map(len, found.values()))} rows compared"
    )
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def all_marts(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every mart, except the arrival times in the feeds' health."""
    times = "- 'first_landed_at' - 'published_at' - 'lateness_seconds'"
    health = query(settings, f"select to_jsonb(m) {times} from marts.mart_feed_health m order by 1")
    return marts(settings) | {"mart_feed_health": health}
