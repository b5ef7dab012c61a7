"""What the client of Airflow's API says when Airflow ends, fails or refuses, over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from parc.errors import ConfigurationError, ParcError
from parc.host import client, users
from parc.platform import start
from parc.settings import Settings

HIDDEN = '{"detail":{"reason":"Unique constraint violation","statement":"hidden","orig_error":"hidden"}}'


class Answers(BaseHTTPRequestHandler):
    """Takes any login; fails at writing, refuses everything else, as Airflow's server does."""

    def do_POST(self) -> None:
        is_login = self.path == "/auth/token"
        self._answer(201 if is_login else 500, json.dumps({"access_token": "x"}) if is_login else HIDDEN)

    def do_GET(self) -> None:
        self._answer(404, '{"detail":"The Dag with ID: `x` was not found"}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with logins, in which Airflow was started once."""
    settings = Settings(home=tmp_path, landing=str(tmp_path), switch=str(tmp_path))
    users.keep_logins(settings)
    (tmp_path / "run").mkdir(exist_ok=True)
    return settings


@pytest.fixture
def server(settings: Settings) -> Iterator[HTTPServer]:
    """A server at the home's port."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    (settings.home / "run" / "airflow_port").write_text(str(server.server_port))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_platform_that_is_stopped_is_named_with_its_way_out(settings: Settings, server: HTTPServer) -> None:
    airflow = client.Airflow(settings)
    server.shutdown()
    server.server_close()
    airflow.http.close()
    airflow.http = httpx.Client(base_url=airflow.address)
    with pytest.raises(ConfigurationError, match=rf"Airflow at {airflow.address} does not answer") as stop:
        airflow.trigger("build_marts")
    assert [step.command for step in stop.value.steps] == ["parc doctor", "parc up", ""]
    with pytest.raises(ConfigurationError, match="does not answer"):
        client.Airflow(settings)


def test_a_full_disk_is_named_where_airflow_hides_it(
    settings: Settings, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = client.Airflow(settings)
    with pytest.raises(ConfigurationError, match="Airflow failed at POST .*: 500 .*hidden"):
        airflow.trigger("build_marts")
    monkeypatch.setattr(client, "FULL_BELOW_BYTES", 1 << 60)
    with pytest.raises(ConfigurationError, match=rf"500; the disk of {settings.home} is full \(\d+ MiB"):
        airflow.trigger("build_marts")


def test_what_airflow_refuses_is_told_in_its_words(settings: Settings, server: HTTPServer) -> None:
    with pytest.raises(ParcError, match=r"Airflow refused GET .*: 404 .*was not found"):
        client.Airflow(settings).runs("x")


def test_a_landing_zone_that_does_not_exist_is_told_at_the_start(settings: Settings) -> None:
    start.check_landing(settings)
    gone = Settings(home=settings.home, landing="file:///no/such", switch=settings.switch)
    with pytest.raises(ConfigurationError, match="file:///no/such does not exist"):
        start.check_landing(gone)
