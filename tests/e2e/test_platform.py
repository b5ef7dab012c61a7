"""The whole platform as `make run` starts it: Airflow does the work, a browser looks at it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from parc.settings import PROJECT

pytestmark = pytest.mark.e2e

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Platform:
    """A running platform: its home and what the demonstration printed."""

    home: Path
    said: str

    def parc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.home, *arguments)

    def sql(self, query: str) -> list[dict]:
        done = self.parc("sql", query, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def word(self, label: str) -> str:
        """What stands after a label in the summary."""
        [line] = [line for line in self.said.splitlines() if line.startswith(label)]
        return line.removeprefix(label).strip()


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PARC_", "AIRFLOW_"))
    }
    return subprocess.run(
        [str(Path(sys.executable).with_name("parc")), *arguments],
        env=environment | {"PARC_HOME": str(home), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("demo") / "home"
    done = run(home, "demo")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Platform(home, done.stdout)
    finally:
        run(home, "stop")


@pytest.fixture(scope="module")
def page(platform: Platform) -> Iterator:
    """The Airflow UI, logged in."""
    if BROWSER is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 1000}, base_url=platform.word("Airflow"))
        page.goto("/")
        user, password = platform.word("login").split(" / ")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        yield page
        browser.close()


def test_every_delivery_was_published_and_built(platform: Platform) -> None:
    assert platform.sql(
        "select count(*) as days, min(business_date)::text as first, max(business_date)::text as last, "
        "count(built_in) as built from ops.delivery where feed = 'calls' and status = 'published'"
    ) == [{"days": 14, "first": "2012-04-16", "last": "2012-04-29", "built": 14}]
    assert platform.sql(
        "select sum(rows_read - rows_published - rows_quarantined) as lost from ops.delivery"
    ) == [{"lost": "0"}]


def test_many_deliveries_make_few_builds(platform: Platform) -> None:
    [row] = platform.sql("select count(*) as builds from ops.build where status = 'published'")
    assert 1 <= row["builds"] <= 4


def test_bretagne_is_observed_live_since_25_april(platform: Platform) -> None:
    assert platform.sql(
        "select market, observed_go_live_date::text as since, status from marts.mart_parc_rollout_daily "
        "where region_code = '53' and business_date = '2012-04-29' order by market"
    ) == [
        {"market": "fixe", "since": "2012-04-25", "status": "live"},
        {"market": "internet", "since": "2012-04-25", "status": "live"},
        {"market": "open", "since": None, "status": "planned"},
    ]


def test_the_releases_were_approved_by_name(platform: Platform) -> None:
    releases = platform.sql(
        "select kind, business_date::text as day, approved_by from ops.routing_release order by release_id"
    )
    assert [(row["kind"], row["day"]) for row in releases] == [
        ("bootstrap", "2012-04-23"),
        ("release", "2012-04-29"),
    ]
    assert all(row["approved_by"] for row in releases)
    assert platform.parc("routing", "verify").returncode == 0


def test_doctor_finds_nothing(platform: Platform) -> None:
    done = platform.parc("doctor")
    assert done.returncode == 0, done.stdout


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    import psutil

    pids = {row["pid"] for row in json.loads(platform.parc("status", "--json").stdout)["processes"]}
    processes = [psutil.Process(pid) for pid in pids]
    family = {child.pid for process in processes for child in process.children(recursive=True)} | pids
    postmaster = int((platform.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    listening = [
        connection.laddr
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in family | {postmaster}
    ]
    assert len(listening) >= 2
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_ui_shows_the_dags_green(platform: Platform, page) -> None:
    page.goto("/dags")
    for dag_id in ("ingest_calls", "build_marts", "export_routing"):
        page.get_by_role("link", name=dag_id).first.wait_for()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(platform.home / "dags.png"))
    with httpx.Client(base_url=platform.word("Airflow"), trust_env=False) as client:
        user, password = platform.word("login").split(" / ")
        token = client.post("/auth/token", json={"username": user, "password": password}).json()[
            "access_token"
        ]
        runs = client.get(
            "/api/v2/dags/~/dagRuns", params={"limit": 100}, headers={"Authorization": f"Bearer {token}"}
        ).json()["dag_runs"]
    assert {run["dag_id"] for run in runs} >= {"ingest_calls", "build_marts", "export_routing"}
    assert {run["state"] for run in runs} == {"success"}


def test_a_day_is_run_again_from_the_ui(platform: Platform, page) -> None:
    """A refused delivery fails its run and says why; sent again, triggering the day mends it."""
    folder = platform.home / "landing" / "calls" / "date=2012-04-30"
    folder.mkdir(parents=True)
    (folder / "calls.csv").write_text("call_id,leg_no\nA,1\n")
    page.goto("/dags/ingest_calls")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("First business date").wait_for()
    page.screenshot(path=str(platform.home / "trigger.png"))


def test_resumes_after_stop(platform: Platform) -> None:
    before = platform.sql("select count(*) as n from ops.delivery")
    assert platform.parc("stop").returncode == 0
    done = platform.parc("demo")
    assert done.returncode == 0, done.stderr
    assert platform.sql("select count(*) as n from ops.delivery") == before
    assert "Simulate" not in done.stdout


def test_checkout_is_untouched() -> None:
    done = subprocess.run(
        ["git", "status", "--porcelain", "--", "dbt_project", "plugins", "dags"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "target" not in done.stdout and "logs" not in done.stdout
