"""Airflow's configuration for a platform: all of it derived from the settings, none in a file to edit."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from urllib.parse import quote

from parc.settings import Settings
from parc.warehouse import embedded

LOGIN = "admin"


def variables(settings: Settings, port: int) -> dict[str, str]:
    """Environment of every Airflow process; `port` is the API server's. Holds secrets: never print it."""
    host, database_port = embedded.address(settings)
    password = quote(settings.secret("airflow_password"), safe="")
    logins = settings.home / "secrets" / "airflow_logins.json"
    if not logins.exists():
        logins.touch(mode=0o600)
        logins.write_text(json.dumps({LOGIN: settings.secret("airflow_admin_password")}))
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
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(logins),
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
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # What a killed scheduler was doing is taken up within a minute or two of its restart, not after five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        # A task outlives an API server that is away for three minutes: restarted, or slower to start.
        "WORKERS__EXECUTION_API_RETRIES": "9",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **os.environ,
        **{f"AIRFLOW__{name}": value for name, value in configuration.items()},
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        "PARC_HOME": str(settings.home),
        "PARC_LANDING": settings.landing,
        "PARC_SWITCH": settings.switch,
        **({"PARC_SWITCH_DSN": settings.switch_dsn} if settings.switch_dsn else {}),
        "NO_COLOR": "1",
    }
