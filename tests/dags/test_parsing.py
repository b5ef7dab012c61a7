"""Parsing a DAG file has no side effects, since the DAG processor does it repeatedly, anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parc.settings import PROJECT

FILES = sorted((PROJECT / "dags").glob("*.py"))

# Reads each DAG file in a fork of a process that has loaded what Airflow itself loads, with every way out
# closed.
PROGRAM = """
import json, os, runpy, sys, sysconfig, time
began = time.perf_counter()
import airflow.sdk
airflow_seconds = time.perf_counter() - began
import airflow.configuration, airflow.plugins_manager, croniter
import airflow.providers.standard.operators.hitl, airflow.providers.standard.operators.python
import airflow.providers.standard.sensors.python, airflow.task.priority_strategy
from airflow.sdk import DAG, Asset

project, *files = sys.argv[1:]
allowed = tuple(os.path.realpath(path) + os.sep for path in (
    sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), "/usr/share/zoneinfo", project))
forbidden = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir",
    "sqlite3.connect", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp")
broken = []

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        writes = bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if writes or not path.startswith(allowed):
            broken.append(f"open {path}" + (" to write" if writes else ""))
    elif event in forbidden:
        broken.append(f"{event} {arguments!r}")

def read(path):
    sys.addaudithook(watch)
    before = set(sys.modules)
    began = time.perf_counter()
    runpy.run_path(path)
    reported = {
        "seconds": time.perf_counter() - began,
        "airflow_seconds": airflow_seconds,
        "broken": list(broken),
        "modules": sorted(set(sys.modules) - before),
    }
    print("REPORTED " + json.dumps(reported), flush=True)

for path in files:
    if not (child := os.fork()):
        read(path)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""
# What a bad DAG file does, and what is reported of it (None: it makes a folder, and is refused).
LINES = {
    "reads": ("open('/etc/hostname').read()", "open /etc/hostname"),
    "writes": ("open('left_behind', 'w')", "left_behind to write"),
    "connects": ("import socket; socket.socket().connect_ex(('127.0.0.1', 1))", "socket.connect"),
    "starts": ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
    "makes_a_secret": ("from parc.settings import Settings; Settings.from_env().secret('x')", None),
}
HEAVY = {
    "adbc_driver_manager",
    "adbc_driver_postgresql",
    "apprise",
    "dbt",
    "duckdb",
    "great_expectations",
    "numpy",
    "pandas",
    "parc.loading",
    "parc.quality",
    "parc.routing",
    "parc.warehouse",
    "polars",
    "psycopg",
    "pyarrow",
}


def read(files: list[Path], home: Path) -> dict[str, dict]:
    """What parsing each DAG file did, by its name, in a process without a platform."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PARC_", "AIRFLOW_"))}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "PARC_HOME": "/dev/null/home",
        "PARC_LANDING": "/dev/null/landing",
        "PARC_WAREHOUSE_DSN": "postgresql://nobody@127.0.0.1:1/nothing",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(PROJECT), *map(str, files)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORTED ")]
    found = [json.loads(line.removeprefix("REPORTED ")) for line in lines]
    return {path.name: each for path, each in zip(files, found, strict=True)}


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What the project's DAG files did, and the bad ones of LINES."""
    home = tmp_path_factory.mktemp("airflow")
    bad = [home / f"{name}.py" for name in LINES]
    for path in bad:
        line, reported = LINES[path.stem]
        path.write_text(line if reported else f"try:\n    {line}\nexcept OSError:\n    pass\n")
    return read([*FILES, *bad], home)


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_parsing_a_dag_file_opens_only_python_files(reads: dict[str, dict], name: str) -> None:
    assert reads[name]["broken"] == []


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_parsing_a_dag_file_imports_nothing_heavy(reads: dict[str, dict], name: str) -> None:
    """What a task needs is imported when it runs."""
    assert HEAVY & set(reads[name]["modules"]) == set()
    assert "parc.orchestration.notice" in reads[name]["modules"]


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_parsing_a_dag_file_costs_less_than_airflow_itself(reads: dict[str, dict], name: str) -> None:
    assert reads[name]["seconds"] < reads[name]["airflow_seconds"]


@pytest.mark.parametrize("name", LINES)
def test_a_dag_file_with_side_effects_is_detected(reads: dict[str, dict], name: str) -> None:
    """The watch above detects what it should."""
    assert (LINES[name][1] or "os.mkdir") in " ".join(reads[f"{name}.py"]["broken"])
