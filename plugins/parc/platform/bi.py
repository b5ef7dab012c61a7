"""Superset on the marts (`bi/`): its folder, its process, its logins.

Superset runs from an environment of its own, so nothing here imports it. It is told everything by two files
in `PARC_HOME/superset`: `platform.json` (where the warehouse is, who may log in) and `pgpass`, from which
libpq takes the passwords of the warehouse's logins.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from parc.errors import ConfigurationError
from parc.findings import Step
from parc.host import processes
from parc.host.processes import Program, free_port, owner_only, run_folder, wait_until_ready
from parc.settings import Settings, environment_without
from parc.warehouse import parameters
from parc.warehouse.logins import of_directorates

PORT = 8088
START_SECONDS = 300
STOP_SECONDS = 20
NATIONAL, ADMIN = "bi_reader", "admin"
TOLD = ("platform.json", "pgpass")
NOT_FOR_BI = ("user", "password", "application_name", "options")


@dataclass(frozen=True)
class StartedBi:
    """Where Superset is, and its logins with their passwords."""

    address: str
    logins: dict[str, str]
    folder: Path

    def lines(self) -> list[str]:
        """What a person needs to know next."""
        first = [f"{name} / {self.logins[name]}" for name in (ADMIN, NATIONAL)]
        others = f"{len(self.logins) - 2} directorates, passwords in {self.folder}/superset_bi_*_password"
        return [
            f"Superset   {self.address}",
            f"login      {first[0]} (changes dashboards)",
            f"login      {first[1]} (reads the nation)",
            f"others     {others}",
        ]


def start(settings: Settings) -> StartedBi:
    """Start Superset unless it runs with these very files; wait until it answers.

    Raises ConfigurationError if it is not installed, the warehouse does not run, or it does not start.
    """
    python = _python(settings)
    write_files(settings)
    program, version = program_of(settings), _version(settings)
    version_file = run_folder(settings) / "superset_version"
    if program.process and not (version_file.exists() and version_file.read_text() == version):
        processes.stop([program], seconds=STOP_SECONDS, with_children=True)
    port_file = run_folder(settings) / "superset_port"
    if program.process is None:
        port = free_port(int(port_file.read_text()) if port_file.exists() else PORT)
        port_file.write_text(str(port))
        version_file.write_text(version)
        command = [str(python), str(settings.project / "bi" / "serve.py"), f"127.0.0.1:{port}"]
        program.start(command, folder(settings), _environment(settings))
    port = int(port_file.read_text())
    wait_until_ready([program], lambda: _answers(port), START_SECONDS)
    return StartedBi(f"http://127.0.0.1:{port}", passwords(settings), settings.home / "secrets")


def stop(settings: Settings) -> list[str]:
    """Stop Superset if it runs; returns its name then."""
    return processes.stop([program_of(settings)], seconds=STOP_SECONDS, with_children=True)


def export(settings: Settings, target: Path | None = None) -> str:
    """Write what Superset holds to the files in `bi/assets`, or to another folder; returns the names of those
    that changed.

    Raises ConfigurationError if it is not installed, has never been started here, or cannot write them.
    """
    if not (folder(settings) / "superset.db").exists():
        text = f"Superset has never been started in {settings.home}"
        raise ConfigurationError(text, steps=(Step("start it", "make bi"),))
    program = settings.project / "bi" / "contents.py"
    return run(settings, [str(program), *([str(target)] if target else [])])


def run(settings: Settings, arguments: Sequence[str]) -> str:
    """Run Python in Superset's environment; returns what it printed.

    Raises ConfigurationError with the last line of what went wrong.
    """
    done = subprocess.run(
        [_python(settings), *arguments],
        env=_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no reason is given").splitlines()[-1]
        raise ConfigurationError(f"Superset's program failed: {last}")
    return done.stdout.strip()


def program_of(settings: Settings) -> Program:
    """Superset's process."""
    return Program(
        "superset",
        "Superset",
        pid_file=run_folder(settings) / "superset.json",
        log_path=settings.home / "logs" / "superset.log",
    )


def folder(settings: Settings) -> Path:
    """All that Superset keeps."""
    return settings.home / "superset"


def passwords(settings: Settings) -> dict[str, str]:
    """The password of each login to Superset: the platform's secret `superset_<login>_password`."""
    names = (ADMIN, NATIONAL, *of_directorates(settings))
    return {name: settings.secret(f"superset_{name}_password") for name in names}


def write_files(settings: Settings) -> None:
    """Write the two files that tell Superset of this platform."""
    given = parameters(settings, "bi_reader")
    place = {name: value for name, value in given.items() if name not in NOT_FOR_BI}
    directorates = of_directorates(settings)
    titles = {ADMIN: "Administrator", NATIONAL: "Nation", **_titles(settings)}
    roles = {
        ADMIN: ["Admin", NATIONAL],
        NATIONAL: ["Gamma", NATIONAL],
        **{name: ["Gamma", name] for name in directorates},
    }
    platform = {
        "secret_key": settings.secret("superset_secret_key"),
        "warehouse": place,
        "national": NATIONAL,
        "warehouse_logins": [NATIONAL, *directorates],
        "logins": {
            name: {"password": password, "title": titles[name], "roles": roles[name]}
            for name, password in passwords(settings).items()
        },
    }
    known = {NATIONAL: given["password"]} | {
        name: settings.secret(f"{name}_password") for name in directorates
    }
    lines = [":".join(["*", "*", "*", name, _escaped(password)]) for name, password in known.items()]
    wanted = dict(zip(TOLD, (json.dumps(platform, indent=1), "\n".join(lines) + "\n"), strict=True))
    folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in wanted.items():
        draft = folder(settings) / f".{name}.draft"
        draft.unlink(missing_ok=True)
        with open(draft, "w", opener=owner_only) as file:
            file.write(text)
        draft.replace(folder(settings) / name)


def _version(settings: Settings) -> str:
    """One word for what Superset is started from."""
    files = [*(settings.project / "bi").rglob("*.*"), *(folder(settings) / name for name in TOLD)]
    kept = [path for path in sorted(files) if path.suffix in (".py", ".yaml", ".lock") or path.name in TOLD]
    return sha256(b"".join(str(path).encode() + path.read_bytes() for path in kept)).hexdigest()


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")


def _titles(settings: Settings) -> dict[str, str]:
    with (settings.project / "dbt_project/seeds/directorates.csv").open(newline="") as seed:
        rows = csv.DictReader(seed)
        return {f"bi_{row['directorate_code'].lower()}": row["directorate_name"] for row in rows}


def _python(settings: Settings) -> Path:
    python = settings.project / ".venv-bi" / "bin" / "python"
    if not python.exists():
        raise ConfigurationError(
            "Superset is not installed", steps=(Step("install and start it", "make bi"),)
        )
    return python


def _environment(settings: Settings) -> dict[str, str]:
    """What Superset's processes get: of this platform only where its folder is."""
    return environment_without("PARC_", "AIRFLOW_", "SUPERSET_", "FLASK_") | {
        "PARC_BI_HOME": str(folder(settings)),
        "PGPASSFILE": str(folder(settings) / "pgpass"),
        "PYTHONPATH": str(settings.project / "bi"),
        "TZ": "UTC",
    }


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
