"""Airflow's configuration for a platform: all of it derived from the settings, none in a file to edit."""

from __future__ import annotations

import base64
import hashlib
import os

from parc.settings import Settings

AUTH_MANAGER = "parc.orchestration.auth_manager.NamedUsers"


def variables(settings: Settings, port: int, database: str) -> dict[str, str]:
    """The environment of every Airflow process: `port` is the API server's, `database` the SQLAlchemy URL of
    Airflow's own tables. It holds secrets: never print it."""
    key = hashlib.sha256(settings.secret("airflow_fernet_key").encode()).digest()
    configuration = {
        "CORE__DAGS_FOLDER": str(settings.project / "dags"),
        "CORE__PLUGINS_FOLDER": str(settings.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(key).decode(),
        # Another one is the operator's choice: his identity provider knows the users then.
        "CORE__AUTH_MANAGER": os.environ.get("AIRFLOW__CORE__AUTH_MANAGER") or AUTH_MANAGER,
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": database,
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
        **({"PARC_AIRFLOW_USERS": str(settings.airflow_users)} if settings.airflow_users else {}),
        "NO_COLOR": "1",
    }
