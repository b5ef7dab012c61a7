"""Which processes run and do nothing. PostgreSQL is asked itself; of Airflow's, its API knows when each last
gave a sign of life."""

from __future__ import annotations

import socket
import struct
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from parc.host import programs, services
from parc.instants import shown
from parc.settings import Settings

SILENT = timedelta(minutes=2)
"""Airflow's processes give a sign every few seconds; a busy machine may delay it by a minute."""
ANSWER_SECONDS = 10
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL answers it with one byte, and logs nothing."""
NO_ANSWER = f"it runs and has not answered within {ANSWER_SECONDS} s"


def silent(settings: Settings) -> dict[str, str]:
    """By their name, those that have run for longer than SILENT and have given no sign for as long, with what
    is known of it. Nothing is known of Airflow's while PostgreSQL is silent, or of the other three while the
    API server is."""
    server = programs.postgresql(settings)
    if server.process and not answers(server.pid_file.parents[1] / "port"):
        return {server.name: NO_ANSWER}
    running = {each.name: process for each in programs.airflow(settings) if (process := each.process)}
    if "api-server" not in running:
        return {}
    now = datetime.now(UTC)
    old = {
        name
        for name, process in running.items()
        if now - datetime.fromtimestamp(process.create_time(), UTC) > SILENT
    }
    try:
        place = f"{services.address(settings)}/api/v2/monitor/health"
        answer = httpx.get(place, timeout=ANSWER_SECONDS, trust_env=False)
        now = parsedate_to_datetime(answer.headers["date"])
        health = answer.json()
    except httpx.HTTPError:
        return {"api-server": NO_ANSWER} if "api-server" in old else {}
    except (KeyError, ValueError):  # it answers that something else is wrong
        return {}
    found = {}
    for name in old - {"api-server"}:
        part = name.replace("-", "_")
        beat = health.get(part, {}).get(f"latest_{part}_heartbeat")
        if beat and now - (last := datetime.fromisoformat(beat)) > SILENT:
            found[name] = f"it runs and has given no sign of life since {shown(last)}"
    return found


def answers(port_file: Path) -> bool:
    """Whether the PostgreSQL of a port answers. One that takes no connections is not silent: it starts."""
    try:
        with socket.create_connection(("127.0.0.1", int(port_file.read_text())), ANSWER_SECONDS) as probe:
            probe.sendall(SSL_REQUEST)
            probe.recv(1)
    except TimeoutError:
        return False
    except (OSError, ValueError):
        pass
    return True
