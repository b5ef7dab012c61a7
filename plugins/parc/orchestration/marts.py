"""The task that builds the marts."""

from __future__ import annotations

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from parc.orchestration.assets import MARTS


@task(outlets=[MARTS])
def build_marts() -> None:
    """Build what is published and not yet built; skip when the marts hold everything already."""
    from parc.build import build
    from parc.errors import BuildFailed
    from parc.settings import Settings

    context = get_current_context()
    try:
        result = build(
            Settings.from_env(),
            full_refresh=bool(context["params"]["full_refresh"]),
            progress=lambda name, done, total: print(f"{done}/{total} {name}"),
        )
    except BuildFailed as error:
        raise AirflowFailException(str(error)) from None
    if result.build_id is None:
        raise AirflowSkipException("the marts already hold every published delivery")
    context["outlet_events"][MARTS].extra = {
        "build_id": result.build_id,
        "delivery_count": result.delivery_count,
        "date_count": result.date_count,
    }
    print(f"build {result.build_id}: {result.delivery_count} deliveries, {result.date_count} days")
