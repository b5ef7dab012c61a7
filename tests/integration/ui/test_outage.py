"""What the UI says while PostgreSQL does not answer: the way out, on every page, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from parc.host import environment
from parc.settings import Settings
from parc.ui.outage import OutagePage
from parc.warehouse import embedded

HTML = {"accept": "text/html"}


@pytest.fixture
def platform(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A platform whose PostgreSQL has been killed."""
    monkeypatch.setenv("PARC_HOME", str(open_folder / "home"))
    settings = Settings.from_env()
    embedded.start(settings)
    pid = int((settings.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(10)
    yield settings
    embedded.stop(settings)


def airflow(settings: Settings) -> TestClient:
    """An API server that asks its own tables, as Airflow does for every login, behind our middleware."""
    port = int((settings.home / "postgres" / "port").read_text())
    engine = create_engine(f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow")
    server = FastAPI()

    @server.get("/{path:path}")
    def any_page(path: str) -> str:
        if path == "alive":
            return "alive"
        with engine.connect() as connection:
            return str(connection.execute(text("select 1")).scalar())

    server.add_middleware(OutagePage)
    return TestClient(server)


def test_every_page_says_that_postgresql_is_down_and_what_brings_it_back(platform: Settings) -> None:
    client = airflow(platform)
    for path in ("/", "/parc/", "/dags/build_marts"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert "The warehouse does not answer" in answer.text
        assert f"the embedded PostgreSQL of {platform.home} is not running" in answer.text
        assert "its process ended" in answer.text
        assert "parc up" in answer.text and "Traceback" not in answer.text
        assert "unrecognized configuration parameter" in answer.text, "the runbook: its page would fail too"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    answer = client.get("/api/v2/dags", headers={"accept": "application/json"})
    assert answer.status_code == 503 and "parc up" in answer.json()["detail"]
    assert client.get("/alive", headers=HTML).json() == "alive"


SERVER = """
from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.app import init_middlewares
from fastapi import FastAPI
from fastapi.testclient import TestClient

server = FastAPI()
init_auth_manager(server)
init_middlewares(server)
token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="admin"))
client = TestClient(server, cookies={"_token": token})
answer = client.get("/dags", headers={"accept": "text/html"})
print(answer.status_code, "is not running" in answer.text)
"""


def test_airflow_asks_the_database_about_a_login_inside_our_middleware(
    platform: Settings, tmp_path: Path
) -> None:
    """Airflow's own middlewares, in its own order, with its own tables out of reach."""
    port = (platform.home / "postgres" / "port").read_text()
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        env={
            **os.environ,
            **environment.everywhere(platform),
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, long enough for its digest",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["503 True"], done.stderr[-2000:]


def test_the_desk_says_so_too(platform: Settings) -> None:
    """Who asks is looked up in Airflow's tables, before anything of ours is read."""
    from parc.ui.app import app

    port = int((platform.home / "postgres" / "port").read_text())
    engine = create_engine(f"postgresql+psycopg2://airflow@127.0.0.1:{port}/airflow")
    app.dependency_overrides = {
        depends.dependency: lambda: engine.connect() for depends in app.router.dependencies
    }
    try:
        answer = TestClient(app).get("/")
    finally:
        app.dependency_overrides = {}
    assert answer.status_code == 503
    assert "is not running" in answer.text and "parc up" in answer.text
