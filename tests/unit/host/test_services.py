"""Airflow's processes: where the UI is, and what starts again when some of them are dead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import psutil
import pytest

from parc.errors import ConfigurationError
from parc.host import programs, services
from parc.platform.start import StartedPlatform
from parc.settings import PROJECT, Settings

DATABASE = "postgresql+psycopg2://airflow:secret@127.0.0.1:{port}/airflow"
SUBSETS = [dead for count in range(1, 5) for dead in combinations(programs.COMMANDS, count)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, landing=str(tmp_path), switch=str(tmp_path))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Four processes that stand in for Airflow's, because those take a minute to start."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, landing=str(home), switch=str(home))
    command = [sys.executable, "-ES", str(PROJECT / "tests" / "support" / "airflow_stand_in.py")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "_airflow", lambda *arguments: [*command, *arguments])
        patch.setattr(services, "PORT", services.free_port())
        services.start(settings, DATABASE.format(port=1))
        yield settings
        services.stop(settings)


def pids(settings: Settings) -> dict[str, int | None]:
    return {program.name: program.pid for program in programs.airflow(settings)}


def kill(settings: Settings, *names: str) -> None:
    for name in names:
        pid = pids(settings)[name]
        assert pid
        process = psutil.Process(pid)
        process.kill()
        process.wait(10)


def test_links_begin_with_the_address_of_the_ui(settings: Settings) -> None:
    assert services.ui_address(settings) == ""
    (settings.home / "run" / "airflow_port").write_text("8123")
    assert services.ui_address(settings) == "http://127.0.0.1:8123"
    assert services.ui_address(replace(settings, airflow_ui="http://ops:8080/")) == "http://ops:8080"


@pytest.mark.parametrize(("port", "is_told"), [(8080, False), (18080, True)])
def test_another_port_than_usual_is_told(port: int, is_told: bool) -> None:
    platform = StartedPlatform("postgresql://x", "/landing", None, f"http://127.0.0.1:{port}", "admin / x")
    [line] = [line for line in platform.lines() if line.startswith("Airflow")]
    assert f"http://127.0.0.1:{port}" in line
    assert ("not on 8080, which was taken" in line) is is_told


@pytest.mark.parametrize("dead", SUBSETS, ids="-".join)
def test_the_dead_are_started_and_the_living_left_alone(running: Settings, dead: tuple[str, ...]) -> None:
    before, place = pids(running), services.address(running)
    kill(running, *dead)
    assert services.was_started(running)
    assert services.start(running, DATABASE.format(port=1)) == place
    after = pids(running)
    assert all(after.values())
    assert {name for name in after if after[name] != before[name]} == set(dead)


def test_all_are_started_again_where_the_database_has_moved(running: Settings) -> None:
    before = pids(running)
    services.start(running, DATABASE.format(port=2))
    after = pids(running)
    assert not set(before.values()) & set(after.values()) and all(after.values())
    services.start(running, DATABASE.format(port=2))
    assert pids(running) == after


def test_half_an_airflow_is_not_completed_with_other_settings(running: Settings) -> None:
    kill(running, "scheduler")
    other = replace(running, landing="s3://other")
    with pytest.raises(ConfigurationError, match=f"Airflow runs with PARC_LANDING={running.landing}"):
        services.start(other, DATABASE.format(port=2))
    assert not pids(running)["scheduler"]
    services.start(running, DATABASE.format(port=2))
