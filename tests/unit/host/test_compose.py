"""docker-compose.yml says what the code says: services, commands, Airflow's configuration."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from parc.host import environment, programs
from parc.settings import PROJECT, Settings
from parc.warehouse import embedded, logins

DEPLOY = PROJECT / "deploy"
# What rightly differs: places inside the containers, and secrets, which are files there.
CONTAINER_VALUES = re.compile(
    r"AIRFLOW__(API__HOST|API__PORT|API__BASE_URL|CORE__EXECUTION_API_SERVER_URL|.*_FOLDER)$"
)
AIRFLOW_SECRETS = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "airflow_dsn",
    "AIRFLOW__CORE__FERNET_KEY": "airflow_fernet_key",
    "AIRFLOW__API__SECRET_KEY": "airflow_secret_key",
    "AIRFLOW__API_AUTH__JWT_SECRET": "airflow_jwt_secret",
}
SERVICES = ["postgres", "prepare", "switch", "owner", "bi-files", "superset", *programs.COMMANDS]
# Which secrets each service gets. A new secret of a service needs a new line here.
REPORTED = {
    "postgres": {"postgres", "parc", "airflow", "switch", "kamailio"},
    "prepare": {
        "warehouse_dsn",
        "switch_dsn",
        "airflow_dsn",
        "loader",
        "transformer",
        "exporter",
        "reader",
        "maintenance",
        "bi_reader",
        "airflow_admin",
    },
    "switch": {"kamailio", "switch_secret"},
    "api-server": {
        "airflow_dsn",
        "airflow_fernet_key",
        "airflow_secret_key",
        "airflow_jwt_secret",
        "airflow_admin",
        "reader",
        "exporter",
        "switch_dsn",
        "switch_secret",
        "pseudonym_secret",
    },
    "scheduler": {
        "airflow_dsn",
        "airflow_fernet_key",
        "airflow_jwt_secret",
        "loader",
        "transformer",
        "exporter",
        "reader",
        "maintenance",
        "pseudonym_secret",
        "switch_dsn",
        "switch_secret",
        "notice_urls",
        "weekly_mail",
        "sftp",
        "aws_credentials",
    },
    "owner": {
        "warehouse_dsn",
        "airflow_dsn",
        "exporter",
        "reader",
        "pseudonym_secret",
        "switch_dsn",
        "switch_secret",
        "sftp",
        "aws_credentials",
    },
    "dag-processor": {"airflow_dsn", "airflow_fernet_key", "loader", "notice_urls"},
    "triggerer": {"airflow_dsn", "airflow_fernet_key"},
    "bi-files": {"bi_reader"},
    "superset": set(),
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.load((PROJECT / "docker-compose.yml").read_text(), yaml.CSafeLoader)


def test_airflow_services_run_the_same_commands(compose: dict[str, Any]) -> None:
    commands = {
        name: service["command"][1:]
        for name, service in compose["services"].items()
        if service.get("command", [""])[0] == "airflow"
    }
    assert commands == programs.COMMANDS


def test_airflow_configuration_is_the_same(compose: dict[str, Any], server: Settings) -> None:
    ours = {k: v for k, v in environment.variables(server, 8080, "").items() if k.startswith("AIRFLOW__")}
    listed = environment.everywhere(server)
    secret = {f"{key}_CMD" for key in AIRFLOW_SECRETS}
    for name in programs.COMMANDS:
        service = compose["services"][name]
        assert service["env_file"] == [environment.LIST]
        own = {key for key in service["environment"] if key.startswith("AIRFLOW__")} - secret
        assert all(CONTAINER_VALUES.match(key) for key in own)
        assert own | set(listed) == set(ours) - set(AIRFLOW_SECRETS)
        assert not own & set(listed)
    assert listed.items() <= ours.items()


def test_identity_provider_settings_are_passed_on(server: Settings, monkeypatch) -> None:
    own = environment.variables(server, 8080, "")["AIRFLOW__CORE__AUTH_MANAGER"]
    module, _, name = own.rpartition(".")
    assert hasattr(importlib.import_module(module), name)
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "theirs")
    given = dataclasses.replace(server, auth_manager=Settings.from_env().auth_manager)
    assert environment.variables(given, 8080, "")["AIRFLOW__CORE__AUTH_MANAGER"] == "theirs"


def test_every_setting_is_passed_on(compose: dict[str, Any]) -> None:
    given = {name.removesuffix("_FILE") for name in compose["services"]["scheduler"]["environment"]}
    # Where the code and PostgreSQL are, what Airflow gives each task, a switch that is not its own, and
    # backups of a server that is.
    ours = {
        "backups",
        "backup_days",
        "project",
        "pg_bin",
        "airflow_run",
        "airflow_api",
        "airflow_ui",
        "auth_manager",
        "own_switch",
    }
    fields = {field.name for field in dataclasses.fields(Settings)} - ours
    assert {f"PARC_{name.upper()}" for name in fields} <= given


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_gets_only_the_secrets_it_needs(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert {each.removesuffix("_password") for each in service["secrets"]} == REPORTED[name]
    assert set(service["secrets"]) <= set(compose["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_a_value_of_the_environment(compose: dict[str, Any], name: str) -> None:
    """Each is a file that is mounted there, or the command by which Airflow reads one."""
    service = compose["services"][name]
    for key, value in service["environment"].items():
        if key.endswith("_CMD"):
            secret = AIRFLOW_SECRETS[key.removesuffix("_CMD")]
            assert value == f"awk -v ORS= 1 /run/secrets/{secret}" and secret in service["secrets"]
        elif key.endswith("_FILE") and str(value).startswith("/run/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"], key
        elif key.endswith("_FILE"):
            assert value == f"${{{key}:-}}", key
        else:
            assert not re.search(r"PASSWORD|SECRET|DSN|FERNET|JWT|CONN|NOTICE_URLS", key) or (
                value == "postgresql://postgres:5432/parc"  # a place, no login
            ), key
            assert not re.search(r"PASSWORD|SECRET_|_KEY|NOTICE_URLS", str(value)), key


def test_no_secret_is_in_a_command(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        reported = json.dumps([service.get("command"), service.get("healthcheck"), service.get("entrypoint")])
        assert "secrets" not in reported and "$" not in reported
    for script in ("create_databases.sh", "kamailio/start.sh"):
        started = re.findall(
            r"^ *(?:exec )?(?:psql|kamailio|as_superuser) .*$", (DEPLOY / script).read_text(), re.M
        )
        assert started and not any(
            re.search(r"\$\(cat|\$\w*(password|secret)\b", line) for line in started
        ), script


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True and not service.get("privileges")
    assert service["mem_limit"] and service["cpus"] and service["pids_limit"]
    assert service.get("healthcheck", {}).get("test") or name in ("prepare", "owner", "bi-files"), "they end"
    assert service.get("user", "postgres") == "postgres" and "network_mode" not in service
    for volume in service["volumes"]:
        source, inside, *how = volume.rsplit(":", 2) if volume.endswith(":ro") else volume.rsplit(":", 1)
        assert "docker.sock" not in source and inside != "/"
        assert how == ["ro"] or not source.startswith((".", "/")) or inside == "/landing", volume


def test_images_run_as_an_unprivileged_user() -> None:
    for dockerfile, user in (
        ("Dockerfile", "parc"),
        ("kamailio/Dockerfile", "50000"),
        ("superset/Dockerfile", "parc"),
    ):
        assert re.findall(r"^USER (\w+)$", (DEPLOY / dockerfile).read_text(), re.M)[-1:] == [user]


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
    assert builds == ["prepare", "switch", "superset"]
    for name in ("prepare", "superset"):
        assert (PROJECT / compose["services"][name]["build"]["dockerfile"]).exists()


def test_the_server_is_configured_like_the_embedded_one(compose: dict[str, Any]) -> None:
    given = dict(
        each.removeprefix("-c").split("=") for each in compose["services"]["postgres"]["command"][1:]
    )
    of_places = {"listen_addresses", "unix_socket_directories"}
    of_the_log = {"wal_level", "max_wal_senders"}  # an operator's server may be archived and replicated
    ours = {
        name: value for name, value in embedded.CONFIGURATION.items() if name not in of_places | of_the_log
    }
    assert given == ours


def made(folder: Path, **given: str) -> dict[str, str]:
    """The secrets that the script leaves in a folder."""
    known = {"PATH": os.environ["PATH"], "PARC_SECRETS": str(folder), **given}
    subprocess.run([DEPLOY / "write_secrets.sh"], env=known, check=True, capture_output=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_required_secrets_are_the_generated_ones(compose: dict[str, Any], tmp_path: Path) -> None:
    values = made(tmp_path / "secrets")
    assert {f"${{PARC_SECRETS:-./secrets}}/{name}" for name in values} == {
        each["file"] for each in compose["secrets"].values()
    }
    assert set(re.findall(r"\$\{(\w+):\?", (PROJECT / "docker-compose.yml").read_text())) == {
        "PARC_SWITCH_LAST_RESORT"
    }
    Fernet(values["airflow_fernet_key"])  # as Airflow takes it
    filled = {name: value for name, value in values.items() if value}
    assert set(values) - set(filled) == {"notice_urls", "weekly_mail", "sftp_password", "aws_credentials"}
    assert len(set(filled.values())) == len(filled) and min(map(len, filled.values())) >= 32
    assert filled["warehouse_dsn"] == f"postgresql://parc:{filled['parc_password']}@postgres:5432/parc"


def test_secrets_are_readable_only_inside_their_container(tmp_path: Path) -> None:
    """A file is mounted by itself: what guards it on the host is its folder."""
    made(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}


def test_existing_secrets_are_kept_and_those_of_a_former_env_taken_over(tmp_path: Path) -> None:
    former = {
        "PARC_PASSWORD": "a~former-one_1",
        "PARC_PSEUDONYM_SECRET": "b" * 48,
        "AWS_ACCESS_KEY_ID": "c",
        "AIRFLOW_JWT_SECRET": "d" * 32,
        "PARC_NOTICE_URLS": "json://a b",
        "AWS_SECRET_ACCESS_KEY": "e f",
    }
    values = made(tmp_path / "secrets", **former)
    assert values["parc_password"] == "a~former-one_1" and "a~former-one_1@" in values["warehouse_dsn"]
    assert values["pseudonym_secret"] == "b" * 48 and values["airflow_jwt_secret"] == "d" * 32
    assert values["notice_urls"] == "json://a b"
    assert values["aws_credentials"] == "[default]\naws_access_key_id = c\naws_secret_access_key = e f"
    (tmp_path / "secrets" / "bi_reader_password").unlink()
    again = made(tmp_path / "secrets", PARC_PASSWORD="another")
    assert again.pop("bi_reader_password") != values.pop("bi_reader_password")
    assert again == values


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.local",
        "secrets/pseudonym_secret",
        "landing/calls/date=2012-04-25/calls.csv",
        ".git/config",
        ".parc/secrets/x",
        "tests/conftest.py",
        "deploy/.env",
        "deploy/secrets/parc_password",
        "notes.txt",
        "plugins/landing/calls.csv",
        ".venv/bin/parc",
        "dbt_project/target/manifest.json",
        "anything/else",
    ],
)
def test_the_image_excludes_the_file(path: str) -> None:
    assert not is_sent(path)


@pytest.mark.parametrize(
    "path",
    [
        "plugins/parc/settings.py",
        "dags/ingest.py",
        "bi/assets/dashboards/rollout.yaml",
        "deploy/healthy.py",
        "deploy/kamailio/tables.sql",
        "deploy/superuser.sql",
        "dbt_project/seeds/directorates.csv",
        "requirements.lock",
        "deploy/airflow.env",
        "docs/runbooks/refused.md",
        "expectations/export",
    ],
)
def test_the_image_includes_the_file(path: str) -> None:
    assert (PROJECT / path).exists() and is_sent(path)


def is_sent(path: str) -> bool:
    """Whether docker sends a path of the checkout when it builds: the last line of .dockerignore that matches
    it or a folder above it decides."""
    sent = True
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not pattern or line.startswith("#"):
            continue
        above = [str(each) for each in (Path(path), *Path(path).parents)][:-1]
        anywhere = pattern.startswith("**/")
        names = [Path(each).name for each in above] if anywhere else above
        if any(
            fnmatch(each, pattern.removeprefix("**/")) and (anywhere or "/" not in each or "/" in pattern)
            for each in names
        ):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize("password", ["", "a b", "p@ss", "x/y", "ein:s", "zü"])
def test_passwords_unfit_for_a_url_are_reported(password: str, tmp_path: Path) -> None:
    for name in ("parc", "airflow", "switch", "kamailio"):
        (tmp_path / f"{name}_password").write_text(password if name == "airflow" else "good")
    done = subprocess.run(
        ["sh", DEPLOY / "create_databases.sh"],
        env={"PATH": "/usr/bin:/bin", "SECRETS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "deploy/write_secrets.sh" in done.stderr
    if password:
        known = {"PATH": os.environ["PATH"], "PARC_SECRETS": str(tmp_path / "made")}
        done = subprocess.run(
            [DEPLOY / "write_secrets.sh"],
            env=known | {"PARC_PASSWORD": password},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1 and "parc_password" in done.stderr
        assert password not in done.stderr
