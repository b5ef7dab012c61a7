"""From published deliveries to published marts: which days changed, dbt on those, publication."""

from parc.build.build import BuildResult, build

__all__ = ["BuildResult", "build"]
