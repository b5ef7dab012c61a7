"""The task that backs up the warehouse."""

from __future__ import annotations

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException


@task(task_id="take_backup")
def take() -> str:
    """Take a backup; returns its folder."""
    from parc import backup
    from parc.errors import ConfigurationError
    from parc.settings import Settings

    settings = Settings.from_env()
    try:
        backup.root(settings)
    except ConfigurationError as error:
        raise AirflowSkipException(error.text) from None
    return str(backup.take(settings, print).folder)
