"""Airflow's four processes."""

from __future__ import annotations

import json
import sys

import httpx
import psutil

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import environment, processes, programs
from parc.host.airflow_program import THEN
from parc.host.processes import Program, StartFailed, free_port, run_folder, wait_until_ready
from parc.settings import Settings

POOLS = "deploy/airflow_pools.json"
PORT = 8080
START_SECONDS = 120
STOP_SECONDS = 20


def start(settings: Settings, database: str) -> str:
    """Start what does not run, leave alone what does, and wait until the API server answers; returns its
    address. `database` is the SQLAlchemy URL of Airflow's own tables. Where these have moved, everything is
    started again.

    Raises ConfigurationError naming the process that ended early, and its log, or when Airflow already runs
    with another landing zone or switch.
    """
    run = run_folder(settings)
    places = {"PARC_LANDING": settings.landing, "PARC_SWITCH": settings.switch}
    tables = {"database": database.rpartition("@")[2]}
    known = run / "places.json"
    runs = [bool(program.process) for program in programs.airflow(settings)]
    before = places | tables
    if any(runs) and known.exists():
        before |= json.loads(known.read_text())
    if any(before[name] != places[name] for name in places):
        given = ", ".join(f"{name}={before[name]}" for name in places)
        raise ConfigurationError(
            f"Airflow runs with {given}",
            steps=(Step("stop it", "parc stop"), Step("start it with the new settings", "parc up")),
        )
    has_moved = before["database"] != tables["database"]
    if all(runs) and not has_moved:
        return address(settings)
    known.write_text(json.dumps(places | tables))
    port_file = run / "airflow_port"
    port = int(port_file.read_text()) if port_file.exists() else PORT
    if has_moved or not any(runs):
        stop(settings)
        port = free_port(port)
        _make_tables(settings, environment.variables(settings, port, database))
    while not _start_services(settings, port, database):
        stop(settings)
        port = free_port()
    return address(settings)


def restart(settings: Settings, name: str, database: str) -> None:
    """Start one that has ended, with the port and the settings of the others; this does not wait for it."""
    port = int((run_folder(settings) / "airflow_port").read_text())
    [program] = [each for each in programs.airflow(settings) if each.name == name]
    _launch(settings, program, environment.variables(settings, port, database))


def was_started(settings: Settings) -> bool:
    """Airflow was started here, and not stopped since; it may have ended by itself."""
    return any(program.was_started for program in programs.airflow(settings))


def stop(settings: Settings) -> list[str]:
    """Stop the processes that run, their children too; returns their names."""
    return processes.stop(programs.airflow(settings), seconds=STOP_SECONDS, with_children=True)


def address(settings: Settings) -> str:
    """The UI's address; the processes need not run."""
    port_file = run_folder(settings) / "airflow_port"
    if not port_file.exists():
        raise ConfigurationError(
            f"Airflow has never been started in {settings.home}",
            steps=(Step("start it", "parc up"),),
        )
    return f"http://127.0.0.1:{port_file.read_text()}"


def ui_address(settings: Settings) -> str:
    """The address that the links of findings begin with, without a slash at its end; empty if Airflow has
    never been started."""
    try:
        return (settings.airflow_ui or address(settings)).rstrip("/")
    except ConfigurationError:
        return ""


def elsewhere(settings: Settings) -> str | None:
    """The address of Airflow's API where others run its services (docker-compose.yml); None if nobody does.

    Raises ConfigurationError when it does not answer there, or one of its services is not running.
    """
    place = settings.airflow_api
    if place and not _is_healthy(place):
        raise ConfigurationError(
            f"Airflow at {place} does not answer, or one of its services is not running; see their logs"
        )
    return place


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "parc.host.airflow_program", *arguments]


def _make_tables(settings: Settings, variables: dict[str, str]) -> None:
    """Bring Airflow's own tables up to date, and its pools."""
    command = _airflow("db", "migrate", THEN, "pools", "import", str(settings.project / POOLS))
    log_path = settings.home / "logs" / "airflow-migrate.log"
    if processes.spawn(command, log_path, settings.home, variables).wait():
        raise ConfigurationError(f"Airflow's tables and pools were not made; see {log_path}")


def _start_services(settings: Settings, port: int, database: str) -> bool:
    """Start those of the four that do not run, and wait until the API server reports a running scheduler and
    DAG processor; False if another program took the port meanwhile."""
    (run_folder(settings) / "airflow_port").write_text(str(port))
    variables = environment.variables(settings, port, database)
    four = programs.airflow(settings)
    for program in four:
        if program.process is None:
            _launch(settings, program, variables)
    api_server = next(program for program in four if program.name == "api-server")
    place = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(four, lambda: _is_healthy(place) and _listens(api_server, port), START_SECONDS)
    except StartFailed as ended:
        if ended.program is api_server and free_port(port) != port:
            return False
        raise
    return True


def _launch(settings: Settings, program: Program, variables: dict[str, str]) -> None:
    program.start(_airflow(*programs.COMMANDS[program.name]), settings.home, variables)


def _listens(program: Program, port: int) -> bool:
    """Whether it is this program, or a child of it, that takes connections on a port."""
    process = program.process
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
