"""Who may log in to Airflow, and in which role: the platform's administrator, and the people in a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from parc.errors import ConfigurationError
from parc.host import given_files
from parc.settings import Settings

ADMIN = "admin"
"""The platform's own administrator, who always exists."""

ROLES = ("viewer", "engineer", "approver", "admin")
"""A viewer sees everything. An engineer also runs DAGs, but answers no approval. An approver sees everything
and answers approvals. An admin does all of this."""

COLUMNS = ["name", "role"]


def users_file(settings: Settings) -> Path:
    """The CSV of names and roles; it may be missing unless PARC_AIRFLOW_USERS names it."""
    return settings.airflow_users or settings.home / "airflow_users.csv"


def roles(settings: Settings) -> dict[str, str]:
    """Role by name, the administrator first.

    Raises ConfigurationError naming the file and the line of a name or a role that is wrong.
    """
    found = {ADMIN: "admin"}
    path = users_file(settings)
    if not settings.airflow_users and not path.exists():
        return found
    for line, row in given_files.rows(path, COLUMNS):
        name, role = row["name"], row["role"]
        if wrong := _wrong(name, role, found):
            raise ConfigurationError(f"{path}, line {line}: {wrong}")
        found[name] = role
    return found


def password(settings: Settings, name: str) -> str:
    """The password of a user: the platform's secret `airflow_<name>_password`."""
    return settings.secret(f"airflow_{name}_password")


def logins_file(settings: Settings) -> Path:
    """The file of names and passwords that Airflow's simple auth manager reads."""
    return settings.home / "secrets" / "airflow_logins.json"


def keep_logins(settings: Settings) -> None:
    """Write that file, unless it already holds exactly these users and passwords.

    Raises ConfigurationError as `roles`.
    """
    wanted = {name: password(settings, name) for name in roles(settings)}
    path = logins_file(settings)
    if path.exists() and json.loads(path.read_text()) == wanted:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(wanted))
    draft.replace(path)


def _wrong(name: str | None, role: str | None, found: dict[str, str]) -> str | None:
    if not name or not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,62}", name):
        return "a name is of small letters, digits and _ . -, 63 at most"
    if name in found:
        return f"{name} has a role already"
    if role not in ROLES:
        return f"the role of {name} must be one of {', '.join(ROLES)}"
    return None
