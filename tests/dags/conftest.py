"""Airflow for DAG tests: its own empty home, no server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parc.settings import PROJECT


@pytest.fixture(scope="package")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Every DAG of the project, by id, as the DAG processor reads them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(PROJECT / "dags"))
        patch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(PROJECT / "plugins"))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        from airflow import plugins_manager, settings
        from airflow.dag_processing.dagbag import DagBag

        # Where another test has imported Airflow before, it knows of no plugin and would look for none.
        patch.setattr(settings, "PLUGINS_FOLDER", str(PROJECT / "plugins"))
        for each in vars(plugins_manager).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()
        bag = DagBag(dag_folder=str(PROJECT / "dags"), bundle_name="parc")
        assert not bag.import_errors
        yield dict(bag.dags)
