"""Builds the marts from published deliveries: finds changed days, runs dbt on them, publishes."""

from parc.build.build import BuildResult, build
from parc.build.documentation import document

__all__ = ["BuildResult", "build", "document"]
