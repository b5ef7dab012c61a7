"""Where Airflow's UI is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from parc.host import services
from parc.settings import Settings


def test_links_begin_with_the_address_of_the_ui(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, landing=str(tmp_path), switch=str(tmp_path))
    assert services.ui_address(settings) == ""
    (tmp_path / "run" / "airflow_port").write_text("8123")
    assert services.ui_address(settings) == "http://127.0.0.1:8123"
    assert services.ui_address(replace(settings, airflow_ui="http://ops:8080/")) == "http://ops:8080"
