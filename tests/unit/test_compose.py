"""docker-compose.yml says what the code says: services, commands, Airflow's configuration."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from typing import Any

import pytest
import yaml

from parc.orchestration import environment, services
from parc.settings import PROJECT, Settings
from parc.warehouse import embedded

# What rightly differs: places inside the containers, and secrets that come from outside.
CONTAINER_VALUES = re.compile(
    r"AIRFLOW__(API__HOST|API__PORT|API__BASE_URL|CORE__EXECUTION_API_SERVER_URL|.*_FOLDER|.*_FILE"
    r"|DATABASE__SQL_ALCHEMY_CONN|CORE__FERNET_KEY|API__SECRET_KEY|API_AUTH__JWT_SECRET)$"
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


def test_airflow_services_run_the_same_commands(compose: dict[str, Any]) -> None:
    commands = {
        name: service["command"][1:]
        for name, service in compose["services"].items()
        if service.get("command", [""])[0] == "airflow"
    }
    assert commands == services.COMMANDS


def test_airflow_configuration_is_the_same(compose: dict[str, Any], server: Settings) -> None:
    ours = {k: v for k, v in environment.variables(server, 8080).items() if k.startswith("AIRFLOW__")}
    for name in services.COMMANDS:
        theirs = compose["services"][name]["environment"]
        assert {key for key in theirs if key.startswith("AIRFLOW__")} == set(ours)
        for key, value in ours.items():
            if not CONTAINER_VALUES.match(key):
                assert theirs[key] == value, key


def test_settings_are_all_given(compose: dict[str, Any]) -> None:
    given = compose["services"]["scheduler"]["environment"]
    ours = {"project", "airflow_run"}  # where the code lies, and what Airflow tells each task itself
    fields = {field.name for field in dataclasses.fields(Settings)} - ours
    assert {f"PARC_{name.upper()}" for name in fields} <= set(given)


def test_no_secret_is_written_down(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|FERNET|JWT", key):
                assert str(value).startswith("${"), key


def test_only_loopback_ports_are_opened(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_databases_are_those_of_the_embedded_server(compose: dict[str, Any]) -> None:
    script = PROJECT / "deploy" / "create_databases.sh"
    subprocess.run(["sh", "-n", script], check=True)
    assert f"for name in {embedded.LOGIN} {embedded.AIRFLOW}" in script.read_text()
    assert (PROJECT / compose["x-platform"]["build"]["dockerfile"]).exists()
