"""Airflow's configuration for a platform: all of it derived from the settings, none in a file to edit."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from urllib.parse import quote

from parc.settings import Settings
from parc.warehouse import embedded

LOGIN = "admin"


def logins_file(settings: Settings) -> Path:
    """The file of names and passwords that Airflow's simple auth manager reads; left out, it invents some."""
    return settings.home / "secrets" / "airflow_logins.json"


def keep_logins(settings: Settings) -> None:
    """Write that file where the administrator's password in it is not the one of the settings."""
    path = logins_file(settings)
    known = json.loads(path.read_text()) if path.exists() else {}
    password = settings.secret("airflow_admin_password")
    if known.get(LOGIN) == password:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({**known, LOGIN: password}))
    draft.replace(path)


def variables(settings: Settings, port: int) -> dict[str, str]:
    """Environment of every Airflow process; `port` is the API server's. Holds secrets: never print it."""
    host, database_port = embedded.address(settings)
    password = quote(settings.secret("airflow_password"), safe="")
    key = hashlib.sha256(settings.secret("airflow_fernet_key").encode()).digest()
    configuration = {
        "CORE__DAGS_FOLDER": str(settings.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(settings.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(key).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{LOGIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(logins_file(settings)),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": (
            f"postgresql+psycopg2://{embedded.AIRFLOW}:{password}@{host}:{database_port}/{embedded.AIRFLOW}"
        ),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        "API__SECRET_KEY": settings.secret("airflow_secret_key"),
        "API_AUTH__JWT_SECRET": settings.secret("airflow_jwt_secret"),
        "LOGGING__BASE_LOG_FOLDER": str(settings.home / "airflow" / "logs"),
        "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # What a killed scheduler was doing is taken up within a minute or two of its restart, not after five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        # A task outlives an API server that is away for three minutes: restarted, or slower to start.
        "WORKERS__EXECUTION_API_RETRIES": "9",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        # It sends failure notices too: one that a busy machine holds up for a minute is not to be lost.
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in configuration.items()},
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        "PARC_HOME": str(settings.home),
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
        "NO_COLOR": "1",
    }
