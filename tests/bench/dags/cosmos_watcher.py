"""Airflow DAG by Cosmos, ExecutionMode.WATCHER: one task runs `dbt build`, one per model and one for its
tests watch it."""

from dataclasses import replace

from cosmos.airflow.dag import DbtDag
from cosmos.config import ExecutionConfig
from cosmos.constants import ExecutionMode
from warehouse_project import COMMON, RENDER

dag = DbtDag(
    dag_id="cosmos_watcher",
    execution_config=ExecutionConfig(execution_mode=ExecutionMode.WATCHER),
    # The producer orders the tests itself.
    render_config=replace(RENDER, should_detach_multiple_parents_tests=False),
    operator_args={"poke_interval": 1},
    **COMMON,
)
