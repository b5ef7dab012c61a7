"""The environment of Airflow's processes: made from the settings, so that no file has to be edited."""

from __future__ import annotations

import base64
import hashlib

from parc.settings import Settings, environment_without

LIST = "deploy/airflow.env"
"""Airflow's settings that are the same everywhere."""


def variables(settings: Settings, port: int, database: str) -> dict[str, str]:
    """The environment of every Airflow process: `port` is the API server's, `database` the SQLAlchemy URL of
    Airflow's own tables. It holds secrets: never print it."""
    key = hashlib.sha256(settings.secret("airflow_fernet_key").encode()).digest()
    own = {
        "CORE__DAGS_FOLDER": str(settings.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(settings.project / "plugins"),
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(key).decode(),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__SECRET_KEY": settings.secret("airflow_secret_key"),
        "API_AUTH__JWT_SECRET": settings.secret("airflow_jwt_secret"),
        "LOGGING__BASE_LOG_FOLDER": str(settings.home / "airflow" / "logs"),
    }
    if settings.auth_manager:
        own["CORE__AUTH_MANAGER"] = settings.auth_manager
    return {
        **environment_without(),
        **everywhere(settings),
        **{f"AIRFLOW__{name}": value for name, value in own.items()},
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        "PARC_HOME": str(settings.home),
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
        **({"PARC_AIRFLOW_USERS": str(settings.airflow_users)} if settings.airflow_users else {}),
        "NO_COLOR": "1",
    }


def everywhere(settings: Settings) -> dict[str, str]:
    """The variables that docker-compose.yml reads too."""
    lines = (settings.project / LIST).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
