"""Tells Airflow of the rule by which waiting tasks are ordered."""

from airflow.plugins_manager import AirflowPlugin

from parc.orchestration.limits import NightFirst


class Priorities(AirflowPlugin):
    """The night before backfills."""

    name = "priorities"
    priority_weight_strategies = (NightFirst,)
