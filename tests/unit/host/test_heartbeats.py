"""A process that runs and does nothing is known: by what Airflow's API says of it, or by its own silence."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from parc.findings import FindingKind
from parc.host import heartbeats, programs
from parc.host.processes import stop
from parc.machine import processes
from parc.settings import Settings
from support import printed


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Airflow's four processes run, for longer than a process that starts is given."""
    monkeypatch.setattr(heartbeats, "SILENT", timedelta(seconds=-1))
    settings = Settings(home=tmp_path, landing="", switch="")
    for program in programs.airflow(settings):
        program.start(["sleep", "60"], tmp_path, {"PATH": "/usr/bin:/bin"})
    yield settings
    stop(programs.airflow(settings), seconds=5)


def health(settings: Settings, answer: dict[str, dict[str, str]]) -> HTTPServer:
    """Airflow's API, with this to say about its health."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (settings.home / "run" / "airflow_port").write_text(str(server.server_port))
    return server


def test_a_scheduler_without_a_heartbeat_hangs(platform: Settings) -> None:
    now = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    beats = {
        "scheduler": {"latest_scheduler_heartbeat": "2012-04-25T01:00:00+00:00"},
        "dag_processor": {"latest_dag_processor_heartbeat": now},
        "triggerer": {"status": None},
    }
    server = health(platform, beats)
    process = programs.airflow(platform)[1].process
    assert process
    process.suspend()
    while process.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    [stopped] = processes.findings(platform)
    go_on, end, again = stopped.steps
    assert "(state T)" in stopped.text and go_on.command == f"kill -CONT {process.pid}"
    assert end.command == f"kill -9 {process.pid}" and end.is_alternative and not go_on.is_alternative
    assert again.command == "parc up"
    assert printed.run(platform, go_on.command).returncode == 0
    [finding] = processes.findings(platform)
    server.shutdown()
    server.server_close()
    assert (finding.kind, finding.subject.name) == (FindingKind.PROCESS, "airflow scheduler")
    assert finding.text.startswith("it runs and has given no sign of life since 2012-04-25 03:00 Paris")
    assert finding.headline == "it runs and has given no sign of life since 2012-04-25 03:00 Paris"
    assert finding.command == f"kill -9 {process.pid}, then parc up"
    assert "a running build or load that it started ends too" in finding.steps[0].label
    assert printed.run(platform, finding.steps[0].command).returncode == 0
    process.wait(5)


def test_servers_that_take_connections_and_never_answer_hang(
    platform: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        (platform.home / "run" / "airflow_port").write_text(port)
        assert list(heartbeats.silent(platform)) == ["api-server"]
        (platform.home / "port").write_text(port)
        assert not heartbeats.answers(platform.home / "port")
    assert heartbeats.answers(platform.home / "port"), "it takes no connections: it is down or starting"
