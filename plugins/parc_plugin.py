"""Tells Airflow where to mount and show the pages, when a night runs, and in which order to run tasks.

Airflow imports this in every process, tasks included: the pages themselves are imported by the first request.
"""

import os
from typing import Any
from urllib.parse import quote

from airflow.plugins_manager import AirflowPlugin

from parc.orchestration.deadline import RunFirstQueued
from parc.orchestration.limits import NightFirst
from parc.orchestration.timetable import NightTimetable, ParisTimetable

os.umask(0o077)  # as the command line's: what Airflow's processes write is their user's alone

# A signpost, in a colour that is visible on Airflow's light, dark and selected backgrounds.
ICON = "data:image/svg+xml," + quote(
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='#e8590c' "
    "stroke-width='2' stroke-linejoin='round' stroke-linecap='round'>"
    "<path d='M12 2v3M12 11v2M12 19v3M5 5h12l3 3-3 3H5zM19 13H7l-3 3 3 3h12z'/></svg>"
)


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The pages, as the application that Airflow mounts."""
    from parc.ui.app import app

    await app(scope, receive, send)


def delayed(app: Any) -> Any:
    """All of Airflow's API server, with failed logins delayed."""
    from parc.ui.logins import LoginDelay

    return LoginDelay(app)


def checked(app: Any) -> Any:
    """The same, with trigger forms checked that name business dates."""
    from parc.ui.trigger_form import TriggerForm

    return TriggerForm(app)


def view(name: str, destination: str, route: str, href: str) -> dict[str, Any]:
    """An entry of the UI's navigation, or a tab of its runs or task instances."""
    return {
        "name": name,
        "destination": destination,
        "url_route": route,
        "href": href,
        "nav_top_level": True,
        "icon": ICON,
    }


RUN = "?dag_id={DAG_ID}&run_id={RUN_ID}"


class ParcPlugin(AirflowPlugin):
    """The desk and the rollout in the navigation; on every run and task, its models and deliveries. Tasks of
    the night run before backfills."""

    name = "parc"
    priority_weight_strategies = [NightFirst]  # noqa: RUF012
    timetables = [NightTimetable, ParisTimetable]  # noqa: RUF012
    deadline_references = [RunFirstQueued]  # noqa: RUF012
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": delayed, "name": "delay of failed logins"},
        {"middleware": checked, "name": "check of trigger forms"},
    ]
    fastapi_apps = [{"app": pages, "url_prefix": "/parc", "name": "PARC"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        view("PARC desk", "nav", "parc", "parc/"),
        view("PARC rollout", "nav", "parc_rollout", "parc/rollout"),
        view("Models", "dag_run", "models", f"parc/run/models{RUN}"),
        view("Deliveries", "dag_run", "deliveries", f"parc/run/deliveries{RUN}"),
        view("Models", "task_instance", "task_models", f"parc/run/models{RUN}"),
        view("Deliveries", "task_instance", "task_deliveries", f"parc/run/deliveries{RUN}"),
    ]
