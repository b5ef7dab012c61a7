"""A running platform as its users operate it: the command line, Airflow's API, a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from parc.host.client import Airflow
from parc.settings import Settings
from support import preloaded

WAIT_SECONDS = 180
STARTING = ("up", "demo")
"""Commands that start processes: they run as a shell starts them."""
NOT_ITS = ("PARC_", "AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
"""Beginnings of variables that a platform does not get: without bytecode, each process would compile anew."""
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Platform:
    """A running platform: its home, what it printed when it started, and the variables it was given."""

    home: Path
    output: str
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, landing=str(self.home / "landing"), switch=str(self.home / "switch"))

    def parc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return parc(self.home, *arguments, **self.given)

    def sql(self, query: str) -> list[dict[str, Any]]:
        done = self.parc("sql", query, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def word(self, label: str) -> str:
        """What stands after a label in what it printed."""
        line = [line for line in self.output.splitlines() if line.startswith(label)][-1]
        return line.removeprefix(label).strip()


def parc(home: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """The command line on the platform of `home`; `given` are variables of its environment."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(NOT_ITS)}
    variables = known | {"PARC_HOME": str(home), "COLUMNS": "200"} | given
    if arguments[0] not in STARTING:
        return preloaded.command(arguments, variables)
    return subprocess.run(
        [str(Path(sys.executable).with_name("parc")), *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def started(home: Path, *arguments: str, **given: str) -> Iterator[Platform]:
    """The platform as started by this command; stopped and removed at the end."""
    done = parc(home, *arguments, **given)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Platform(home, done.stdout, given)
    finally:
        parc(home, "stop", **given)
        shutil.rmtree((home / "postgres").resolve(), ignore_errors=True)


@contextmanager
def signed_in(platform: Platform) -> Iterator[Any]:
    """A page of the Airflow UI, logged in."""
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        page = browser.new_page(
            viewport={"width": 1440, "height": 1000},
            base_url=platform.word("Airflow").split()[0],
            reduced_motion="reduce",
        )
        page.goto("/")
        user, password = platform.word("login").split(" / ")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        yield page
        browser.close()


def wait(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """The state in which a run ends."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (state := airflow.state(dag_id, run_id)) not in ("success", "failed"):
        assert time.monotonic() < deadline, f"{dag_id} is still {state}"
        time.sleep(0.5)
    if state == "failed":
        print(airflow.failures(dag_id, run_id))
    return state


def approval_request(platform: Platform, airflow: Airflow, run_id: str) -> dict[str, Any]:
    """What a release asks a person, once Airflow takes the answer.

    Its scheduler fails a task that is answered before it has learnt that the asking process ended.
    """
    scheduler = platform.home / "logs" / "airflow-scheduler.log"
    learnt = f"state success .*dag_id='export_routing', task_id='approve', run_id='{re.escape(run_id)}'"
    deadline = time.monotonic() + WAIT_SECONDS
    while not (pending := airflow.pending_approvals("export_routing", run_id)) or (
        re.search(learnt, scheduler.read_text()) is None
    ):
        assert time.monotonic() < deadline, f"nobody is asked: {airflow.state('export_routing', run_id)}"
        time.sleep(0.5)
    return pending[0]


def runs(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    """The DAG's runs, oldest first, without the real calendar's: the tests may run at night."""
    return [run for run in airflow.runs(dag_id) if run["run_type"] != "scheduled"]
