"""docker-compose.yml says what the code says: services, commands, Airflow's configuration."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from parc.orchestration import environment, services
from parc.settings import PROJECT, Settings
from parc.warehouse import embedded, logins

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
    [inside] = re.findall(r"-d parc -f (\S+)", script.read_text())
    assert f"./{logins.SUPERUSER}:{inside}:ro" in compose["services"]["postgres"]["volumes"]


def test_each_image_is_built_once(compose: dict[str, Any]) -> None:
    builds = [name for name, service in compose["services"].items() if "build" in service]
    assert builds == ["prepare", "switch"]
    assert (PROJECT / compose["services"]["prepare"]["build"]["dockerfile"]).exists()


def test_server_is_set_up_as_the_embedded_one(compose: dict[str, Any]) -> None:
    given = dict(
        each.removeprefix("-c").split("=") for each in compose["services"]["postgres"]["command"][1:]
    )
    of_places = {"listen_addresses", "unix_socket_directories"}
    of_the_log = {"wal_level", "max_wal_senders"}  # an operator's server may be archived and replicated
    ours = {
        name: value for name, value in embedded.CONFIGURATION.items() if name not in of_places | of_the_log
    }
    assert given == ours


def test_secrets_that_are_asked_for_are_those_that_are_made() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (PROJECT / "docker-compose.yml").read_text()))
    made = subprocess.run(
        [PROJECT / "deploy" / "write_env.sh"], check=True, capture_output=True, text=True
    ).stdout
    values = dict(line.split("=", 1) for line in made.splitlines() if not line.startswith("#"))
    assert set(values) == asked
    Fernet(values["AIRFLOW_FERNET_KEY"])  # as Airflow takes it
    assert len(set(values.values())) == len(values)


def test_images_hold_what_they_need_and_nothing_else() -> None:
    """The list of what goes into an image begins with "nothing"."""
    lines = [
        line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((PROJECT / each).exists() for each in allowed)
    assert not allowed & {".env", "landing", "tests", ".git"}


@pytest.mark.parametrize("password", ["", "a b", "p@ss", "x/y", "ein:s", "zü"])
def test_passwords_that_an_address_cannot_hold_are_told(password: str) -> None:
    names = ("PARC_PASSWORD", "AIRFLOW_PASSWORD", "SWITCH_PASSWORD", "KAMAILIO_PASSWORD")
    done = subprocess.run(
        ["sh", PROJECT / "deploy" / "create_databases.sh"],
        env={"PATH": "/usr/bin:/bin", **dict.fromkeys(names, "good"), "AIRFLOW_PASSWORD": password},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "deploy/write_env.sh" in done.stderr
