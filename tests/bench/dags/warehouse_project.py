"""The platform's dbt project as Cosmos takes it: profile and credentials from the environment, graph from the
manifest of an earlier build, no seeds (dbt leaves unit tests out because of DBT_EXCLUDE_RESOURCE_TYPES)."""

import os
from pathlib import Path

from cosmos.config import ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import LoadMode, SeedRenderingBehavior, TestBehavior

FOLDER = Path(__file__).resolve().parents[3] / "dbt_project"
COMMON = {
    "project_config": ProjectConfig(
        FOLDER, manifest_path=os.environ["BENCH_MANIFEST"], install_dbt_deps=False
    ),
    "profile_config": ProfileConfig("parc", "warehouse", profiles_yml_filepath=FOLDER / "profiles.yml"),
    "schedule": None,
    "catchup": False,
    "max_active_runs": 1,
}
RENDER = RenderConfig(
    load_method=LoadMode.DBT_MANIFEST,
    test_behavior=TestBehavior.AFTER_EACH,
    # A test that reads two models waits for both, as in `dbt build`.
    should_detach_multiple_parents_tests=True,
    seed_rendering_behavior=SeedRenderingBehavior.NONE,
    emit_datasets=False,
)
