"""Airflow DAG by Cosmos, ExecutionMode.LOCAL: a task per model, then one for its tests; each starts dbt."""

from cosmos.airflow.dag import DbtDag
from cosmos.config import ExecutionConfig
from cosmos.constants import ExecutionMode
from warehouse_project import COMMON, RENDER

dag = DbtDag(
    dag_id="cosmos_local",
    execution_config=ExecutionConfig(execution_mode=ExecutionMode.LOCAL),
    render_config=RENDER,
    **COMMON,
)
