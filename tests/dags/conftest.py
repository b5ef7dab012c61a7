"""Airflow for DAG tests: its own empty home, no server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from parc.settings import PROJECT


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Every DAG of the project, by id, as the DAG processor reads them."""
    home: Path = tmp_path_factory.mktemp("airflow")
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(PROJECT / "dags"), bundle_name="parc")
    assert not bag.import_errors
    yield dict(bag.dags)
