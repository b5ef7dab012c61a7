"""Airflow's four processes: started, watched and stopped by pid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from parc.errors import ConfigurationError
from parc.host import environment
from parc.host.processes import free_port
from parc.settings import Settings

COMMANDS = {
    "api-server": ["api-server"],
    # Logs are read from the common folder; the processes' own log servers would listen on every interface.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
POOLS = "deploy/airflow_pools.json"
START_SECONDS = 120


@dataclass(frozen=True)
class Service:
    """One of Airflow's processes: its pid while it runs, else None, and its log. `is_gone`: it was started,
    and ended without being stopped."""

    name: str
    pid: int | None
    log: Path
    is_gone: bool


def start(settings: Settings, database: str) -> str:
    """Start what does not run yet and wait until the API server answers; returns its address. `database` is
    the SQLAlchemy URL of Airflow's own tables.

    Raises ConfigurationError naming the process that ended early, and its log.
    """
    run = _run_folder(settings)
    places = {"PARC_LANDING": settings.landing, "PARC_SWITCH": settings.switch}
    known = run / "places.json"
    if all(service.pid for service in services(settings)):
        other = json.loads(known.read_text()) if known.exists() else places
        if other != places:
            told = ", ".join(f"{name}={value}" for name, value in other.items())
            raise ConfigurationError(f"Airflow runs with {told}: `parc stop` first, then `parc up`")
        return address(settings)
    stop(settings)
    known.write_text(json.dumps(places))
    port_file = run / "airflow_port"
    preferred = int(port_file.read_text()) if port_file.exists() else 8080
    port = free_port(preferred)
    variables = environment.variables(settings, port, database)
    _airflow(settings, variables, "migrate", ["db", "migrate"]).wait()
    pools = _airflow(settings, variables, "pools", ["pools", "import", str(settings.project / POOLS)])
    while True:
        port_file.write_text(str(port))
        for name, command in COMMANDS.items():
            process = _airflow(settings, environment.variables(settings, port, database), name, command)
            created = psutil.Process(process.pid).create_time()
            (run / f"{name}.json").write_text(json.dumps({"pid": process.pid, "created": created}))
        if _is_ready(settings, port):
            break
        stop(settings)
        port = free_port()
    if pools.wait():
        raise ConfigurationError(f"Airflow's pools were not made; see {_log(settings, 'pools')}")
    return address(settings)


def stop(settings: Settings) -> list[str]:
    """Stop the processes that run, their children too; returns their names."""
    stopped, processes = [], []
    for name in COMMANDS:
        process = _process(settings, name)
        if process is not None:
            stopped.append(name)
            processes += [process, *process.children(recursive=True)]
        (_run_folder(settings) / f"{name}.json").unlink(missing_ok=True)
    for process in processes:
        _signal(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        _signal(process.kill)
    return stopped


def services(settings: Settings) -> list[Service]:
    """Airflow's processes as they are now."""
    found = {name: _process(settings, name) for name in COMMANDS}
    run = _run_folder(settings)
    return [
        Service(
            name,
            process.pid if process else None,
            _log(settings, name),
            is_gone=process is None and (run / f"{name}.json").exists(),
        )
        for name, process in found.items()
    ]


def address(settings: Settings) -> str:
    """The UI's address; the processes need not run."""
    port_file = _run_folder(settings) / "airflow_port"
    if not port_file.exists():
        raise ConfigurationError(f"Airflow has never been started in {settings.home}; `parc up` starts it")
    return f"http://127.0.0.1:{port_file.read_text()}"


def elsewhere() -> str | None:
    """Where Airflow's API answers if others run its services (docker-compose.yml), None if they are ours.

    Raises ConfigurationError when it does not answer there, or one of its services is not at work.
    """
    execution_api = os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
    if not execution_api:
        return None
    place = execution_api.removesuffix("/").removesuffix("/execution")
    if not _is_healthy(place):
        raise ConfigurationError(
            f"Airflow at {place} does not answer, or one of its services is not at work; see their logs"
        )
    return place


def _run_folder(settings: Settings) -> Path:
    folder = settings.home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _log(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"airflow-{name}.log"


def _airflow(
    settings: Settings, variables: dict[str, str], name: str, command: list[str]
) -> subprocess.Popen[bytes]:
    log = _log(settings, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    output: IO[bytes]
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("airflow")), *command],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=settings.home,
            start_new_session=True,
        )


def _process(settings: Settings, name: str) -> psutil.Process | None:
    """The process of that name if the one we started still lives (a pid alone may have been given anew)."""
    try:
        recorded = json.loads((_run_folder(settings) / f"{name}.json").read_text())
        process = psutil.Process(recorded["pid"])
        is_ours = abs(process.create_time() - recorded["created"]) < 1
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def _signal(act) -> None:  # type: ignore[no-untyped-def]
    try:
        act()
    except psutil.NoSuchProcess:
        return


def _is_ready(settings: Settings, port: int) -> bool:
    """Wait until the API server answers and reports a scheduler and a dag processor at work; False where
    somebody else took its port meanwhile."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = [service for service in services(settings) if service.pid is None]
        if ended:
            if ended[0].name == "api-server" and free_port(port) != port:
                return False
            last = ended[0].log.read_text(errors="replace").strip().splitlines()[-1:]
            raise ConfigurationError(
                f"Airflow's {ended[0].name} ended while starting: {' '.join(last)} (log: {ended[0].log})"
            )
        if _is_healthy(f"http://127.0.0.1:{port}") and _is_ours(settings, port):
            return True
        time.sleep(0.3)
    raise ConfigurationError(
        f"Airflow was not ready within {START_SECONDS} s; see the logs in {settings.home / 'logs'}"
    )


def _is_ours(settings: Settings, port: int) -> bool:
    """Whether it is our API server that takes connections on a port."""
    process = _process(settings, "api-server")
    try:
        family = [process, *process.children(recursive=True)] if process else []
        return any(
            each.laddr.port == port and each.status == psutil.CONN_LISTEN
            for member in family
            for each in member.net_connections("tcp")
        )
    except psutil.NoSuchProcess:
        return False


def _is_healthy(place: str) -> bool:
    try:
        health = httpx.get(f"{place}/api/v2/monitor/health", timeout=2).json()
    except (httpx.HTTPError, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))
