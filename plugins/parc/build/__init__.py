"""From published deliveries to published marts: which days changed, dbt on those, publication."""

from parc.build.build import BuildResult, build
from parc.build.documentation import document

__all__ = ["BuildResult", "build", "document"]
